"""The attributes that a hold or an announcement sets on the state item; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel import canonical
from evenkeel.audit import due_index
from evenkeel.events.message import encode

if TYPE_CHECKING:
    from datetime import datetime

    from evenkeel.audit.record_types import EndedRecord, PlannedRecord
    from evenkeel.audit.state_item import Placed
    from evenkeel.model import Request, State


HOLD = (
    *("hold_until", "hold_at", "hold_kind", "hold_critical", "hold_findings", "hold_reason", "hold_record"),
    "held_request",
)
"""The attributes of a hold."""
ANNOUNCEMENT = ("announced", "announced_at", "announced_state", "announced_event", "announced_record")
"""The attributes of the last announcement."""


def bare_hold(sealed: PlannedRecord, placed: Placed, reason: str, now: datetime) -> dict[str, Any]:
    """Return the attributes of a hold that does not send a request again when it ends."""
    own = sealed.get("fingerprint")
    return {
        "hold_until": int(placed.until.timestamp()),
        "hold_at": int(now.timestamp()),
        "hold_kind": str(placed.kind),
        "hold_critical": placed.critical,
        "hold_reason": reason,
        "hold_record": sealed["record_id"],
        **({"hold_findings": [each for each in placed.others if each != own] + [own]} if own else {}),
    }


def hold(sealed: EndedRecord, placed: Placed, request: Request, now: datetime) -> dict[str, Any]:
    """Return the attributes of a hold that sends ``request`` again when it ends."""
    again = {"held_request": json.dumps(encode(request)), **due_index.keys("held", sealed, placed.until)}
    return bare_hold(sealed, placed, sealed["detail"], now) | again


def announced_state(state: State | None) -> dict[str, Any]:
    """Return the attribute with the digest of the state that was announced last."""
    return {"announced_state": canonical.digest(state)}


def announcement(sealed: EndedRecord, now: datetime, remaining: str = "") -> dict[str, Any]:
    """Return the attributes of an announcement: of a record's finding, or of the finding that remained after it."""
    return {
        "announced": remaining or sealed.get("fingerprint", ""),
        "announced_at": int(now.timestamp()),
        **announced_state(sealed["after"] if remaining else sealed["before"]),
        "announced_event": sealed["cause"]["event_id"],
        "announced_record": sealed["record_id"],
    }
