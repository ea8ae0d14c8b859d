"""Distinguishes a record that is in its chain from a planted one, even if the planted one has the right hash.

A chain's head is in the state item, written with the record in one transaction: when a record arrives on the stream,
the head is that record, or one that leads back to it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from evenkeel import names
from evenkeel.audit.ledger import Ledger
from evenkeel.audit.records import record_hash
from evenkeel.canonical import digest
from evenkeel.runtime.dynamodb import unwire
from evenkeel.versions import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.audit.record_types import Item
    from evenkeel.runtime.aws import Aws

CLOCKS = timedelta(minutes=1)
"""How far the clocks of two workers may differ: the id of a later record may be smaller by as much."""


def read(image: dict[str, Any]) -> Item | None:
    """Return an item of the audit table as plain data, or None where it holds what no record of ours does."""
    try:
        found = unwire(image)
        digest(found)  # bytes, for one, are read and are not JSON
    except (TypeError, ValueError, AttributeError):
        return None
    return found


def is_of_a_later_release(aws: Aws, record: Item) -> bool:
    """Return whether a record is in its chain and is of a version that this release does not read.

    Raises:
        ClientError, BotoCoreError, UnreadableVersionError: the tables did not answer, or not in a form that is known.
    """
    texts = all(isinstance(record.get(name), str) for name in ("resource", "record_id", "control", "hash"))
    if not texts or not RECORD.is_newer(record.get("schema_version")) or record["hash"] != record_hash(record):
        return False
    return is_chained(aws, record)


def is_chained(aws: Aws, record: Item) -> bool:
    """Return whether a record, whose ``hash`` is right, is in the chain of its control and resource.

    One GetItem; where the chain has grown since, also a Query of what came after. Both are consistent reads, the head
    first: what leads back from it is there to be read.

    Raises:
        ClientError, BotoCoreError: the tables did not answer; ask again.
    """
    stack = os.environ["EVENKEEL_STACK"]
    audit, state = names.audit_table(stack), names.state_table(stack)
    ledger = Ledger(aws, audit, state, "notifier", lambda: datetime.now(UTC))
    wanted = ledger.state(record["control"], record["resource"]).head
    if wanted in {"", record["hash"]}:
        return bool(wanted)
    later = {record_hash(each): each for each in _since(aws, audit, record)}  # by what they are, not what they say
    while wanted in later:
        wanted = later.pop(wanted).get("previous", "")
        if wanted == record["hash"]:
            return True
    return False


def _since(aws: Aws, table: str, record: Item) -> Iterator[Item]:
    """Yield the records of a record's resource that may have come after it; none where its id is not of our form."""
    try:
        written_at = int(record["record_id"].partition("-")[0], 16)  # milliseconds; see records.new_id
    except ValueError:
        return
    since = f"{written_at - int(CLOCKS.total_seconds() * 1000):012x}"
    pages = aws.pages(
        "dynamodb",
        "query",
        TableName=table,
        KeyConditionExpression="#resource = :arn AND record_id >= :since",
        ExpressionAttributeNames={"#resource": "resource"},
        ExpressionAttributeValues={":arn": {"S": record["resource"]}, ":since": {"S": since}},
        ConsistentRead=True,
    )
    found = (read(item) for page in pages for item in page["Items"])
    yield from (each for each in found if each is not None)
