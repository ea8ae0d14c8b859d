"""Read a resource's tags in the engine's own stores, by ARN, for the services whose tag changes become events."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sandbox.events import tag_lists
from sandbox.events.tag_lists import store

if TYPE_CHECKING:
    from collections.abc import Callable

RESOURCE_TYPES = {"s3": "bucket", "sns": "topic", "sqs": "queue"}
"""Service to the ``resource-type`` of its tag change events, where the ARN does not tell it."""

ARN_PARTS = 6
SEPARATOR = re.compile(r"[/:]")


def _tail(arn: str) -> str:
    return arn.split(":", 5)[5]


def _kms(arn: str) -> dict[str, str] | None:
    record = store("kms")._resolve_key(arn)
    return None if record is None else {each["TagKey"]: each["TagValue"] for each in record.get("Tags") or []}


def _dynamodb(arn: str) -> dict[str, str] | None:
    dynamodb = store("dynamodb")
    table = dynamodb._tables.get(_tail(arn).removeprefix("table/"))
    if table is None:
        return None
    return dict(table.get("tags") or {}) | {each["Key"]: each["Value"] for each in dynamodb._tags.get(arn) or []}


def _logs(arn: str) -> dict[str, str] | None:
    group = store("cloudwatch_logs")._log_groups.get(_tail(arn).removeprefix("log-group:"))
    return None if group is None else dict(group.get("tags") or {})


def _s3(arn: str) -> dict[str, str] | None:
    s3, name = store("s3"), _tail(arn)
    return dict(s3._bucket_tags.get(name) or {}) if name in s3._buckets else None


def _lambda(arn: str) -> dict[str, str] | None:
    function = store("lambda_svc")._functions.get(_tail(arn).removeprefix("function:").partition(":")[0])
    return None if function is None else dict(function.get("tags") or {})


def _sns(arn: str) -> dict[str, str] | None:
    topic = store("sns")._topics.get(arn)
    return None if topic is None else dict(topic.get("tags") or {})


def _sqs(arn: str) -> dict[str, str] | None:
    for queue in store("sqs")._queues.values():
        if queue.get("attributes", {}).get("QueueArn") == arn:
            return dict(queue.get("tags") or {})
    return None


READERS: dict[str, Callable[[str], dict[str, str] | None]] = {
    "kms": _kms, "dynamodb": _dynamodb, "logs": _logs, "s3": _s3, "lambda": _lambda, "sns": _sns, "sqs": _sqs,
    **dict.fromkeys(tag_lists.LISTS, tag_lists.read),
}  # fmt: skip


def resource_type(arn: str) -> str:
    """Return the ``resource-type`` of a resource's tag change events."""
    return RESOURCE_TYPES.get(arn.split(":")[2]) or SEPARATOR.split(_tail(arn), maxsplit=1)[0]


def read(arn: str) -> dict[str, str] | None:
    """Return the tags of a resource, or None when it does not exist or its service is not one of ours."""
    parts = arn.split(":", 5)
    reader = READERS.get(parts[2]) if len(parts) == ARN_PARTS else None
    return reader(arn) if reader else None
