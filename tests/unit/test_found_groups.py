"""AWS Config's item follows each event about a log group: what it finds is what the event was about, and no news."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.model import Cause
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from tests.factories.logs import group
from tests.unit.deciding import BOB
from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "logs-group-encryption"
FREEZE = {"freezes": [{"cron": "* * * * *", "hours": 1}]}
_ids = count()
pytestmark = pytest.mark.usefixtures("people")


@pytest.fixture
def older(world: World) -> str:
    """Return the ARN of a group without a key that is three days old."""
    arn = group()
    world.now += timedelta(days=3)
    return arn


def _look(world: World, arn: str, origin: str, **document: Any) -> str:
    world.now += timedelta(minutes=1)
    world.document = {"schema_version": 1} | (document or world.document)
    weakens = origin == "cloudtrail"
    cause = Cause(origin, f"event-{next(_ids)}", "DisassociateKmsKey", world.now.isoformat())
    return str(world.run(CONTROL, request(CONTROL, arn, cause=cause, weakens=weakens)).outcome)


def _mode(mode: str) -> dict[str, Any]:
    return {CONTROL: {"mode": mode}}


def test_finding_is_announced_once_by_its_event_and_its_item(world: World, older: str) -> None:
    """If this fails, each key that is taken off is two alerts wherever AWS Config records log groups."""
    outcomes = [_look(world, older, origin, controls=_mode("notify")) for origin in ("cloudtrail", "config")]
    assert outcomes == ["ANNOUNCED", "SKIPPED"]


def test_plan_that_waits_is_not_put_aside_by_the_item(world: World, older: str) -> None:
    """If this fails, a plan cannot be approved any more a few minutes after it was made."""
    assert _look(world, older, "cloudtrail", controls=_mode("approve")) == "AWAITING"
    waits = world.records()[-1]["record_id"]
    assert _look(world, older, "config") == "SKIPPED"
    [result] = world.decide({"approve": waits, "resource": older}, BOB)
    assert result.outcome == "REMEDIATED"


def test_what_a_freeze_keeps_is_not_dropped_by_the_item(world: World, older: str) -> None:
    """If this fails, what is weakened in a freeze stays weak after it."""
    assert _look(world, older, "cloudtrail", controls=_mode("enforce"), **FREEZE) == "HELD"
    assert _look(world, older, "config") == "SKIPPED"
    world.document, world.now = {"schema_version": 1, "controls": _mode("enforce")}, world.now + timedelta(hours=2)
    assert world.run(CONTROL, world.kept(CONTROL, older)).outcome == "REMEDIATED"


def test_item_of_what_a_person_undid_is_not_new(world: World, older: str) -> None:
    """If this fails, each undo is followed by an alert that something new was found."""
    assert _look(world, older, "cloudtrail", controls=_mode("enforce")) == "REMEDIATED"
    undoer = Undoer(Aws(client), world.ledger("undo"), BOB, 400, world.clock, world.sleep)
    assert undoer.run(all_controls()[CONTROL], older, world.records()[-1]["record_id"]).outcome == "UNDONE"
    assert _look(world, older, "config") == "SKIPPED"
