"""What makes two findings of one resource the same finding; pure. No other module decides this.

A fingerprint covers the fault (the control's ``fault``, as a rule the essence of the state), the severity, and the kind
of finding: why it is only announced, what stays wrong. It never covers reasons, whose figures change from day to day,
nor the parameters of calls, which contain ids that AWS assigns (a rule that is added again has a new id).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.canonical import digest

if TYPE_CHECKING:
    from datetime import datetime

    from evenkeel.audit.record_types import FindingRecord
    from evenkeel.audit.state_item import StateItem
    from evenkeel.control import Control
    from evenkeel.model import NonCompliant, Request, State

ANNOUNCE_AGAIN_SECONDS = 86_400
"""The same finding on the same resource is announced at most once in this time."""


def fingerprint(control: Control, state: State, finding: NonCompliant) -> str:
    """Return the fingerprint of a finding: 64 hex digits. If the resource could not be read, ``state`` is empty."""
    fault = control.fault(state) if state else None
    return digest([fault, str(finding.severity or control.severity), finding.kind])


def announced_recently(
    item: StateItem, record: FindingRecord, request: Request, now: datetime, *, state_has_ids: bool
) -> bool:
    """Return whether the finding of a record was announced within a day, and has not recurred since."""
    recently = now.timestamp() - item.announced_at < ANNOUNCE_AGAIN_SECONDS
    same = item.announced == record["fingerprint"]
    return recently and same and not has_recurred(item, record, request, now, state_has_ids=state_has_ids)


def has_recurred(
    item: StateItem, record: FindingRecord, request: Request, now: datetime, *, state_has_ids: bool
) -> bool:
    """Return whether a request's event caused the finding again after it was announced, or after a hold was placed.

    Such an event creates the resource, or is a call that can only weaken it. CloudTrail's times are whole seconds, so
    the event that was announced is recognized by its id. If the state has the ids of what is wrong (``state_has_ids``),
    the same ids show that the call was about something else.
    """
    if not (request.weakens or request.creates) or request.cause.event_id == item.announced_event:
        return False
    if state_has_ids and item.announced_state == digest(record["before"]):
        return False
    return int(request.event_time(now).timestamp()) >= max(item.announced_at, item.hold_at)
