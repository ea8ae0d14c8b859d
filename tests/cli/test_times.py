"""Times as people write and read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from evenkeel.audit.records import new_id
from evenkeel_cli.ui import times
from evenkeel_cli.ui.failure import CommandError, Exit

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90m", datetime(2026, 11, 20, 10, 30, tzinfo=UTC)),
        ("24H", datetime(2026, 11, 19, 12, 0, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 13, 12, 0, tzinfo=UTC)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-01t06:30z", datetime(2026, 11, 1, 6, 30, tzinfo=UTC)),
        ("2026-11-01T06:30+02:00", datetime(2026, 11, 1, 4, 30, tzinfo=UTC)),
    ],
)
def test_a_time_means_what_people_mean(text: str, meant: datetime) -> None:
    """A wave would be taken back from the wrong moment on."""
    assert times.since(text, NOW) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "1 h", "-1h", "2026-13-01", "999999w", "2026-11-21"])
def test_a_time_that_cannot_be_is_a_usage_error(text: str) -> None:
    """A misspelt time would be taken for another, or end in a traceback."""
    with pytest.raises(CommandError) as refused:
        times.since(text, NOW)
    assert refused.value.code is Exit.USAGE
    assert refused.value.next_step


def test_the_time_of_a_record_is_in_its_id() -> None:
    """A record would be looked for on the wrong day, and not be found."""
    assert times.of_record(new_id(NOW)) == NOW


@pytest.mark.parametrize(("seconds", "told"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7300, "2 h"), (200000, "2 d")])
def test_ages_are_told_in_their_largest_unit(seconds: float, told: str) -> None:
    """Nobody at 3 a.m. turns 200,000 seconds into days."""
    assert times.age(seconds) == told
