"""The state table's index of what is due: the keys an item stands under, and what stands there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from evenkeel.aws import Aws
    from evenkeel.records import Record

KINDS = ("plan", "held")
"""A plan without an outcome is due to be looked at again, a hold to end."""
KEYS = ("due_shard", "due_at")


def keys(kind: str, record: Record, moment: datetime) -> dict[str, Any]:
    """Return the keys under which the state item of the record's resource stands in the index from now on."""
    return {"due_shard": _shard(kind, records.shard(record["resource"])), "due_at": int(moment.timestamp())}


def find(aws: Aws, table: str, kind: str, now: datetime | None = None) -> Iterator[str]:
    """Yield the keys (``control#ARN``) of the state items of one kind: of all, or of those that are due by ``now``.

    A global secondary index follows its table a little later (DynamoDB developer guide, "Using Global Secondary Indexes
    in DynamoDB"): read the item itself before anything is done about it.
    """
    condition, values = "due_shard = :shard", {}
    if now:
        condition, values = f"{condition} AND due_at <= :now", {":now": {"N": str(int(now.timestamp()))}}
    for number in range(records.SHARDS):
        pages = aws.pages(
            "dynamodb",
            "query",
            TableName=table,
            IndexName="due",
            KeyConditionExpression=condition,
            ExpressionAttributeValues={":shard": {"S": _shard(kind, number)}, **values},
        )
        for page in pages:
            yield from (item["pk"]["S"] for item in page["Items"])


def _shard(kind: str, number: int) -> str:
    return f"{kind}#{number:02d}"
