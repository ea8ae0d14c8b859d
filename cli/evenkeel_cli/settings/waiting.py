"""Announced findings that wait after a control's mode was raised: repaired at their next event, or on demand."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError
from evenkeel.model import Mode, Outcome
from evenkeel.plurals import plural
from evenkeel.settings.rules import Subject
from evenkeel_cli.audit.reader import Reader, Wanted
from evenkeel_cli.aws import resource_tags
from evenkeel_cli.changes.run_rounds import RunRequest
from evenkeel_cli.settings import source_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from evenkeel.settings.parser import Settings
    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.ui.failure import CommandError

DAYS = 30
"""Days for which announcements are counted."""
_ACTS = frozenset({Mode.APPROVE, Mode.ENFORCE})


def waiting(stack: Stack, old: Settings, new: Settings, now: datetime) -> dict[str, int]:
    """Return the number of announced findings per control that wait: those that it would change from now on.

    Raises:
        CommandError: the audit table cannot be read.
    """
    touched = _touched(old, new)
    if not touched:
        return {}
    announced = _announced(stack, touched, now)
    tags = resource_tags.read(stack, [
        subject for (control, _), subject in announced.items() if new.needs_tags(all_controls()[control], now)
    ])  # fmt: skip
    counted = Counter(
        control for (control, _), subject in announced.items() if raised(old, new, control, tags.of(subject), now)
    )
    return dict(sorted(counted.items()))


def raised(old: Settings, new: Settings, control_id: str, subject: Subject, now: datetime) -> bool:
    """Return whether a control changes a resource under the new settings that it only announced under the old ones."""
    control = all_controls()[control_id]
    try:
        modes = [each.of(control, subject, source_file.PROVIDED).mode for each in (old, new)]
        return modes[0] not in _ACTS and modes[1] in _ACTS and new.exemption(control, subject, now) is None
    except SettingsError:
        return False  # a rule that cannot be evaluated changes nothing


def sentences(stack: Stack, counts: Mapping[str, int]) -> list[str]:
    """Return a sentence per control: how many findings wait, and the command that checks them."""
    return [
        f"{plural(count, 'announced finding')} of {control} of the last {DAYS} days "
        f"wait{'s' if count == 1 else ''} for an event. To check them all now (a dry run; --apply changes them):\n"
        f"  {RunRequest(control).command(stack, apply=False)}"
        for control, count in counts.items()
    ]


def uncounted(error: CommandError) -> str:
    """Return the sentence for findings that could not be counted; the push itself succeeded."""
    return f"The announced findings that wait could not be counted: {error.message}. {error.next_step}".rstrip()


def _touched(old: Settings, new: Settings) -> set[str]:
    """Return the controls that can change resources and whose settings differ."""
    acting = {control.id for control in all_controls().values() if not control.only_announces}
    return {each for each in acting if old.controls.get(each) != new.controls.get(each)}


def _announced(stack: Stack, controls: set[str], now: datetime) -> dict[tuple[str, str], Subject]:
    """Return the findings whose last record is an announcement."""
    last: dict[tuple[str, str], Subject | None] = {}
    for record in Reader(stack).newest(Wanted(now - timedelta(days=DAYS)), now):
        control, arn = str(record["control"]), str(record["resource"])
        if control in controls and (control, arn) not in last:
            subject = Subject(arn, str(record.get("account", "")), str(record.get("region", "")))
            last[control, arn] = subject if record.get("outcome") == Outcome.ANNOUNCED else None
    return {key: subject for key, subject in last.items() if subject}
