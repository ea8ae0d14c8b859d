"""Approvals that race, are throttled or cut short: whoever is asked twice changes once."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.model import Cause
from tests.unit.deciding import APPROVE, BOB, CAROL, CONTROL, approve, rotates
from tests.wire import Crash, one_at_a_time
from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.usefixtures("people", "unbroken")


def test_throttled_approval_is_neither_lost_nor_made_twice(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, an approved change that AWS throttled is forgotten, or leaves a hold nobody can end."""
    arn, _ = awaiting
    world.wire.fail("kms", "EnableKeyRotation", "ThrottlingException")
    assert approve(world, awaiting).outcome == "RETURNED"
    world.now += timedelta(minutes=16)
    look = request(CONTROL, arn, cause=Cause("verify", event_name="clerk"))
    asked = world.run(CONTROL, look, document=APPROVE)
    assert asked.outcome == "AWAITING"
    assert approve(world, (arn, asked.record_id)).outcome == "REMEDIATED"
    item = world.state(CONTROL, arn)
    assert (item.plan, item.hold_until, item.held_request) == ("", 0, "")


def test_two_approvers_at_once_make_one_change(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, two approvals that race change the resource twice, or break its chain."""

    def first(_: object) -> None:
        world.wire._plans.clear()
        assert approve(world, awaiting, CAROL).outcome == "REMEDIATED"

    world.wire.when("dynamodb", "TransactWriteItems", first)
    assert approve(world, awaiting).outcome == "COMPLIANT"
    assert world.outcomes() == ["AWAITING", "PLANNED", "REMEDIATED"]
    assert world.records()[-1]["approver"] == CAROL


def test_many_approvers_in_parallel_make_one_change(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, really parallel approvals change the resource more than once."""
    from evenkeel.remediation.evaluation import Approval  # noqa: PLC0415 - one user
    from evenkeel.settings import parser  # noqa: PLC0415 - one user

    arn, _ = awaiting
    [record], kept = world.records(), world.kept(CONTROL, arn)
    loaded, connect = (
        parser.parse('{"schema_version": 1, "controls": {"kms-key-rotation": {"mode": "approve"}}}'),
        one_at_a_time(client),
    )
    ready, outcomes = threading.Barrier(8), []

    def approve(number: int) -> None:
        run = world.visits(f"desk-{number}", connect=connect).run
        ready.wait()
        approval = Approval(record, f"approver-{number}")
        outcomes.append(str(run(all_controls()[CONTROL], kept, loaded, approval=approval).outcome))

    threads = [threading.Thread(target=approve, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("REMEDIATED") == 1
    assert set(outcomes) <= {"REMEDIATED", "COMPLIANT", "RETURNED"}
    assert world.outcomes() == ["AWAITING", "PLANNED", "REMEDIATED"]


def test_approval_that_races_with_a_rejection_does_not_change(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, what one person rejected is changed by another's approval at the same moment."""

    def first(_: object) -> None:
        world.wire._plans.clear()
        world.decide({"reject": awaiting[1], "resource": awaiting[0], "because": "no"}, CAROL, document=APPROVE)

    world.wire.when("dynamodb", "TransactWriteItems", first)
    assert approve(world, awaiting).outcome == "SKIPPED"
    assert (world.outcomes(), rotates(awaiting[0])) == (["AWAITING", "REJECTED"], False)


def test_crash_in_an_approved_repair_is_finished_by_the_clerks_look(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, an approval whose worker died after the call leaves its plan without an outcome."""
    arn, _ = awaiting
    world.wire.crash("dynamodb", "TransactWriteItems", skip=1)
    with pytest.raises(Crash):
        approve(world, awaiting)
    world.now += timedelta(minutes=16)
    look = request(CONTROL, arn, cause=Cause("verify", event_name="clerk"))
    assert world.run(CONTROL, look, document=APPROVE).outcome == "COMPLIANT"
    assert world.outcomes() == ["AWAITING", "PLANNED", "REMEDIATED"]
    assert world.records()[-1]["approver"] == BOB
