"""Audit records about the stack itself, which belong to no control: an exemption, a dead letter, a run.

Each part has an id below the ARN of what contains it, and so a chain of its own. Most have one record only: the
transaction that writes it fails if the chain already has a head. A run has a second one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenkeel.audit import records
from evenkeel.audit.state_item import StateItem
from evenkeel.errors import StaleStateError
from evenkeel.model import Mode, Severity

if TYPE_CHECKING:
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import EndedRecord
    from evenkeel.model import Outcome, Request, State


@dataclass(frozen=True, slots=True)
class Part:
    """A kind of part. Its records have ``id`` in the field in which records of resources have the control's id."""

    id: str
    title: str
    severity: Severity


EXEMPTION = Part("evenkeel-exemption", "An exemption ends soon", Severity.MEDIUM)
DEAD_LETTER = Part("evenkeel-dead-letter", "A person dropped a dead letter", Severity.MEDIUM)
REDRIVE = Part("evenkeel-redrive", "A person sent dead letters back", Severity.LOW)
PAUSE = Part("evenkeel-pause", "Somebody paused Evenkeel", Severity.HIGH)
RESUME = Part("evenkeel-resume", "Somebody resumed Evenkeel", Severity.LOW)
SETTINGS = Part("evenkeel-settings", "Somebody deployed settings, or stopped a deployment", Severity.MEDIUM)
RUN = Part("evenkeel-run", "A person ran controls over existing resources", Severity.LOW)
PARTS = (EXEMPTION, DEAD_LETTER, REDRIVE, PAUSE, RESUME, SETTINGS, RUN)


@dataclass(frozen=True, slots=True)
class Note:
    """The content of a record about one part: its reason, detail and evidence."""

    part: Part
    request: Request
    outcome: Outcome
    reason: str
    detail: str
    evidence: State
    settings_version: str = ""
    announce: bool = True


def write_once(ledger: Ledger, note: Note, retention_days: int, now: datetime) -> EndedRecord | None:
    """Write the record of a part, which the notifier announces; return None if it was written before.

    Raises:
        LeaseHeldError: the tables are busy with it; try again.
    """
    if ledger.state(note.part.id, note.request.resource.arn).head:
        return None
    try:
        return write(ledger, note, StateItem(), retention_days, now)
    except StaleStateError:
        return None  # another worker was faster


def write(ledger: Ledger, note: Note, item: StateItem, retention_days: int, now: datetime) -> EndedRecord:
    """Write the next record of a part whose state item is ``item``.

    Raises:
        StaleStateError: another record was written since ``item`` was read.
        LeaseHeldError: the tables are busy with it; try again.
    """
    found = records.finding_record(
        note.part,
        note.request,
        now=now,
        mode=Mode.NOTIFY,
        settings_version=note.settings_version,
        parameters={},
        reason=note.reason,
        before=note.evidence,
        change=None,
        remains="",
        retention_days=retention_days,
    )
    ended = records.ended(found, note.outcome, now=now, detail=note.detail, announce=note.announce)
    return ledger.announce(ended, item)
