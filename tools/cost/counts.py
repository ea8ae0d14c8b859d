"""The bills: of an idle month, of events, and in the bills of other services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.audit.due_index import KINDS
from evenkeel.audit.records import SHARDS
from tools.cost.bill import EVENTS, Item, usage

if TYPE_CHECKING:
    from tools.cost.parts import Parts


def idle(parts: Parts) -> list[Item]:
    """Return the bill of a month in which nothing happens."""
    used = usage()["idle"]
    hours: float = used["hours"]
    seconds = hours * 3600
    rounds = hours * parts.rounds_an_hour
    polls = used["pollers"] * seconds / used["poll_seconds"]
    queries = len(KINDS) * SHARDS
    kms = parts.queues * seconds / parts.reuse_seconds + rounds * 3 + seconds / 300
    return [
        Item("KMS: keys", "kms_key", parts.keys),
        Item("SQS: polls of empty queues", "sqs_request", parts.queues * polls),
        Item("CloudWatch: alarms", "alarm", parts.alarms),
        Item("CloudWatch: metrics that the clerk reads", "get_metric_data", parts.vitals * hours),
        Item("CloudWatch: metrics of our own", "custom_metric", parts.metrics),
        Item(
            "KMS: requests", "kms_request", kms, "at most: a call for each queue, table and the stream in five minutes"
        ),
        Item("AppConfig: settings received", "appconfig_received", hours / used["clerk_environment_hours"]),
        Item("AppConfig: requests", "appconfig_request", rounds),
        Item("DynamoDB: storage", "dynamodb_gb_month", used["tables_gb"], f"of {used['tables_gb']} GB"),
        Item("DynamoDB: point-in-time recovery", "dynamodb_pitr_gb_month", used["tables_gb"]),
        Item("DynamoDB: reads", "dynamodb_read", rounds * (queries / 2 + 2), "an empty query is half a unit"),
        Item("Lambda: time of the clerk", "lambda_gb_second", rounds * used["clerk_seconds"] * parts.memory_gb),
        Item("Lambda: requests", "lambda_request", rounds),
        Item("X-Ray: traces", "xray_trace", rounds),
        Item("CloudWatch Logs", "logs_gb", rounds * used["clerk_log_kb"] / 1e6),
    ]


def events(parts: Parts, kind: str) -> list[Item]:
    """Return the bill of 10,000 events; ``kind`` is ``spread`` (each alone, all cold) or ``burst`` (warm batches)."""
    found = []
    for each in usage()["event"]:
        quantity = each[kind] * EVENTS * (parts.memory_gb if each["price"] == "lambda_gb_second" else 1)
        found.append(Item(each["item"], each["price"], quantity, each["why"]))
        if each["price"] == "dynamodb_gb_month":
            found.append(Item("DynamoDB: point-in-time recovery", "dynamodb_pitr_gb_month", quantity, each["why"]))
    return found


def elsewhere() -> list[tuple[Item, Item]]:
    """Return the items in other services' bills: of 10,000 events, and of an idle month."""
    return [
        (
            Item(each["item"], each["price"], each["event"] * EVENTS, each["why"]),
            Item(each["item"], each["price"], each["month"], each["why"]),
        )
        for each in usage()["other"]
    ]
