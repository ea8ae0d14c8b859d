"""ARNs in tables and options."""

from __future__ import annotations

from evenkeel.suggestions import suggested
from evenkeel_cli.ui.failure import CommandError, Exit

_PARTS = 6


def short(arn: str) -> str:
    """Return a short name of a resource: service and name, e.g. ``kms key/1234abcd-…``."""
    parts = arn.split(":", _PARTS - 1)
    return f"{parts[2]} {parts[5]}" if len(parts) == _PARTS else arn


def check(arn: str, option: str = "--resource") -> None:
    """Check the form of an ARN.

    Raises:
        CommandError: it is not an ARN.
    """
    if not arn.startswith("arn:") or arn.count(":") < _PARTS - 1:
        raise CommandError(f"{option} {arn}: not an ARN", "Give the whole ARN: arn:aws:kms:…:key/…", Exit.USAGE)


def check_one_of(option: str, given: str, known: list[str]) -> None:
    """Check that a word is one of the known ones.

    Raises:
        CommandError: it is not; the message suggests a similar one.
    """
    if given in known:
        return
    raise CommandError(f"{option} {given}: not known", suggested(given, known), Exit.USAGE)
