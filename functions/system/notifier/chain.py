"""Distinguishes a record that is in its chain from a planted one, even if the planted one has a correct hash.

A chain's head is in the state item, which is written with the record in one transaction: when a record arrives on the
stream, the head is that record, or a later one that leads back to it.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evenkeel import clock, names
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
"""How far the clocks of two workers may differ: the id of a later record can be lower by as much."""


def read(image: dict[str, Any]) -> Item | None:
    """Return an item of the audit table as plain data, or None if it has values that no record has."""
    try:
        found = unwire(image)
        digest(found)  # fails for values that are not JSON, such as bytes
    except (TypeError, ValueError, AttributeError):
        return None
    return found


def is_of_a_later_release(aws: Aws, record: Item) -> bool:
    """Return whether a record is in its chain and is of a version that this release does not read.

    Raises:
        ClientError, BotoCoreError, UnreadableVersionError: the tables did not answer, or not in a known form.
    """
    texts = all(isinstance(record.get(name), str) for name in ("resource", "record_id", "control", "hash"))
    if not texts or not RECORD.is_newer(record.get("schema_version")) or record["hash"] != record_hash(record):
        return False
    return is_chained(aws, record)


def is_chained(aws: Aws, record: Item) -> bool:
    """Return whether a record, whose ``hash`` is correct, is in the chain of its control and resource.

    This takes one GetItem, and a Query of the later records if the chain has grown since. Both are consistent reads and
    the head is read first, so the records that lead back from it can be read.

    Raises:
        ClientError, BotoCoreError: the tables did not answer; try again.
    """
    stack = os.environ["EVENKEEL_STACK"]
    audit, state = names.audit_table(stack), names.state_table(stack)
    ledger = Ledger(aws, audit, state, "notifier", clock.now)
    wanted = ledger.state(record["control"], record["resource"]).head
    if wanted in {"", record["hash"]}:
        return bool(wanted)
    later = {record_hash(each): each for each in _since(aws, audit, record)}  # computed, not stored hashes
    while wanted in later:
        wanted = later.pop(wanted).get("previous", "")
        if wanted == record["hash"]:
            return True
    return False


def _since(aws: Aws, table: str, record: Item) -> Iterator[Item]:
    """Yield the records of the same resource that may be later; none if the record's id is malformed."""
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
