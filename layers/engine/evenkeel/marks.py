"""What acts leave on the state item: when to look again, a hold, what was told last; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel import records
from evenkeel.events import encode
from evenkeel.model import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from evenkeel.model import Request
    from evenkeel.records import Record


def due(kind: str, record: Record, moment: datetime) -> dict[str, Any]:
    """Return the keys of the index of what is due: ``plan`` (look again) or ``held`` (the hold ends)."""
    return {"due_shard": f"{kind}#{records.shard(record['resource']):02d}", "due_at": int(moment.timestamp())}


def hold(sealed: Record, until: datetime, request: Request) -> dict[str, Any]:
    """Return the attributes of a hold, at whose end ``request`` comes again."""
    return {
        "hold_until": int(until.timestamp()),
        "hold_reason": sealed["detail"],
        "hold_record": sealed["record_id"],
        "held_request": json.dumps(encode(request)),
        **due("held", sealed, until),
    }


def finding_digest(record: Record) -> str:
    """Return what makes two announcements of one resource the same: what is wrong, and the calls still to be made."""
    calls = [] if record.get("outcome") == Outcome.PARTIAL else record["calls"]
    return records.digest([record["remains"] or record["reason"], calls])


def announcement(record: Record, now: datetime) -> dict[str, Any]:
    """Return the attributes that say what people were told last, and when."""
    return {"announced": finding_digest(record), "announced_at": int(now.timestamp())}
