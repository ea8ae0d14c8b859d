"""Makes the daily digest: the heads of all chains that changed, written to the audit table in parts, each with a MAC.

The newest part with our MAC is all the state there is: it determines which digest is due, where to continue and what to
chain to. So after a crash, a timeout or a missed day the next round just continues. If two clerks run at once, both
write the same key, and only one succeeds.
"""

from __future__ import annotations

import hmac
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel import clock
from evenkeel.audit import digests
from evenkeel.audit.digests import Head, Part
from evenkeel.errors import LeaseHeldError, code
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel.runtime.telemetry import telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evenkeel.audit.digests import Begun
    from evenkeel.runtime.aws import Aws
    from evenkeel.runtime.environment import Environment

logger, _ = telemetry()

STOP_AT_MILLISECONDS = 20_000
"""Time that must remain to read another page of the state table (1 MB) and to write its heads."""


class Digests:
    """Makes one stack's digests; ``key`` is the ARN of the key for their MACs."""

    def __init__(
        self,
        aws: Aws,
        environment: Environment,
        key: str,
        remaining_milliseconds: Callable[[], int],
        clock: Callable[[], datetime] = clock.now,
    ) -> None:
        """Keep the parts."""
        self._aws = aws
        self._audit = environment.audit_table
        self._state = environment.state_table
        self._retention = timedelta(days=environment.retention_days)
        self._key = key
        self._remaining = remaining_milliseconds
        self._clock = clock

    def make_due(self) -> float:
        """Make the digest that is due, if any; return how many seconds ago the newest complete digest began.

        Raises:
            ClientError: a table or KMS refused a call; the next round continues after the last part that was written.
        """
        newest = self._newest()
        begun = digests.due(newest, self._clock())
        if begun:
            try:
                newest = self._make(begun, newest)
            except LeaseHeldError as error:
                logger.info("another clerk makes the digest", reason=str(error))
        return digests.age(newest, self._clock())

    def _newest(self) -> Part | None:
        """Return the newest part with our MAC. Others are skipped, so that a planted part cannot stop the digests."""
        pages = self._aws.pages(
            "dynamodb",
            "query",
            TableName=self._audit,
            KeyConditionExpression="#resource = :digests",
            ExpressionAttributeNames={"#resource": "resource"},
            ExpressionAttributeValues=wire({":digests": digests.RESOURCE}),
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=1,
        )
        return next((part for page in pages for item in page["Items"] if (part := self._ours(item))), None)

    def _ours(self, item: dict[str, Any]) -> Part | None:
        part = Part.read(unwire(item))
        if part and hmac.compare_digest(part.mac, self._mac(part.hash)):
            return part
        logger.critical("not a digest of ours", record_id=item["record_id"])
        return None

    def _mac(self, content: str) -> str:
        mac: bytes = self._aws("kms", "generate_mac", **digests.to_sign(content, self._key))["Mac"]
        return mac.hex()

    def _make(self, begun: Begun, newest: Part | None) -> Part | None:
        """Write parts until the digest is complete or time is short; return the last part written."""
        rest: list[Head] = []
        after = begun.after
        while True:
            found, after = self._page(begun.since, after)
            full, rest = digests.packed([*rest, *found])
            for heads in full:
                newest = self._put(begun, heads, heads[-1].key, newest)
            if not after or self._remaining() < STOP_AT_MILLISECONDS:
                return self._put(begun, rest, after, newest)

    def _page(self, since: str, after: str) -> tuple[list[Head], str]:
        """Return a page of the heads that changed, and the key after which to continue; empty at the end.

        It need not be a consistent read: a head that it misses is newer than the digest, and so in the next one.
        """
        start: dict[str, Any] = {"ExclusiveStartKey": wire({"pk": after})} if after else {}
        answer = self._aws(
            "dynamodb",
            "scan",
            TableName=self._state,
            FilterExpression="attribute_exists(head) AND (attribute_not_exists(head_record) OR head_record >= :since)",
            ExpressionAttributeValues=wire({":since": since}),
            ProjectionExpression="pk, head, head_record, head_expires_at",
            **start,
        )
        last = answer.get("LastEvaluatedKey", {}).get("pk", {}).get("S", "")
        return [Head.of(unwire(item)) for item in answer["Items"]], last

    def _put(self, begun: Begun, heads: Sequence[Head], after: str, previous: Part | None) -> Part | None:
        """Write the next part; if an item that is not ours has its key, use the next key.

        Raises:
            LeaseHeldError: another clerk wrote this part.
        """
        number = previous.number + 1 if previous and previous.day == begun.day else 0
        while True:
            record = digests.sealed(begun, number, heads, after, previous, now=self._clock(), retention=self._retention)
            record["mac"] = self._mac(record["hash"])
            taken = self._taken(record)
            if taken is None:
                logged = {name: record[name] for name in ("record_id", "hash", "previous", "mac")}
                logger.info("digest", heads=len(heads), whole=not after, **logged)
                return Part.read(record)
            if self._ours(taken):
                raise LeaseHeldError(f"digest {record['record_id']}: it exists already")
            number += 1

    def _taken(self, record: dict[str, Any]) -> dict[str, Any] | None:
        """Write a part and return None, or return the item (wire form) that already has its key."""
        try:
            self._aws(
                "dynamodb",
                "put_item",
                TableName=self._audit,
                Item=wire(record),
                ConditionExpression="attribute_not_exists(record_id)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
            answer: dict[str, Any] = {**error.response}
            item: dict[str, Any] = answer["Item"]
            return item
        return None
