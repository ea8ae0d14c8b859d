"""Counters in the state table: the blast radius, allowances, reports that are made once, nonces."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.errors import LeaseHeldError, code
from evenkeel.runtime.dynamodb import unwire, wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.control import Radius
    from evenkeel.runtime.aws import Aws

CONTROL_HOLD = timedelta(days=1)
"""How long a control that reached its blast radius changes nothing, unless people release it."""
_ATTEMPTS = 5
_HELD = ("held_until", "held_at", "held_by", "held_limit", "held_changes", "held_window_seconds")
_FREE = "(attribute_not_exists(held_until) OR held_until < :now OR held_changes < :limit)"


@dataclass(frozen=True, slots=True)
class Counted:
    """The result of counting one more change: allowed, or held until a time.

    ``first`` is true for the change that reached the limit. The other fields describe the limit that was reached, and
    when; ``at`` is None in holds of earlier versions, which did not store that.
    """

    held_until: datetime | None = None
    first: bool = False
    at: datetime | None = None
    limit: int = 0
    changes: int = 0
    window_seconds: int = 0

    @classmethod
    def of(cls, item: dict[str, Any], *, first: bool) -> Counted:
        """Return the hold of a counter's item."""
        stored = {
            name: int(item[f"held_{name}"]) for name in ("limit", "changes", "window_seconds") if "held_at" in item
        }
        at = datetime.fromtimestamp(item["held_at"], UTC) if stored else None
        return cls(datetime.fromtimestamp(item["held_until"], UTC), first, at, **stored)


class Counters:
    """Atomic counters; no counter is part of a transaction."""

    def __init__(self, aws: Aws, table: str, clock: Callable[[], datetime]) -> None:
        """Keep the state table's name."""
        self._aws = aws
        self._table = table
        self._clock = clock

    def count(self, name: str, radius: Radius, owner: str = "", *, check_only: bool = False) -> Counted:
        """Count one more change against the blast radius of ``name`` (control and account).

        ``check_only`` counts nothing and only returns whether the control is held. ``owner`` identifies the change: a
        second call for the change that reached the limit returns the same, so that a crash before the alert does not
        lose it.

        The item has the window, its count and, once the limit is reached, the end of the hold and the number of
        changes; so the one conditional update that counts also checks the hold. A limit above that number is not held:
        raising it in the settings ends the hold. A crash after the update counts one change too many, which is safe.
        """
        now = self._clock()
        moment = int(now.timestamp())
        if check_only:
            item = self._read(f"radius#{name}")
            held = _is_held(item, moment, radius.limit)
            return Counted.of(item, first=_is_by(item, owner)) if held else Counted()
        window = moment - moment % radius.window_seconds
        expires = moment + int(CONTROL_HOLD.total_seconds()) + 2 * radius.window_seconds
        common = {":now": moment, ":expires": expires, ":limit": radius.limit}
        one = {":one": 1}
        for _ in range(_ATTEMPTS):
            here = {**common, ":window": window}
            old = self._update(
                f"radius#{name}",
                "SET #window = :window, #count = if_not_exists(#count, :zero) + :one, expires_at = :expires",
                f"(attribute_not_exists(#window) OR (#window = :window AND #count < :limit)) AND {_FREE}",
                {**here, **one, ":zero": 0},
            )
            if old is None:
                return Counted()
            if _is_held(old, moment, radius.limit):
                return Counted.of(old, first=_is_by(old, owner))
            if old.get("window", 0) < window:
                begin = "SET #window = :window, #count = :one, expires_at = :expires"
                fresh = f"#window < :window AND {_FREE}"
                if self._update(f"radius#{name}", begin, fresh, {**here, **one}) is None:
                    return Counted()
                continue
            if old["window"] > window:  # another worker's clock is already past the window's end
                window = old["window"]
                continue
            hold = {
                "held_until": int((now + CONTROL_HOLD).timestamp()),
                "held_at": moment,
                "held_by": owner,
                "held_limit": radius.limit,
                "held_changes": old["count"],
                "held_window_seconds": radius.window_seconds,
            }
            full = f"#window = :window AND #count = :held_changes AND {_FREE}"
            put = ", ".join(f"{each} = :{each}" for each in hold)
            values = {**here, **{f":{each}": value for each, value in hold.items()}}
            if self._update(f"radius#{name}", f"SET {put}, expires_at = :expires", full, values) is None:
                return Counted.of(hold, first=True)
        raise LeaseHeldError(f"{name}: its counter is busy")

    def release(self, name: str) -> None:
        """Let a control that reached its blast radius change resources again, with a full allowance."""
        removal = f"REMOVE {', '.join(_HELD)}, #window, #count"
        self._update(f"radius#{name}", removal, "attribute_exists(pk)", {})

    def take(self, name: str, limit: int, expires_at: datetime) -> bool:
        """Take one of ``limit``; return whether there was one left. The count is deleted after ``expires_at``."""
        values = {":zero": 0, ":one": 1, ":limit": limit, ":expires": int(expires_at.timestamp())}
        change = "SET #count = if_not_exists(#count, :zero) + :one, expires_at = :expires"
        return self._update(name, change, "attribute_not_exists(#count) OR #count < :limit", values) is None

    def give_back(self, name: str) -> None:
        """Return one that was taken."""
        self._update(name, "SET #count = #count - :one", "#count >= :one", {":one": 1})

    def first_today(self, name: str, owner: str) -> bool:
        """Return whether ``owner`` is the first of the day (UTC) to report ``name``.

        A second call by the same owner returns the same, so that a crash before the report does not lose it.
        """
        now = self._clock()
        values = {":expires": int((now + timedelta(days=2)).timestamp()), ":told": owner}
        first = "attribute_not_exists(pk) OR told_by = :told"
        change = "SET expires_at = :expires, told_by = :told"
        return self._update(f"once#{name}#{now:%Y-%m-%d}", change, first, values) is None

    def should_report(self, name: str, value: str, owner: str, quiet: timedelta) -> bool:
        """Return whether to report that ``name`` now has ``value``.

        It is reported if it had another value, or if the last report is older than ``quiet``. A second call by the same
        owner returns the same, until another owner's report.
        """
        now = self._clock()
        values = {
            ":to": value,
            ":by": owner,
            ":now": int(now.timestamp()),
            ":since": int((now - quiet).timestamp()),
            ":expires": int((now + timedelta(days=2)).timestamp()),
        }
        due = "attribute_not_exists(pk) OR turned_to <> :to OR turned_at < :since OR turned_by = :by"
        change = "SET turned_to = :to, turned_at = :now, turned_by = :by, expires_at = :expires"
        return self._update(f"turned#{name}", change, due, values) is None

    def first_use(self, name: str, expires_at: datetime) -> bool:
        """Return whether ``name`` (a nonce) is used for the first time; it is deleted after ``expires_at``."""
        values = {":expires": int(expires_at.timestamp())}
        return self._update(f"once#{name}", "SET expires_at = :expires", "attribute_not_exists(pk)", values) is None

    def _read(self, key: str) -> dict[str, Any]:
        answer = self._aws("dynamodb", "get_item", TableName=self._table, Key={"pk": {"S": key}}, ConsistentRead=True)
        return unwire(answer.get("Item", {}))

    def _update(self, key: str, change: str, condition: str, values: dict[str, Any]) -> dict[str, Any] | None:
        """Update an item on a condition; return None, or the present item if the condition is not met."""
        aliases = {alias: alias[1:] for alias in ("#count", "#window") if alias in f"{change} {condition}"}
        params: dict[str, Any] = {"ExpressionAttributeNames": aliases} if aliases else {}
        if values:
            params["ExpressionAttributeValues"] = wire(values)
        try:
            self._aws(
                "dynamodb",
                "update_item",
                TableName=self._table,
                Key={"pk": {"S": key}},
                UpdateExpression=change,
                ConditionExpression=condition,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **params,
            )
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
            return unwire(error.response.get("Item", {}))  # type: ignore[arg-type] # the modelled shape lacks it
        return None


def _is_by(item: dict[str, Any], owner: str) -> bool:
    """Return whether ``owner`` reached the limit; earlier versions did not store the owner."""
    return bool(owner) and item.get("held_by") == owner


def _is_held(item: dict[str, Any], moment: int, limit: int) -> bool:
    """Return whether a counter's item holds changes under a limit; earlier versions stored no number of changes."""
    return bool(item.get("held_until", 0) >= moment and item.get("held_changes", limit) >= limit)
