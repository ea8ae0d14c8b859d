"""The ledger's writes: each succeeds only if the chain's head is as it was read and no other worker has the lease."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.audit.state_item import StateItem
from evenkeel.errors import LeaseHeldError, StaleStateError, code
from evenkeel.runtime.dynamodb import wire
from evenkeel.versions import STATE

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from evenkeel.audit.record_types import PlannedRecord
    from evenkeel.runtime.aws import Aws

_CONFLICT_ATTEMPTS = 5


class ConditionalWrites:
    """Writes to the two tables for one worker (``owner``)."""

    def __init__(  # noqa: PLR0913, PLR0917 - as the ledger
        self,
        aws: Aws,
        audit_table: str,
        state_table: str,
        owner: str,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        """Keep the tables' names and the worker's."""
        self._aws = aws
        self._audit = audit_table
        self._state = state_table
        self._owner = owner
        self._clock = clock
        self._sleep = sleep

    def advance(self, previous: str, sealed: PlannedRecord, put: dict[str, Any], remove: tuple[str, ...]) -> None:
        """Put a record and set the state item's head to it, in one transaction.

        ``previous`` is the hash of the head before, ``put`` and ``remove`` are further changes of the state item.

        Raises:
            LeaseHeldError: another worker holds the lease, or the tables are busy.
            StaleStateError: the head is not ``previous`` any more.
        """
        head = {
            "schema_version": STATE.version,
            "head": sealed["hash"],
            "head_expires_at": sealed["expires_at"],
            "head_record": sealed["record_id"],
        }
        update = self._update(sealed["control"], sealed["resource"], {**put, **head}, remove, previous)
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
                    raise self._refused(sealed, reasons) from error
                if attempt == _CONFLICT_ATTEMPTS:
                    raise LeaseHeldError(f"{sealed['resource']}: the tables are busy with it") from error
                self._sleep(random.uniform(0.02, 0.1) * attempt)  # noqa: S311  # nosec B311 - jitter
            else:
                return

    def _refused(self, sealed: PlannedRecord, reasons: Any) -> StaleStateError | LeaseHeldError:
        """Return the error of a failed condition: another worker holds the lease, or has finished meanwhile."""
        item: dict[str, Any] = next((reason["Item"] for reason in reasons if reason.get("Item")), {})
        if StateItem.of(item).leased_to_other(self._owner, self._clock()):
            return LeaseHeldError(f"{sealed['resource']}: another worker is busy with it")
        return StaleStateError(f"{sealed['resource']}: its state item changed meanwhile", item)

    def _update(
        self, control: str, arn: str, put: dict[str, Any], remove: tuple[str, ...], head: str
    ) -> dict[str, Any]:
        """Return an UpdateItem on the condition that the head is ``head`` and the lease is free or ours."""
        names = {f"#{name}": name for name in (*put, *remove)}
        values = wire({f":{name}": value for name, value in put.items()})
        values |= wire({":me": self._owner, ":now": milliseconds(self._clock())})
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
            "Key": {"pk": {"S": state_key(control, arn)}},
            "UpdateExpression": " ".join(parts),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }

    def update(self, control: str, arn: str, put: dict[str, Any], remove: tuple[str, ...], head: str) -> None:
        """Change the state item alone.

        Raises:
            LeaseHeldError: another worker holds the lease, or the head is not ``head`` any more.
        """
        try:
            self._aws("dynamodb", "update_item", **self._update(control, arn, put, remove, head))
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
            raise LeaseHeldError(f"{arn}: another worker is busy with it") from error


def state_key(control: str, arn: str) -> str:
    """Return the key of a state item."""
    return f"{control}#{arn}"


def milliseconds(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return int(moment.timestamp() * 1000)
