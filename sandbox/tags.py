"""Read a resource's tags in the engine's own stores, by ARN, for the services whose tag changes become events."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

RESOURCE_TYPES = {"kms": "key", "dynamodb": "table", "logs": "log-group", "s3": "bucket", "lambda": "function",
                  "sns": "topic", "sqs": "queue"}  # fmt: skip
"""Service of an ARN to the ``resource-type`` of its tag change events."""

ARN_PARTS = 6


def _store(module: str) -> Any:
    return importlib.import_module(f"ministack.services.{module}")


def _tail(arn: str) -> str:
    return arn.split(":", 5)[5]


def _kms(arn: str) -> dict[str, str] | None:
    record = _store("kms")._resolve_key(arn)
    return None if record is None else {each["TagKey"]: each["TagValue"] for each in record.get("Tags") or []}


def _dynamodb(arn: str) -> dict[str, str] | None:
    store = _store("dynamodb")
    table = store._tables.get(_tail(arn).removeprefix("table/"))
    if table is None:
        return None
    return dict(table.get("tags") or {}) | {each["Key"]: each["Value"] for each in store._tags.get(arn) or []}


def _logs(arn: str) -> dict[str, str] | None:
    group = _store("cloudwatch_logs")._log_groups.get(_tail(arn).removeprefix("log-group:"))
    return None if group is None else dict(group.get("tags") or {})


def _s3(arn: str) -> dict[str, str] | None:
    store = _store("s3")
    name = _tail(arn)
    return dict(store._bucket_tags.get(name) or {}) if name in store._buckets else None


def _lambda(arn: str) -> dict[str, str] | None:
    function = _store("lambda_svc")._functions.get(_tail(arn).removeprefix("function:").partition(":")[0])
    return None if function is None else dict(function.get("tags") or {})


def _sns(arn: str) -> dict[str, str] | None:
    topic = _store("sns")._topics.get(arn)
    return None if topic is None else dict(topic.get("tags") or {})


def _sqs(arn: str) -> dict[str, str] | None:
    for queue in _store("sqs")._queues.values():
        if queue.get("attributes", {}).get("QueueArn") == arn:
            return dict(queue.get("tags") or {})
    return None


READERS: dict[str, Callable[[str], dict[str, str] | None]] = {
    "kms": _kms, "dynamodb": _dynamodb, "logs": _logs, "s3": _s3, "lambda": _lambda, "sns": _sns, "sqs": _sqs,
}  # fmt: skip


def read(arn: str) -> dict[str, str] | None:
    """Return the tags of a resource, or None when it does not exist or its service is not one of ours."""
    parts = arn.split(":", 5)
    reader = READERS.get(parts[2]) if len(parts) == ARN_PARTS else None
    return reader(arn) if reader else None
