"""A function that fails on poison, and says in its log and metrics what it did."""

import json
import os
import sys
from typing import Any

import lettered  # type: ignore[import-not-found]  # the layer brings it


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Handle stream records in order; report the first poisoned one."""
    if "metric" in event:
        metric = {"Namespace": "Small", "Dimensions": [["kind"]], "Metrics": [{"Name": "Things", "Unit": "Count"}]}
        document = {"_aws": {"Timestamp": 0, "CloudWatchMetrics": [metric]}, "kind": "k", "Things": event["metric"]}
        sys.stdout.write(json.dumps(document) + "\n")
    failures = []
    for record in event["Records"]:
        letter = record["dynamodb"]["Keys"]["a"]["S"]
        if letter == "poison":
            failures.append({"itemIdentifier": record["dynamodb"]["SequenceNumber"]})
            break
        sys.stdout.write(f"handled {letter}\n")
    return {"batchItemFailures": failures, "layer": lettered.TEXT, "letter": os.environ["LETTER"]}
