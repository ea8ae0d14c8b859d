"""A short storm at every merge; ``make chaos`` is the long one."""

from __future__ import annotations

from tests.chaos.__main__ import run

SLOW_OR_URGENT = {"cloudtrail-logging", "lambda-xray-tracing", "rds-deletion-protection", "rds-public-access"}
"""Controls of what is busy for a while, or blinds Evenkeel while it is stopped."""


def test_a_short_storm_leaves_the_books_whole() -> None:
    """If this fails, an event, a record or an alert is lost, or a change made twice, when AWS or a worker fails."""
    (found,) = run(events=60, seed=20261120, engines=1, short_lived=0, quiet=True)
    assert found["broken"] == []
    assert found["causes"]["workers killed"] > 0
    assert found["outcomes"]["REMEDIATED"] > found["causes"]["resources"]
    assert found["repairs"].keys() >= SLOW_OR_URGENT
