"""The ledger: audit records and the state item of each (control, resource), written together or not at all.

The state item has the chain's head, the worker's lease, the open plan and the last announcement. One transaction
writes one record and one state item; resources share no item, so many resources at once do not conflict.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from evenkeel import canonical
from evenkeel.audit import due_index, records, state_updates
from evenkeel.audit.conditional_writes import ConditionalWrites, milliseconds, state_key
from evenkeel.audit.counters import Counters
from evenkeel.audit.state_item import StateItem
from evenkeel.errors import UnreadableVersionError
from evenkeel.model import Outcome
from evenkeel.versions import RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evenkeel.audit.record_types import EndedRecord, PlannedRecord, Record
    from evenkeel.audit.state_item import Placed
    from evenkeel.model import Request
    from evenkeel.runtime.aws import Aws

Plan = TypeVar("Plan", bound="PlannedRecord")

LEASE = timedelta(seconds=90)
"""How long a worker's lease on a resource lasts: the functions' timeout of 60 s, and 30 s for clocks that differ."""
RECHECK_AFTER = timedelta(minutes=15)
"""When the clerk checks a plan that has no outcome."""


class Ledger:
    """Reads and writes the two tables for one worker (``owner``)."""

    def __init__(  # noqa: PLR0913, PLR0917 - two tables, the worker's name, and everything outside
        self,
        aws: Aws,
        audit_table: str,
        state_table: str,
        owner: str,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the tables' names and the worker's."""
        self._aws = aws
        self._audit = audit_table
        self._state = state_table
        self.owner = owner
        self._clock = clock
        self._writes = ConditionalWrites(aws, audit_table, state_table, owner, clock, sleep)
        self.counters = Counters(aws, state_table, clock)

    def state(self, control: str, arn: str) -> StateItem:
        """Read the state item of a control and resource."""
        answer = self._aws(
            "dynamodb",
            "get_item",
            TableName=self._state,
            Key={"pk": {"S": state_key(control, arn)}},
            ConsistentRead=True,
        )
        return StateItem.of(answer.get("Item", {}))

    def record(self, arn: str, record_id: str) -> Record | None:
        """Read one audit record.

        Raises:
            UnreadableVersionError: a later release wrote it.
        """
        key = {"resource": {"S": arn}, "record_id": {"S": record_id}}
        answer = self._aws("dynamodb", "get_item", TableName=self._audit, Key=key, ConsistentRead=True)
        record = records.read(answer["Item"]) if "Item" in answer else None
        if record and not RECORD.reads(record.get("schema_version")):
            raise UnreadableVersionError(
                f"{arn}: record {record_id} is of schema version {record.get('schema_version')}; update the stack"
            )
        return record

    def chain(self, control: str, arn: str) -> list[Record]:
        """Return the records of a control and resource in the order of their chain, from the first to the head.

        Raises:
            BrokenChainError: a record is missing, was changed or is not in the chain.
        """
        pages = self._aws.pages(
            "dynamodb",
            "query",
            TableName=self._audit,
            KeyConditionExpression="#resource = :arn",
            FilterExpression="control = :control",
            ExpressionAttributeNames={"#resource": "resource"},
            ExpressionAttributeValues={":arn": {"S": arn}, ":control": {"S": control}},
            ConsistentRead=True,
        )
        found = [records.read(item) for page in pages for item in page["Items"]]
        return records.chained(found, self.state(control, arn).head, arn, self._clock())

    def plan(self, record: Plan, item: StateItem, *, placed: Placed | None = None) -> Plan:
        """Write a PLANNED record and take the lease; return the record as written.

        ``placed`` is a hold to place in the same transaction, with the record's reason.

        Raises:
            LeaseHeldError: another worker holds the lease.
            StaleStateError: the state item has changed since ``item`` was read.
        """
        now = self._clock()
        sealed = records.seal(record, item.head, item.head_expires_at)
        hold = state_updates.bare_hold(sealed, placed, record["reason"], now) if placed else {}
        self._writes.advance(
            item.head,
            sealed,
            {
                **hold,
                "plan": sealed["record_id"],
                "planned_at": int(now.timestamp()),
                "plan_digest": canonical.digest(record["calls"]),
                "lease_owner": self.owner,
                "lease_until": milliseconds(now + LEASE),
                **due_index.keys("plan", record, now + RECHECK_AFTER),
            },
            tuple(name for name in state_updates.HOLD if name not in hold),
        )
        return sealed

    def adopt(self, control: str, arn: str, item: StateItem) -> None:
        """Take over a plan that another worker left open.

        Raises:
            LeaseHeldError: another worker holds the lease.
        """
        now = self._clock()
        self._writes.update(
            control,
            arn,
            {"lease_owner": self.owner, "lease_until": milliseconds(now + LEASE)},
            (),
            item.head,
        )

    def release(self, control: str, arn: str, head: str) -> None:
        """Release the lease with the plan still open."""
        self._writes.update(control, arn, {}, ("lease_owner", "lease_until"), head)

    def close(  # noqa: PLR0913 - all that an outcome may change on the state item
        self,
        item_head: str,
        record: EndedRecord,
        *,
        keep_open: bool = False,
        rounds: Sequence[dict[str, Any]] = (),
        remaining: str = "",
        hold: tuple[Placed, Request] | None = None,
        unhold: bool = False,
    ) -> EndedRecord:
        """Write an outcome and release the lease; ``keep_open`` leaves the plan open, to be verified later.

        ``rounds`` are the resource's latest repairs, including this one. ``remaining`` is the fingerprint of a finding
        that is left for people to fix. ``hold`` is a hold to place, and the request that is sent again when it ends.
        ``unhold`` ends a hold that the plan placed.

        Raises:
            LeaseHeldError: the lease was lost to another worker.
        """
        sealed = records.seal(record, item_head, record["expires_at"])
        remove: tuple[str, ...] = ("lease_owner", "lease_until")
        changes: dict[str, Any] = {"rounds": list(rounds)} if rounds else {}
        if not keep_open:
            remove = (*remove, "plan", "plan_digest", "planned_at", *due_index.KEYS)
        if record["outcome"] == Outcome.REMEDIATED:  # compliant: if the same finding recurs, it is announced again
            remove = (*remove, *state_updates.ANNOUNCEMENT)
        if remaining:
            changes |= state_updates.announcement(sealed, self._clock(), remaining)
        if hold:  # the person decided about the state after the change, with the ids that AWS assigned
            changes |= state_updates.hold(sealed, *hold, self._clock()) | state_updates.announced_state(sealed["after"])
        elif unhold:
            remove = (*remove, *state_updates.HOLD)
        remove = tuple(name for name in remove if name not in changes)
        self._writes.advance(item_head, sealed, changes, remove)
        return sealed

    def announce(self, record: EndedRecord, item: StateItem, held: tuple[str, ...] | None = None) -> EndedRecord:
        """Write an outcome without a plan (ANNOUNCED, DENIED) and remember it, so that it is not announced again soon.

        It ends a hold, unless ``held`` is given: the findings that the hold covers from now on.

        Raises:
            LeaseHeldError, StaleStateError: as for :meth:`plan`.
        """
        sealed = records.seal(record, item.head, item.head_expires_at)
        announcement = state_updates.announcement(sealed, self._clock())
        if held is None:
            self._writes.advance(item.head, sealed, announcement, (*state_updates.HOLD, *due_index.KEYS))
        else:
            self._writes.advance(item.head, sealed, {**announcement, "hold_findings": list(held)}, ())
        return sealed

    def forget(self, control: str, arn: str, item: StateItem, *, hold_too: bool) -> None:
        """Forget the announcement about a resource that is compliant; ``hold_too`` also clears its hold's findings.

        Raises:
            LeaseHeldError: the state item has changed since ``item`` was read.
        """
        put: dict[str, Any] = {"hold_findings": []} if hold_too and item.hold_findings else {}
        self._writes.update(control, arn, put, state_updates.ANNOUNCEMENT, item.head)

    def hold(self, record: EndedRecord, item: StateItem, placed: Placed, request: Request) -> EndedRecord:
        """Write an outcome that puts the resource on hold; ``request`` is sent again when the hold ends.

        Raises:
            LeaseHeldError, StaleStateError: as for :meth:`plan`.
        """
        sealed = records.seal(record, item.head, item.head_expires_at)
        now = self._clock()
        announcement = state_updates.announcement(sealed, now) if record["announce"] else {}
        put = state_updates.hold(sealed, placed, request, now) | announcement
        self._writes.advance(item.head, sealed, put, tuple(name for name in state_updates.HOLD if name not in put))
        return sealed

    def held_by(self, control: str, after: due_index.Entry | None = None) -> Iterator[due_index.Entry]:
        """Yield the index entries of what a control holds, in the index's order, beginning after ``after``."""
        return (
            entry for entry in due_index.find(self._aws, self._state, "held", after=after) if entry.control == control
        )

    def unhold(self, control: str, arn: str, item: StateItem) -> None:
        """End a hold.

        Raises:
            LeaseHeldError: the state item has changed since ``item`` was read.
        """
        self._writes.update(control, arn, {}, (*state_updates.HOLD, "rounds", *due_index.KEYS), item.head)
