"""What a run may change in all: each change counts once, and what was kept beyond that is not left in silence."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.model import Cause
from tests import factories
from tests.tables import STATE
from tests.world import client, request

if TYPE_CHECKING:
    from evenkeel.model import Request
    from tests.world import World

CONTROL, RUN = "kms-key-rotation", "019a00000000-0123456789abcdef"
ENFORCE: dict[str, Any] = {"schema_version": 1, "controls": {CONTROL: {"mode": "enforce"}}}
FREEZE: dict[str, Any] = {"freezes": [{"cron": "* * * * *", "hours": 1}]}


@pytest.fixture(autouse=True)
def _begin(world: World) -> Any:
    world.now, world.document = world.now.replace(minute=0, second=0), ENFORCE
    yield
    world.chains()


def _wish(world: World, arn: str, allowance: int) -> Request:
    cause = Cause("manual", "invocation-1", "Run", world.now.isoformat())
    return request(CONTROL, arn, cause=cause, run=RUN, allowance=allowance)


def _outcomes(world: World, wishes: list[Request]) -> list[str]:
    return [str(world.run(CONTROL, wish).outcome) for wish in wishes]


def test_what_the_blast_radius_held_back_has_not_used_the_allowance_up(world: World) -> None:
    """If this fails, "at most three" changes one, and says of the others that three were changed."""
    radius = {"mode": "enforce", "blast_radius": {"limit": 1, "window_seconds": 3600}}
    world.document = {"schema_version": 1, "controls": {CONTROL: radius}}
    arns = [factories.key() for _ in range(3)]
    assert _outcomes(world, [_wish(world, arn, 3) for arn in arns]) == ["REMEDIATED", "HELD", "HELD"]
    world.document, world.now = ENFORCE, world.now + timedelta(days=1, minutes=1)
    assert _outcomes(world, [world.kept(CONTROL, arn) for arn in arns[1:]]) == ["REMEDIATED"] * 2


def test_change_that_another_worker_made_first_has_not_used_the_allowance_up(world: World) -> None:
    """If this fails, a run beside a burst of events makes fewer changes than it may, and says that it made all."""
    arns = [factories.key() for _ in range(2)]
    world.wire.cancel("None", "ConditionalCheckFailed", times=3)
    assert _outcomes(world, [_wish(world, arn, 2) for arn in arns]) == ["RETURNED", "REMEDIATED"]
    assert _outcomes(world, [_wish(world, arns[0], 2)]) == ["REMEDIATED"]


def test_what_a_freeze_kept_beyond_the_allowance_is_announced(world: World) -> None:
    """If this fails, it comes back every 15 minutes without a word, and acts once the run's count is forgotten."""
    world.document = ENFORCE | FREEZE
    arns = [factories.key() for _ in range(2)]
    assert _outcomes(world, [_wish(world, arn, 1) for arn in arns]) == ["HELD"] * 2
    world.document, world.now = ENFORCE, world.now + timedelta(hours=2)
    assert _outcomes(world, [world.kept(CONTROL, arn) for arn in arns]) == ["REMEDIATED", "ANNOUNCED"]
    told, item = world.records()[-1], world.state(CONTROL, arns[1])
    assert (told["announce"], told["detail"]) == (True, f"run {RUN} has reached its limit of 1 change")
    assert (item.held_request, item.hold_until) == ("", 0)


def test_allowance_is_remembered_as_long_as_a_freeze_may_last(world: World) -> None:
    """If this fails, what was kept for weeks is changed beyond what the run may change."""
    assert _outcomes(world, [_wish(world, factories.key(), 1)]) == ["REMEDIATED"]
    count = client("dynamodb").get_item(TableName=STATE, Key={"pk": {"S": f"run#{RUN}"}})["Item"]
    assert int(count["expires_at"]["N"]) > (world.now + timedelta(days=31)).timestamp()
