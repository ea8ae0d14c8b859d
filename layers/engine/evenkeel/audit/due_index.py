"""The state table's index of due items: open plans to check and holds to end, by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evenkeel.audit import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from evenkeel.audit.record_types import FindingRecord
    from evenkeel.runtime.aws import Aws

KINDS = ("plan", "held")
"""A plan without an outcome is due to be checked again, a hold to end."""
KEYS = ("due_shard", "due_at")


@dataclass(frozen=True, slots=True)
class Entry:
    """The position of a state item in the index."""

    kind: str
    shard: int
    at: int
    """Seconds since 1970."""
    key: str
    """The state item's key: ``control#ARN``."""

    @property
    def control(self) -> str:
        """The control's id."""
        return self.key.partition("#")[0]

    @property
    def arn(self) -> str:
        """The resource's ARN."""
        return self.key.partition("#")[2]

    @property
    def due_shard(self) -> str:
        """The index's partition key."""
        return _shard(self.kind, self.shard)


def keys(kind: str, record: FindingRecord, moment: datetime) -> dict[str, Any]:
    """Return the index keys that make the state item of a record's resource due at ``moment``."""
    return {"due_shard": _shard(kind, records.shard(record["resource"])), "due_at": int(moment.timestamp())}


def find(aws: Aws, table: str, kind: str, now: datetime | None = None, after: Entry | None = None) -> Iterator[Entry]:
    """Yield the entries of one kind, by shard and time: all of them or those due by ``now``, beginning after ``after``.

    A global secondary index is eventually consistent (DynamoDB developer guide, "Using Global Secondary Indexes in
    DynamoDB"): read the item itself before acting on an entry.
    """
    condition, values = "due_shard = :shard", {}
    if now:
        condition, values = f"{condition} AND due_at <= :now", {":now": {"N": str(int(now.timestamp()))}}
    for number in range(after.shard if after else 0, records.SHARDS):
        pages = aws.pages(
            "dynamodb",
            "query",
            TableName=table,
            IndexName="due",
            KeyConditionExpression=condition,
            ExpressionAttributeValues={":shard": {"S": _shard(kind, number)}, **values},
            **(_start(after) if after and after.shard == number else {}),
        )
        for page in pages:
            yield from (Entry(kind, number, int(item["due_at"]["N"]), item["pk"]["S"]) for item in page["Items"])


def _start(after: Entry) -> dict[str, Any]:
    """Return the parameters with which a query continues after an entry, which may have been removed since."""
    place = {"pk": {"S": after.key}, "due_shard": {"S": after.due_shard}, "due_at": {"N": str(after.at)}}
    return {"ExclusiveStartKey": place}


def _shard(kind: str, number: int) -> str:
    return f"{kind}#{number:02d}"
