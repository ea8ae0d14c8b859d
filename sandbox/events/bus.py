"""Put an event on the engine's default bus, as AWS services do."""

from __future__ import annotations

import json
from typing import Any


def put(event: dict[str, Any]) -> None:
    """Dispatch a whole envelope to the rules of the current request's account and region; keep its id and time."""
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
