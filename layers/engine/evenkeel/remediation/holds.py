"""What a hold on a resource means for a finding: skipped, announced, or handled as if there were no hold; pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from evenkeel.audit.state_item import BY_PEOPLE, HoldKind, Placed
from evenkeel.model import Severity
from evenkeel.remediation.fingerprint import has_recurred

if TYPE_CHECKING:
    from datetime import datetime

    from evenkeel.audit.record_types import FindingRecord
    from evenkeel.audit.state_item import StateItem
    from evenkeel.control import Control
    from evenkeel.model import Request

MAX_FINDINGS = 10
"""Findings that one hold covers at most; the oldest is dropped first."""
FROZEN = "frozen until "
"""The reason of a freeze's hold begins with this; a release does not end such a hold."""


class HoldEffect(StrEnum):
    """What a hold means for a finding."""

    NONE = "none"
    """There is no hold, or it covers another finding: the finding is handled as if there were no hold."""
    HELD = "held"
    """The hold covers this finding: skipped."""
    OTHER = "other"
    """A person placed the hold, and decided about another finding: announced, not changed."""
    COUNTED = "counted"
    """The blast radius holds it: changed as soon as the control is released."""


def extended(item: StateItem, kind: HoldKind, until: datetime, now: datetime, *, critical: bool) -> Placed:
    """Return a new hold, which also covers the findings of the present hold if that is of the same kind."""
    same_kind = item.hold_kind == kind and bool(item.held(now))
    others = (item.hold_findings or ()) if same_kind else ()
    return Placed(kind, until, others[1 - MAX_FINDINGS :], critical or (same_kind and item.hold_critical))


def hold_effect(
    item: StateItem, record: FindingRecord, control: Control, request: Request, now: datetime
) -> HoldEffect:
    """Return what the hold on a resource means for the finding of a record.

    A hold placed by an earlier version does not list its findings: it covers all of them but critical ones.
    """
    if not item.held(now):
        return HoldEffect.NONE
    if item.hold_findings is None or not item.hold_kind:
        return HoldEffect.OTHER if record["severity"] == Severity.CRITICAL else HoldEffect.HELD
    same = record["fingerprint"] in item.hold_findings
    # A new resource with the same name is not the one that was held. Only critical findings on it end a hold's effect:
    # a resource that is created and deleted all day must not alert each time.
    new = request.creates and record["severity"] == Severity.CRITICAL
    recurred = (request.weakens or new) and has_recurred(
        item, record, request, now, state_has_ids=control.state_has_ids
    )
    if item.hold_kind in BY_PEOPLE:
        return HoldEffect.HELD if same and not recurred else HoldEffect.OTHER
    if not same or (new and recurred):
        return HoldEffect.NONE
    return HoldEffect.COUNTED if item.hold_kind == HoldKind.BLAST_RADIUS else HoldEffect.HELD
