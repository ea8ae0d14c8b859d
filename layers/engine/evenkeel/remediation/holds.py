"""What a hold on a resource means for a finding: left alone, announced, or handled as if there were no hold; pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from evenkeel.audit.state_item import HoldKind, Placed
from evenkeel.model import Severity
from evenkeel.remediation.fingerprint import made_again

if TYPE_CHECKING:
    from datetime import datetime

    from evenkeel.audit.record_types import FindingRecord
    from evenkeel.audit.state_item import StateItem
    from evenkeel.control import Control
    from evenkeel.model import Request

MOST_FINDINGS = 10
"""Findings that one hold is about; of more, the oldest is forgotten."""
FROZEN = "frozen until "
"""How the reason of a freeze's hold begins: a release does not end it."""


class Bearing(StrEnum):
    """What a hold means for a finding."""

    NONE = "none"
    """There is no hold, or it is about another finding: decided as if there were none."""
    HELD = "held"
    """The hold is about this finding: left alone."""
    OTHER = "other"
    """A person holds the resource, and this is not what they decided about: announced, and not changed."""
    COUNTED = "counted"
    """The blast radius holds it: changed as soon as the control is not held any more."""


def renewed(item: StateItem, kind: HoldKind, until: datetime, now: datetime, *, critical: bool) -> Placed:
    """Return a hold that goes on being about the findings of the one of its kind that is in force."""
    goes_on = item.hold_kind == kind and bool(item.held(now))
    others = (item.hold_findings or ()) if goes_on else ()
    return Placed(kind, until, others[1 - MOST_FINDINGS :], critical or (goes_on and item.hold_critical))


def bearing(item: StateItem, record: FindingRecord, control: Control, request: Request, now: datetime) -> Bearing:
    """Return what the hold on a resource means for the finding of a record.

    A hold of an earlier version does not say what it is about: it is obeyed, but hides no critical finding.
    """
    if not item.held(now):
        return Bearing.NONE
    if item.hold_findings is None or not item.hold_kind:
        return Bearing.OTHER if record["severity"] == Severity.CRITICAL else Bearing.HELD
    same = record["fingerprint"] in item.hold_findings
    # A new resource of the name is not the one that was held; one that comes and goes all day is no alert each time.
    new = request.creates and record["severity"] == Severity.CRITICAL
    anew = (request.weakens or new) and made_again(item, record, request, now, has_ids=control.state_has_ids)
    if item.hold_kind == HoldKind.PERSON:
        return Bearing.HELD if same and not anew else Bearing.OTHER
    if not same or (new and anew):
        return Bearing.NONE
    return Bearing.COUNTED if item.hold_kind == HoldKind.BLAST_RADIUS else Bearing.HELD
