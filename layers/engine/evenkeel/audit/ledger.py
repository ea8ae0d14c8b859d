"""The ledger: audit records and the state item of each (control, resource), written together or not at all.

The state item carries the chain's head, the lease of whoever is at work, the open plan and what was last announced. One
transaction touches one record and one state item; no item is shared between resources, so waves do not collide.
"""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from evenkeel import canonical
from evenkeel.audit import due_index, records, state_updates
from evenkeel.audit.counters import Counters
from evenkeel.audit.state_item import StateItem
from evenkeel.errors import LeaseHeldError, StaleStateError, UnreadableVersionError, code
from evenkeel.model import Outcome
from evenkeel.runtime.dynamodb import wire
from evenkeel.versions import RECORD, STATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from evenkeel.audit.record_types import EndedRecord, PlannedRecord, Record
    from evenkeel.audit.state_item import Placed
    from evenkeel.model import Request
    from evenkeel.runtime.aws import Aws

Plan = TypeVar("Plan", bound="PlannedRecord")

LEASE = timedelta(seconds=90)
"""How long a worker may be at one resource: the functions' time limit of 60 s and 30 s for clocks that differ."""
LOOK_AGAIN = timedelta(minutes=15)
"""When the clerk asks after a plan that has no outcome."""
_CONFLICT_ATTEMPTS = 5


class Ledger:
    """Reads and writes the two tables for one worker (``owner``)."""

    def __init__(  # noqa: PLR0913, PLR0917 - its two tables, its name, and the world's clock and sleep
        self,
        aws: Aws,
        audit_table: str,
        state_table: str,
        owner: str,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the tables' names and the worker's own."""
        self._aws = aws
        self._audit = audit_table
        self._state = state_table
        self.owner = owner
        self._clock = clock
        self._sleep = sleep
        self.counters = Counters(aws, state_table, clock)

    def state(self, control: str, arn: str) -> StateItem:
        """Read the state item of a control and resource."""
        answer = self._aws(
            "dynamodb", "get_item", TableName=self._state, Key={"pk": {"S": _key(control, arn)}}, ConsistentRead=True
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
            told = f"{arn}: record {record_id} is of schema version {record.get('schema_version')}; update the stack"
            raise UnreadableVersionError(told)
        return record

    def chain(self, control: str, arn: str) -> list[Record]:
        """Return the records of a control and resource from the first to the head, as their hashes chain them.

        Raises:
            BrokenChainError: a record is missing, changed or not in its place.
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

        ``placed`` places a hold in the same transaction, with the record's reason.

        Raises:
            LeaseHeldError: another worker is busy with it.
            StaleStateError: the state item is not ``item`` any more.
        """
        now = self._clock()
        sealed = records.seal(record, item.head, item.head_expires_at)
        hold = state_updates.bare_hold(sealed, placed, record["reason"], now) if placed else {}
        self._advance(
            item,
            sealed,
            {
                **hold,
                "plan": sealed["record_id"],
                "planned_at": int(now.timestamp()),
                "plan_digest": canonical.digest(record["calls"]),
                "lease_owner": self.owner,
                "lease_until": _milliseconds(now + LEASE),
                **due_index.keys("plan", record, now + LOOK_AGAIN),
            },
            tuple(name for name in state_updates.HOLD if name not in hold),
        )
        return sealed

    def adopt(self, control: str, arn: str, item: StateItem) -> None:
        """Take over a plan that another worker left without an outcome.

        Raises:
            LeaseHeldError: another worker is busy with it.
        """
        now = self._clock()
        self._update_state(
            control,
            arn,
            {"lease_owner": self.owner, "lease_until": _milliseconds(now + LEASE)},
            (),
            item.head,
        )

    def release(self, control: str, arn: str, head: str) -> None:
        """Give the lease back with the plan still open."""
        self._update_state(control, arn, {}, ("lease_owner", "lease_until"), head)

    def close(  # noqa: PLR0913 - what an outcome may leave behind
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
        """Write an outcome and give the lease back; ``keep_open`` leaves the plan to be verified later.

        ``rounds`` are the resource's last repairs, this one included; ``left`` is the fingerprint of the finding that
        only people can do something about now; ``hold`` is until when the resource is left alone, and what comes then;
        ``unhold`` ends a hold that the plan placed.

        Raises:
            LeaseHeldError: the lease was lost to another worker.
        """
        sealed = records.seal(record, item_head, record["expires_at"])
        gone: tuple[str, ...] = ("lease_owner", "lease_until")
        changes: dict[str, Any] = {"rounds": list(rounds)} if rounds else {}
        if not keep_open:
            gone = (*gone, "plan", "plan_digest", "planned_at", *due_index.KEYS)
        if record["outcome"] == Outcome.REMEDIATED:  # compliant: what was announced before is news when it comes again
            gone = (*gone, *state_updates.ANNOUNCEMENT)
        if remaining:
            changes |= state_updates.announcement(sealed, self._clock(), remaining)
        if hold:  # what the person left is what they decided about, whatever ids AWS gave it
            changes |= state_updates.hold(sealed, *hold, self._clock()) | state_updates.found_in(sealed["after"])
        elif unhold:
            gone = (*gone, *state_updates.HOLD)
        gone = tuple(name for name in gone if name not in changes)
        self._advance(StateItem(head=item_head), sealed, changes, gone)
        return sealed

    def announce(self, record: EndedRecord, item: StateItem, held: tuple[str, ...] | None = None) -> EndedRecord:
        """Write an outcome that has no plan (ANNOUNCED, DENIED) and remember it, so that it is not said again at once.

        It ends a hold, unless ``held`` is given: the findings that the hold is about from now on.

        Raises:
            LeaseHeldError, StaleStateError: as for :meth:`plan`.
        """
        sealed = records.seal(record, item.head, item.head_expires_at)
        told = state_updates.announcement(sealed, self._clock())
        if held is None:
            self._advance(item, sealed, told, (*state_updates.HOLD, *due_index.KEYS))
        else:
            self._advance(item, sealed, {**told, "hold_findings": list(held)}, ())
        return sealed

    def forget(self, control: str, arn: str, item: StateItem, *, hold_too: bool) -> None:
        """Forget what was announced of a resource that is compliant; ``hold_too``, and what its hold is about.

        Raises:
            LeaseHeldError: the state item is not ``item`` any more.
        """
        put: dict[str, Any] = {"hold_findings": []} if hold_too and item.hold_findings else {}
        self._update_state(control, arn, put, state_updates.ANNOUNCEMENT, item.head)

    def hold(self, record: EndedRecord, item: StateItem, placed: Placed, request: Request) -> EndedRecord:
        """Write an outcome that puts the resource on hold; ``request`` comes again when the hold is due or released.

        Raises:
            LeaseHeldError, StaleStateError: as for :meth:`plan`.
        """
        sealed = records.seal(record, item.head, item.head_expires_at)
        now = self._clock()
        told = state_updates.announcement(sealed, now) if record["announce"] else {}
        put = state_updates.hold(sealed, placed, request, now) | told
        self._advance(item, sealed, put, tuple(name for name in state_updates.HOLD if name not in put))
        return sealed

    def held_by(self, control: str, after: due_index.Entry | None = None) -> Iterator[due_index.Entry]:
        """Yield where what a control holds or keeps for approval stands in the index, in its order, after ``after``."""
        return (
            entry for entry in due_index.find(self._aws, self._state, "held", after=after) if entry.control == control
        )

    def unhold(self, control: str, arn: str, item: StateItem) -> None:
        """End a hold.

        Raises:
            LeaseHeldError: the state item is not ``item`` any more.
        """
        self._update_state(control, arn, {}, (*state_updates.HOLD, "rounds", *due_index.KEYS), item.head)

    def _advance(self, item: StateItem, sealed: PlannedRecord, put: dict[str, Any], remove: tuple[str, ...]) -> None:
        """Put a record and move the state item's head to it, in one transaction."""
        head = {
            "schema_version": STATE.version,
            "head": sealed["hash"],
            "head_expires_at": sealed["expires_at"],
            "head_record": sealed["record_id"],
        }
        update = self._update(sealed["control"], sealed["resource"], {**put, **head}, remove, item.head)
        transaction = [
            {
                "Put": {
                    "TableName": self._audit,
                    "Item": wire(sealed),
                    "ConditionExpression": "attribute_not_exists(record_id)",
                }
            },
            {"Update": {**update, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
        ]
        for attempt in range(1, _CONFLICT_ATTEMPTS + 1):
            try:
                self._aws("dynamodb", "transact_write_items", TransactItems=transaction)
            except ClientError as error:
                if code(error) != "TransactionCanceledException":
                    raise
                reasons = error.response.get("CancellationReasons", [])
                if any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
                    raise self._lost(sealed, reasons) from error
                if attempt == _CONFLICT_ATTEMPTS:
                    raise LeaseHeldError(f"{sealed['resource']}: the tables are busy with it") from error
                self._sleep(random.uniform(0.02, 0.1) * attempt)  # noqa: S311  # nosec B311 - jitter
            else:
                return

    def _lost(self, sealed: PlannedRecord, reasons: Any) -> StaleStateError | LeaseHeldError:
        """Return who was faster: another worker that still holds the lease, or one that has finished."""
        item: dict[str, Any] = next((reason["Item"] for reason in reasons if reason.get("Item")), {})
        if StateItem.of(item).leased_to_other(self.owner, self._clock()):
            return LeaseHeldError(f"{sealed['resource']}: another worker is busy with it")
        return StaleStateError(f"{sealed['resource']}: its state item changed meanwhile", item)

    def _update(
        self, control: str, arn: str, put: dict[str, Any], remove: tuple[str, ...], head: str
    ) -> dict[str, Any]:
        """Return an UpdateItem that holds only while the head is ``head`` and the lease is free or ours."""
        names = {f"#{name}": name for name in (*put, *remove)}
        values = wire({f":{name}": value for name, value in put.items()})
        values |= wire({":me": self.owner, ":now": _milliseconds(self._clock())})
        condition = "(attribute_not_exists(lease_until) OR lease_until < :now OR lease_owner = :me)"
        if head:
            values |= wire({":was": head})
            condition += " AND head = :was"
        else:
            condition += " AND attribute_not_exists(head)"
        parts = []
        if put:
            parts.append("SET " + ", ".join(f"#{name} = :{name}" for name in put))
        if remove:
            parts.append("REMOVE " + ", ".join(f"#{name}" for name in remove))
        return {
            "TableName": self._state,
            "Key": {"pk": {"S": _key(control, arn)}},
            "UpdateExpression": " ".join(parts),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }

    def _update_state(self, control: str, arn: str, put: dict[str, Any], remove: tuple[str, ...], head: str) -> None:
        try:
            self._aws("dynamodb", "update_item", **self._update(control, arn, put, remove, head))
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
            raise LeaseHeldError(f"{arn}: another worker is busy with it") from error


def _key(control: str, arn: str) -> str:
    return f"{control}#{arn}"


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
