"""ARNs as a narrow column shows them."""

from __future__ import annotations

from evenkeel.suggestions import suggested
from evenkeel_cli.ui.failure import CommandError, Exit

_PARTS = 6


def short(arn: str) -> str:
    """Return what tells one resource from another: service and name, e.g. ``kms key/1234abcd-…``."""
    parts = arn.split(":", _PARTS - 1)
    return f"{parts[2]} {parts[5]}" if len(parts) == _PARTS else arn


def check(arn: str, option: str = "--resource") -> None:
    """Refuse what is no ARN.

    Raises:
        CommandError: it has not the form of one.
    """
    if not arn.startswith("arn:") or arn.count(":") < _PARTS - 1:
        raise CommandError(f"{option} {arn}: not an ARN", "Give the whole ARN: arn:aws:kms:…:key/…", Exit.USAGE)


def check_one_of(option: str, given: str, known: list[str]) -> None:
    """Refuse a word that is none of those known, naming what may have been meant.

    Raises:
        CommandError: it is none of them.
    """
    if given in known:
        return
    raise CommandError(f"{option} {given}: not known", suggested(given, known), Exit.USAGE)
