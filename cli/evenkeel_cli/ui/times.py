"""Times as people write them: ``90m``, ``24h``, ``7d``, ``2026-11-01``, ``2026-11-01T06:30Z``."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from evenkeel_cli.ui.failure import CommandError, Exit

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def since(text: str, now: datetime) -> datetime:
    """Return the moment (UTC) that a person means; a time without zone is UTC.

    Raises:
        CommandError: it is not a time, or is in the future.
    """
    ago = _AGO.fullmatch(text.strip().lower())
    try:
        if ago:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text.strip().upper())
    except (ValueError, OverflowError) as error:
        raise CommandError(
            f"--since {text}: not a time", "Write 90m, 24h, 7d, 2026-11-01 or 2026-11-01T06:30Z.", Exit.USAGE
        ) from error
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment > now:
        raise CommandError(f"--since {text} is in the future", "Write a time in the past (UTC).", Exit.USAGE)
    return moment


def of_record(record_id: str) -> datetime:
    """Return when a record was made: the first 12 hex digits of its id are milliseconds since 1970."""
    return datetime.fromtimestamp(int(record_id[:12], 16) / 1000, UTC)


def shown(moment: datetime) -> str:
    """Return a moment as tables show it, to the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def age(seconds: float) -> str:
    """Return a duration in its largest unit, e.g. ``3 h``."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(int(seconds), 0)} s"
