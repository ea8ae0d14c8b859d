"""The engine's default event bus."""

from __future__ import annotations

import json
from typing import Any


def put(event: dict[str, Any]) -> None:
    """Dispatch an event to the rules of its own account and region, as AWS services do."""
    from ministack.core.responses import request_scope  # noqa: PLC0415 - the engine is imported by the shim only
    from ministack.services import eventbridge  # noqa: PLC0415 - as above

    entry = {
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"], default=str),
        "Resources": event["resources"],
        "EventBusName": "default",
    }
    with request_scope(event["account"], event["region"]):
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
