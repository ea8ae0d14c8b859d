"""Reads the audit table: day by day through its index, newest first, or one resource's records."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from evenkeel.audit import digests
from evenkeel.audit.records import SHARDS, read
from evenkeel.model import Outcome, Step
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel_cli.aws.session import reaching
from evenkeel_cli.ui import times
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evenkeel.audit.record_types import Record
    from evenkeel_cli.aws.stacks import Stack

WORKERS = 8
"""Shards of a day that are queried in parallel."""
RECORD_ID = re.compile(r"[0-9a-f]{12}-[0-9a-f]{16}")
KINDS = (*(each.value for each in Outcome if each.meaning.audited), Step.PLANNED.value)
"""Kinds of records in a listing: an outcome, or the step of a record without one."""
_BATCH = 100  # keys that one BatchGetItem accepts
_BATCH_TRIES = 8
_SHOWN = 10  # candidates that an error lists


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filter for records; empty fields match any."""

    since: datetime
    control: str = ""
    outcomes: tuple[str, ...] = ()
    resource: str = ""
    """An ARN; in a listing also a part of one, see :meth:`Reader.named`."""
    actor: str = ""
    """Part of the name of the person who caused it, or who decided about it."""

    def admits(self, record: Record) -> bool:
        """Return whether a record matches the filter."""
        if self.control and record.get("control") != self.control:
            return False
        return not self.outcomes or kind(record) in self.outcomes

    def concerns(self, record: Record) -> bool:
        """Return whether a whole record names the actor of the filter."""
        actor = record.get("actor") or {}
        names = (actor.get("principal"), actor.get("owner"), record.get("approver"))
        return any(self.actor.lower() in (name or "").lower() for name in names)


def kind(record: Record) -> str:
    """Return a record's outcome, or ``PLANNED`` for one without."""
    return str(record.get("outcome") or record.get("step") or Step.PLANNED.value)


class Reader:
    """Reads one stack's audit table."""

    def __init__(self, stack: Stack) -> None:
        """Keep the stack; no call is made yet."""
        self._stack = stack
        self._dynamodb = stack.cloud("dynamodb")
        self.table = stack.output("AuditTableName")
        self.state_table = stack.output("StateTableName")

    def newest(self, wanted: Wanted, now: datetime) -> Iterator[Record]:
        """Yield records, newest first: whole ones of a resource, else the outcomes as the index by day has them."""
        with reaching(f"read the audit table of stack {self._stack.name}"):
            if wanted.resource:
                yield from self._of_resource(wanted)
                return
            day = now.date()
            while day >= wanted.since.date():
                yield from self._of_day(f"{day}", wanted)
                day -= timedelta(days=1)

    def chosen(self, wanted: Wanted, now: datetime) -> Iterator[Record]:
        """Yield the whole records that match, newest first; of those ``AWAITING`` only the ones that still wait."""
        found = self.newest(wanted, now)
        while some := list(islice(found, _BATCH)):
            for record in self.whole(some):
                if wanted.concerns(record) and (wanted.outcomes != (Outcome.AWAITING,) or self.holds(record, now)):
                    yield record

    def holds(self, record: Record, now: datetime) -> bool:
        """Return whether a record (of a wait for approval, an undo, …) still holds its resource."""
        arn, control = str(record["resource"]), str(record.get("control", ""))
        item = self.heads(arn, [control]).get((control, arn), {})
        return bool(item.get("hold_record") == record["record_id"] and item["hold_until"] > now.timestamp())

    def named(self, part: str, since: datetime, now: datetime) -> str:
        """Return the ARN of the only resource with an outcome since then whose name is, or contains, ``part``.

        Raises:
            CommandError: there is none, or there are several.
        """
        found = sorted({str(each["resource"]) for each in self.newest(Wanted(since), now)})
        exact = [arn for arn in found if part in {arn.split(":", 5)[-1], re.split("[:/]", arn)[-1]}]
        some = exact or [arn for arn in found if part.lower() in arn.lower()]
        if len(some) == 1:
            return some[0]
        if not some:
            message = f"--resource {part}: no resource of this name has an outcome since {times.shown(since)} UTC"
            raise CommandError(message, "Look further back with --since, or give the whole ARN.", Exit.USAGE)
        shown = ", ".join(some[:_SHOWN]) + (f" and {len(some) - _SHOWN:,} more" if len(some) > _SHOWN else "")
        raise CommandError(
            f"--resource {part} matches several resources: {shown}",
            "Give more of the name, or the whole ARN.",
            Exit.USAGE,
        )

    def _of_resource(self, wanted: Wanted) -> Iterator[Record]:
        for record in self._query(
            KeyConditionExpression="#resource = :arn AND record_id >= :first",
            ExpressionAttributeNames={"#resource": "resource"},
            ExpressionAttributeValues=wire({":arn": wanted.resource, ":first": _first_id(wanted.since)}),
            ConsistentRead=True,
        ):
            if wanted.admits(record):
                yield record

    def _of_day(self, day: str, wanted: Wanted) -> Iterator[Record]:
        """Merge a day's shards; their first pages are fetched in parallel."""
        shards = [self._of_shard(f"{day}#{number:02d}", wanted) for number in range(SHARDS)]
        with ThreadPoolExecutor(WORKERS) as pool:
            begun = list(pool.map(_begun, shards))
        yield from merge(*begun, key=lambda record: str(record["record_id"]), reverse=True)

    def _of_shard(self, shard: str, wanted: Wanted) -> Iterator[Record]:
        found = self._query(
            IndexName="by_day",
            KeyConditionExpression="day_shard = :shard AND record_id >= :first",
            ExpressionAttributeValues=wire({":shard": shard, ":first": _first_id(wanted.since)}),
        )
        return (record for record in found if wanted.admits(record))

    def _query(self, **question: Any) -> Iterator[Record]:
        pages = self._dynamodb.get_paginator("query")
        for page in pages.paginate(TableName=self.table, ScanIndexForward=False, **question):
            yield from map(read, page["Items"])

    def whole(self, found: Sequence[Record]) -> list[Record]:
        """Return the whole records of summaries, in the same order; one that has expired since is left out."""
        by_id: dict[str, Record] = {}
        keys = [wire({"resource": each["resource"], "record_id": each["record_id"]}) for each in found]
        with reaching(f"read the audit table of stack {self._stack.name}"):
            for start in range(0, len(keys), _BATCH):
                by_id |= {record["record_id"]: record for record in self._batch(keys[start : start + _BATCH])}
        return [by_id[each["record_id"]] for each in found if each["record_id"] in by_id]

    def _batch(self, keys: list[Any]) -> Iterator[Record]:
        """Yield whole records; request unprocessed keys again (an answer has at most 16 MB)."""
        asked: Any = {self.table: {"Keys": keys, "ConsistentRead": True}}
        for _ in range(_BATCH_TRIES + len(keys)):
            if not asked:
                return
            answer = self._dynamodb.batch_get_item(RequestItems=asked)
            yield from map(read, answer["Responses"].get(self.table, []))
            asked = answer.get("UnprocessedKeys")
        raise CommandError("DynamoDB did not return all records: the table is throttled", "Run the command again.")

    def record(self, record_id: str, resource: str = "") -> Record:
        """Return one whole record: an outcome by its id alone, any other by its resource, too.

        Raises:
            CommandError: there is none.
        """
        check_id(record_id)
        with reaching(f"look for record {record_id}"):
            arn = resource or self._resource_of(record_id)
            answer = self._dynamodb.get_item(
                TableName=self.table, Key=wire({"resource": arn, "record_id": record_id}), ConsistentRead=True
            ) if arn else {}  # fmt: skip
        if "Item" not in answer:
            where = f"resource {resource}" if resource else f"stack {self._stack.name}"
            day = f"{times.of_record(record_id):%Y-%m-%d}"
            planned = "" if resource else "A PLANNED record needs --resource. "
            raise CommandError(
                f"{where} has no record {record_id}" + ("" if resource else f" among the outcomes of {day}"),
                f"{planned}List the records: {self._stack.line('audit', 'list', since=day, resource=resource)}",
                Exit.USAGE,
            )
        return read(answer["Item"])

    def _resource_of(self, record_id: str) -> str:
        """Return the ARN of an outcome's resource, from the index of its day."""
        day = f"{times.of_record(record_id):%Y-%m-%d}"

        def ask(number: int) -> list[Record]:
            return list(
                self._query(
                    IndexName="by_day",
                    KeyConditionExpression="day_shard = :shard AND record_id = :id",
                    ExpressionAttributeValues=wire({":shard": f"{day}#{number:02d}", ":id": record_id}),
                )
            )

        with ThreadPoolExecutor(WORKERS) as pool:
            return next((str(found[0]["resource"]) for found in pool.map(ask, range(SHARDS)) if found), "")

    def all_of(self, resource: str) -> list[Record]:
        """Return all records of a resource, of every control, oldest first."""
        wanted = Wanted(datetime.fromtimestamp(0, UTC), resource=resource)
        with reaching(f"read the audit records of {resource}"):
            return list(self._of_resource(wanted))[::-1]

    def digests(self) -> list[Record]:
        """Return all items under the daily digests' key, oldest first."""
        return self.all_of(digests.RESOURCE)

    def heads(self, resource: str, controls: Iterable[str]) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the state items of a resource by (control, resource), for the controls that have one."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        with reaching(f"read the state of {resource}"):
            for control in controls:
                answer = self._dynamodb.get_item(
                    TableName=self.state_table, Key=wire({"pk": f"{control}#{resource}"}), ConsistentRead=True
                )
                if "Item" in answer:
                    found[control, resource] = unwire(answer["Item"])
        return found


def check_id(record_id: str) -> None:
    """Check the form of a record id.

    Raises:
        CommandError: it is not a record id.
    """
    if not RECORD_ID.fullmatch(record_id):
        raise CommandError(
            f"{record_id!r} is not a record id",
            "Give one as evenkeel audit list shows it: 12 hex digits, a dash, 16 hex digits.",
            Exit.USAGE,
        )


def _first_id(since: datetime) -> str:
    return f"{int(since.timestamp() * 1000):012x}"


def _begun(records: Iterator[Record]) -> Iterator[Record]:
    """Return the same iterator with its first page fetched."""
    return chain(list(islice(records, 1)), records)
