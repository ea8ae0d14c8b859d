"""What acts leave on the state item: a hold, what was announced last; pure."""

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
"""The attributes that say what was announced last."""


def bare_hold(sealed: PlannedRecord, placed: Placed, reason: str, now: datetime) -> dict[str, Any]:
    """Return the attributes of a hold at whose end nothing comes again."""
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
    """Return the attributes of a hold, at whose end ``request`` comes again."""
    kept = {"held_request": json.dumps(encode(request)), **due_index.keys("held", sealed, placed.until)}
    return bare_hold(sealed, placed, sealed["detail"], now) | kept


def found_in(state: State | None) -> dict[str, Any]:
    """Return the attribute that says which state people were told of last."""
    return {"announced_state": canonical.digest(state)}


def announcement(sealed: EndedRecord, now: datetime, found: str = "") -> dict[str, Any]:
    """Return the attributes that say what was announced last, and when: a record's finding, or what it left."""
    return {
        "announced": found or sealed.get("fingerprint", ""),
        "announced_at": int(now.timestamp()),
        **found_in(sealed["after"] if found else sealed["before"]),
        "announced_event": sealed["cause"]["event_id"],
        "announced_record": sealed["record_id"],
    }
