"""What acts leave on the state item: a hold, what was told last; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel import due, records
from evenkeel.events import encode
from evenkeel.model import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from evenkeel.model import Request
    from evenkeel.records import Record


HOLD = ("hold_until", "hold_reason", "hold_record", "held_request")
"""The attributes of a hold."""


def bare_hold(sealed: Record, until: datetime, reason: str) -> dict[str, Any]:
    """Return the attributes of a hold at whose end nothing comes again."""
    return {"hold_until": int(until.timestamp()), "hold_reason": reason, "hold_record": sealed["record_id"]}


def hold(sealed: Record, until: datetime, request: Request) -> dict[str, Any]:
    """Return the attributes of a hold, at whose end ``request`` comes again."""
    kept = {"held_request": json.dumps(encode(request)), **due.keys("held", sealed, until)}
    return bare_hold(sealed, until, sealed["detail"]) | kept


def finding_digest(record: Record) -> str:
    """Return what makes two announcements of one resource the same: what is wrong, and the calls still to be made."""
    calls = [] if record.get("outcome") == Outcome.PARTIAL else record["calls"]
    return records.digest([record["remains"] or record["reason"], calls])


def announcement(record: Record, now: datetime) -> dict[str, Any]:
    """Return the attributes that say what people were told last, and when."""
    return {"announced": finding_digest(record), "announced_at": int(now.timestamp())}
