"""A freeze on the real stack: what comes up in it waits, and is repaired once it is over."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sandbox.deploy.settings import push
from tests.sandbox.trust_stack import Place, standing

if TYPE_CHECKING:
    from collections.abc import Iterator

RETENTION = "logs-group-retention"
FROZEN = "/frozen"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack on a sandbox of its own."""
    with standing() as there:
        yield there


def test_what_came_up_in_a_freeze_is_repaired_when_it_ends(place: Place) -> None:
    """A freeze would lose what came up in it, or end before its time."""
    thaws = (datetime.now(UTC) + timedelta(seconds=75)).replace(second=0, microsecond=0)
    begins = thaws - timedelta(hours=1)
    freeze = {"name": "a release", "cron": f"{begins.minute} {begins.hour} * * *", "hours": 1, "controls": [RETENTION]}
    push(place.sandbox, place.stack, {"schema_version": 1, "settle_seconds": 0, "freezes": [freeze]})
    place.sandbox.client("logs", place.alice).create_log_group(logGroupName=FROZEN)
    arn = f"arn:aws:logs:{place.sandbox.region}:{place.sandbox.account}:log-group:{FROZEN}"
    held = place.awaited(arn, "HELD", RETENTION)
    assert held["detail"] == f"frozen until {thaws:%Y-%m-%d %H:%M} UTC"
    clerk = place.stack.outputs["ClerkFunctionName"]
    if datetime.now(UTC) < thaws - timedelta(seconds=5):
        place.invoke(clerk, {})
        assert place.outcomes(arn, RETENTION) == ["HELD"]
    time.sleep(max(0.0, (thaws - datetime.now(UTC)).total_seconds()) + 1)
    assert place.invoke(clerk, {})["due"] >= 1
    place.awaited(arn, "REMEDIATED", RETENTION)
    (group,) = place.sandbox.client("logs").describe_log_groups(logGroupNamePrefix=FROZEN)["logGroups"]
    assert group["retentionInDays"]
    assert place.chain_is_unbroken(arn, RETENTION)
