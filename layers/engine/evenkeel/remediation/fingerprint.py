"""What makes two findings of one resource the same finding; pure, and said nowhere else.

A fingerprint holds what is wrong (the control's ``fault``, as a rule the essence of the state), how bad it is, and
which kind of finding it is: why it is only announced, what stays wrong. It never holds a sentence, whose figures change
from day to day, nor the parameters of calls, which name what AWS assigned (a rule that is added again has a new id).
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
"""The same finding on the same resource is not announced more often."""


def fingerprint(control: Control, state: State, finding: NonCompliant) -> str:
    """Return the fingerprint of a finding: 64 hex digits. A state that could not be read is empty."""
    fault = control.fault(state) if state else None
    return digest([fault, str(finding.severity or control.severity), finding.kind])


def announced_lately(item: StateItem, record: FindingRecord, request: Request, now: datetime, *, has_ids: bool) -> bool:
    """Return whether the finding of a record was announced within a day, and was not made anew since."""
    lately = now.timestamp() - item.announced_at < ANNOUNCE_AGAIN_SECONDS
    same = item.announced == record["fingerprint"]
    return lately and same and not made_again(item, record, request, now, has_ids=has_ids)


def made_again(item: StateItem, record: FindingRecord, request: Request, now: datetime, *, has_ids: bool) -> bool:
    """Return whether a request's event made the finding anew after it was announced, or after the hold was placed.

    Such an event creates the resource, or is a call that can only weaken it. CloudTrail's times are whole seconds, so
    the event that was announced is recognized by its id. Where the state ``has_ids`` of what is wrong, the same ids
    show that the call was about something else.
    """
    if not (request.weakens or request.creates) or request.cause.event_id == item.announced_event:
        return False
    if has_ids and item.announced_state == digest(record["before"]):
        return False
    return int(request.event_time(now).timestamp()) >= max(item.announced_at, item.hold_at)
