"""A plan that a dead worker left open is closed whatever became of its resource: nothing loops, no alarm stays on."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.errors import EvenkeelError
from evenkeel.model import Cause
from evenkeel.settings import parser
from tests.factories.rds import instance
from tests.tables import AUDIT
from tests.unit.databases import BOTH, ENFORCE, PROTECTION, PUBLIC
from tests.wire import Crash
from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"
NO_POLICY = "not authorized to perform: kms:GetKeyRotationStatus because no resource-based policy allows it"


@pytest.fixture
def key(world: World) -> str:
    """Return a key whose worker died between the write-ahead record and the call, two hours ago."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    world.wire.crash("kms", "EnableKeyRotation")
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, arn, creates=True))
    world.now += timedelta(hours=2)
    return arn


def _look_again(world: World, arn: str, **settings: str) -> str:
    """Do what the clerk asks for."""
    document = {"schema_version": 1, "controls": {CONTROL: settings}}
    wish = request(CONTROL, arn, cause=Cause("verify", event_name="clerk"))
    return str(world.run(CONTROL, wish, document=document, owner="worker-2").outcome)


def test_plan_on_a_deleted_resource_is_closed_quietly(world: World, key: str) -> None:
    """If this fails, a resource deleted at the wrong moment is asked after every five minutes for ever."""
    world.wire.fail("kms", "GetKeyRotationStatus", "NotFoundException")
    assert _look_again(world, key) == "GONE"
    assert world.outcomes() == ["PLANNED", "FAILED"]
    assert (world.state(CONTROL, key).plan, world.records()[-1]["announce"]) == ("", False)


def test_plan_of_a_control_that_was_switched_off_is_closed(world: World, key: str) -> None:
    """If this fails, switching a control off leaves its open plans to the clerk for ever."""
    assert _look_again(world, key, mode="off") == "SKIPPED"
    assert world.outcomes() == ["PLANNED", "FAILED"]
    assert world.state(CONTROL, key).plan == ""


def test_plan_of_a_control_that_only_announces_now_is_closed(world: World, key: str) -> None:
    """If this fails, a plan stays open under a mode that will never finish it."""
    assert _look_again(world, key, mode="notify") == "ANNOUNCED"
    assert world.outcomes() == ["PLANNED", "FAILED", "ANNOUNCED"]
    assert world.state(CONTROL, key).plan == ""


def test_plan_on_a_resource_that_may_not_be_read_any_more_is_closed(world: World, key: str) -> None:
    """If this fails, a key whose owner shut us out gets a DENIED record every five minutes for ever."""
    world.wire.fail("kms", "GetKeyRotationStatus", "AccessDeniedException", NO_POLICY)
    assert _look_again(world, key) == "DENIED"
    assert world.outcomes() == ["PLANNED", "DENIED"]
    assert world.state(CONTROL, key).plan == ""


def test_plan_on_a_resource_that_no_control_speaks_of_any_more_did_not_remediate_it(world: World, key: str) -> None:
    """If this fails, the audit says that a key was remediated which its owner is deleting."""
    client("kms").schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=7)
    assert _look_again(world, key) == "NOT_APPLICABLE"
    assert world.outcomes() == ["PLANNED", "FAILED"]
    assert world.state(CONTROL, key).plan == ""


@pytest.mark.parametrize("mode", ["notify", "approve"])
def test_plan_that_vanished_is_not_passed_over_by_a_finding_that_is_not_changed(
    world: World, key: str, mode: str
) -> None:
    """If this fails, a record that was removed from the audit table goes unnoticed, and its plan stays open."""
    [record] = world.records()
    vanished = {"resource": {"S": key}, "record_id": {"S": record["record_id"]}}
    client("dynamodb").delete_item(TableName=AUDIT, Key=vanished)
    with pytest.raises(EvenkeelError, match="missing from the audit table"):
        _look_again(world, key, mode=mode)


def test_shared_call_is_named_when_its_plan_is_interrupted(world: World) -> None:
    """If this fails, the record of a change that shared its call, and never showed, does not name the other plan."""
    arn = instance()
    [late] = client("rds").describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"]
    late = {**late, "PubliclyAccessible": True, "DeletionProtection": False}
    world.wire.answer("rds", "DescribeDBInstances", {"DBInstances": [late]}, times=7)
    asked = [(all_controls()[control], request(control, arn, creates=True)) for control in BOTH]
    returned = world.visits().visit(asked, parser.parse(json.dumps(ENFORCE)))
    assert world.outcomes().count("APPLIED") == len(returned)
    announced = {"schema_version": 1, "controls": {PUBLIC: {"mode": "notify"}}}
    world.wire.answer("rds", "DescribeDBInstances", {"DBInstances": [late]})
    world.run(PUBLIC, request(PUBLIC, arn), document=announced, owner="worker-2")
    [failed] = [record for record in world.records() if record.get("outcome") == "FAILED"]
    assert set(failed["sent_with"]) == {PROTECTION}
