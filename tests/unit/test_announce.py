"""How many findings people are told of in a day: enough to act on, not so many that nobody reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control import Radius
from evenkeel.remediation import announce
from tests.factories.rds import instance
from tests.wire import Crash
from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

CONTROL, CRITICAL = "kms-key-rotation", "rds-public-access"
NOTIFY: dict[str, Any] = {"schema_version": 1, "settle_seconds": 0, "controls": {CONTROL: {"mode": "notify"}}}


@pytest.fixture(autouse=True)
def _two_a_day(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setattr(announce, "DAILY_LIMIT", Radius(limit=2, window_seconds=86_400))
    midnight = world.now.replace(hour=0, minute=0, second=0, microsecond=0)
    world.now = midnight + timedelta(days=1, minutes=1)


def _key() -> str:
    arn: str = client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


def _told(world: World) -> list[bool]:
    return [record["announce"] for record in world.records()]


def test_flood_of_findings_is_told_as_such_and_stands_in_the_audit(world: World) -> None:
    """If this fails, the first day of a large account drowns on-call, or findings beyond the limit leave no trace."""
    for _ in range(5):
        assert world.run(CONTROL, request(CONTROL, _key()), document=NOTIFY).outcome == "ANNOUNCED"
    assert _told(world) == [True, True, True, False, False]
    details = [record["detail"] for record in world.records()]
    assert "more than 2 such findings today: the rest are only in the audit table" in details[2]
    assert details[0] == "the control's mode is notify"
    world.now += timedelta(days=1, minutes=1)
    world.run(CONTROL, request(CONTROL, _key()), document=NOTIFY)
    assert _told(world)[-1]


def test_critical_findings_are_always_told(world: World) -> None:
    """If this fails, a public database goes untold because of many lesser findings."""
    for number in range(4):
        world.run(CRITICAL, request(CRITICAL, instance(f"orders-{number}")))
    assert _told(world) == [True] * 4


def test_crash_over_the_last_word_does_not_silence_it(world: World) -> None:
    """If this fails, nobody hears that the rest of the day stands in the audit only."""
    for _ in range(2):
        world.run(CONTROL, request(CONTROL, _key()), document=NOTIFY)
    wish = request(CONTROL, _key())
    world.wire.crash("dynamodb", "TransactWriteItems")
    with pytest.raises(Crash):
        world.run(CONTROL, wish, document=NOTIFY)
    world.run(CONTROL, wish, document=NOTIFY, owner="worker-2", redelivered=True)
    world.run(CONTROL, request(CONTROL, _key()), document=NOTIFY)
    assert _told(world) == [True, True, True, False]


def test_denied_read_that_another_worker_wrote_down_first_comes_again(world: World) -> None:
    """If this fails, two workers that are denied the same read crash each other, or write over each other."""
    denied = "because no resource-based policy allows the kms:GetKeyRotationStatus action"
    key = _key()
    world.wire.fail("kms", "GetKeyRotationStatus", "AccessDeniedException", denied, times=2)
    world.wire.cancel("None", "ConditionalCheckFailed")
    first = world.run(CONTROL, request(CONTROL, key))
    assert (first.outcome, world.records()) == ("RETURNED", [])
    assert world.run(CONTROL, first.request.again(world.now)).outcome == "DENIED"
