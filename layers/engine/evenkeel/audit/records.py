"""The audit record: its fields, its time-ordered id, and the hash that chains it to the previous one; pure."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, TypeVar, cast

from evenkeel import canonical
from evenkeel.errors import BrokenChainError
from evenkeel.events.message import actor_form, cause_form
from evenkeel.model import Call, Step
from evenkeel.runtime.dynamodb import unwire
from evenkeel.versions import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from evenkeel.audit.record_types import (
        ApiCall,
        EndedRecord,
        EndedUndo,
        FindingRecord,
        Item,
        PlannedRecord,
        PlannedUndo,
        Record,
    )
    from evenkeel.model import Change, Mode, Outcome, Request, Severity, State

Sealed = TypeVar("Sealed", bound="Item")

SHARDS = 16
"""Partitions of the index by day, so that many outcomes at once do not throttle one partition."""
MAX_STATE_BYTES = 80_000
"""Of a larger state only its size and hash are stored."""
MAX_CHANGE_BYTES = 220_000
"""A finding with a larger record is not changed: an item of DynamoDB holds 400 KB (developer guide, "Quotas"), and the
records of the outcome and of an undo have up to two states more."""
MAX_TEXT_BYTES = 4_000
"""Longer texts are cut; some contain error messages from AWS."""
MAX_WORDS = 1024
"""Characters of each text that a person may send: it becomes part of a record, or a key in DynamoDB."""
_UNHASHED = frozenset({"hash", "expires_at"})
_EVIDENCE = {"truncated", "bytes", "sha256"}  # of a state that is too large


class RecordSubject(Protocol):
    """What a record is about: a control, or a part of the stack itself."""

    @property
    def id(self) -> str:
        """The id of the control or part."""

    @property
    def title(self) -> str:
        """One sentence."""

    @property
    def severity(self) -> Severity:
        """Its severity."""


def new_id(now: datetime) -> str:
    """Return a record id that sorts by time: 12 hex digits of milliseconds since 1970, then 16 random ones."""
    return f"{int(now.timestamp() * 1000):012x}-{secrets.token_hex(8)}"


def timestamp(now: datetime) -> str:
    """Return ISO 8601 in UTC with milliseconds."""
    return now.isoformat(timespec="milliseconds")


def seal(record: Sealed, previous: str, previous_expires_at: int = 0) -> Sealed:
    """Return the record chained to the previous one, whose hash is ``previous``; it is empty for the first.

    ``previous_expires_at`` (seconds since 1970) is when the previous record's time-to-live ends.
    """
    plain: dict[str, Any] = canonical.plain(record)
    plain["previous"] = previous
    if previous and previous_expires_at:
        plain["previous_expires_at"] = previous_expires_at
    plain["hash"] = record_hash(plain)
    return cast("Sealed", plain)


def record_hash(record: Item) -> str:
    """Return the hash that a record must have: over all fields except the hash and the time-to-live."""
    return canonical.digest({name: value for name, value in record.items() if name not in _UNHASHED})


def chained(found: Iterable[Record], head: str, arn: str, now: datetime) -> list[Record]:
    """Return the records in the order of their chain, after checking each hash and link back from ``head``.

    The chain may begin later than with its first record if the time-to-live has deleted earlier ones.

    Raises:
        BrokenChainError: names the record that is changed, or the hash that is missing.
    """
    by_hash = {record["hash"]: record for record in found}
    ordered: list[Record] = []
    wanted = head
    while wanted:
        record = by_hash.pop(wanted, None)
        if record is None and ordered and 0 < ordered[-1].get("previous_expires_at", 0) <= now.timestamp():
            break
        if record is None:
            raise BrokenChainError(f"{arn}: the audit record with hash {wanted} is missing or was replaced")
        if record_hash(record) != wanted:
            raise BrokenChainError(f"{arn}: audit record {record['record_id']} was changed after it was written")
        ordered.append(record)
        wanted = record["previous"]
    by_hash = {key: each for key, each in by_hash.items() if not 0 < each.get("expires_at", 0) <= now.timestamp()}
    if by_hash:
        planted = min(record["record_id"] for record in by_hash.values())
        raise BrokenChainError(f"{arn}: audit record {planted} is not in the chain")
    return ordered[::-1]


def read(item: dict[str, Any]) -> Record:
    """Return an item of the audit table (wire form) as a record; only its chain proves that Evenkeel wrote it."""
    return cast("Record", unwire(item))


def fits(state: State) -> bool:
    """Return whether a state is small enough to be stored in full."""
    return _size(state) <= MAX_STATE_BYTES


def evidence(state: State) -> State:
    """Return a state as it is stored: one that is too large is replaced by its size and hash."""
    return state if fits(state) else {"truncated": True, "bytes": _size(state), "sha256": canonical.digest(state)}


def is_whole(record: FindingRecord) -> bool:
    """Return whether a record's states and parameters are stored as they were, so that they can be compared."""
    after = cast("EndedRecord", record).get("after")
    return not any(part and part.keys() == _EVIDENCE for part in (record["before"], after, record["parameters"]))


def too_large(finding: FindingRecord) -> str:
    """Return why a finding is too large to be changed, or an empty string: without a full record, undo cannot work."""
    if is_whole(finding) and _size(finding) <= MAX_CHANGE_BYTES:
        return ""
    calls, undo = (f"{len(each)} (SHA-256 {canonical.digest(each)})" for each in (finding["calls"], finding["undo"]))
    left_out = f"calls left out: {calls}, and to undo them {undo}"
    return f"too large to be recorded in full, so Evenkeel does not change it; change it by hand; {left_out}"


def _size(value: Any) -> int:
    """Return the size of a value as JSON, in bytes; DynamoDB counts less for texts (developer guide, "Item sizes")."""
    return len(json.dumps(canonical.plain(value), ensure_ascii=False).encode())


def _text(text: str) -> str:
    kept = text.encode(errors="replace")
    return text if len(kept) <= MAX_TEXT_BYTES else f"{kept[:MAX_TEXT_BYTES].decode(errors='ignore')}… (cut)"


def _written(calls: Iterable[Call]) -> list[ApiCall]:
    return [{"service": call.service, "operation": call.operation, "params": call.params} for call in calls]


def calls_of(written: Iterable[ApiCall]) -> tuple[Call, ...]:
    """Return a record's calls."""
    return tuple(Call(each["service"], each["operation"], each["params"]) for each in written)


def finding_record(  # noqa: PLR0913 - a record is made of all these
    control: RecordSubject,
    request: Request,
    *,
    now: datetime,
    mode: Mode,
    settings_version: str,
    parameters: dict[str, Any],
    reason: str,
    before: State,
    change: Change | None,
    remains: str,
    retention_days: int,
) -> FindingRecord:
    """Return the fields of every record about a finding; :func:`planned` and :func:`ended` complete it."""
    record: FindingRecord = {
        "schema_version": RECORD.version,
        "resource": request.resource.arn,
        "control": control.id,
        "title": control.title,
        "severity": str(control.severity),
        "mode": str(mode),
        "account": request.resource.account,
        "region": request.resource.region,
        "reason": _text(reason),
        "remains": _text(remains),
        "before": evidence(before),
        "calls": _written(change.calls) if change else [],
        "undo": _written(change.undo) if change else [],
        "residue": _text(change.residue) if change else "",
        "actor": actor_form(request.actor),
        "cause": cause_form(request.cause),
        "settings_version": settings_version,
        "parameters": evidence(parameters),
        "creates": request.creates,
        "waited": _text(request.waited),
        "expires_at": int((now + timedelta(days=retention_days)).timestamp()),
    }
    if request.run:
        record["run"] = request.run
    return record


def planned(finding: FindingRecord, now: datetime) -> PlannedRecord:
    """Return the record that is written before the first call."""
    return {**finding, "record_id": new_id(now), "step": str(Step.PLANNED), "at": timestamp(now)}


def planned_undo(finding: FindingRecord, undoes: EndedRecord, now: datetime) -> PlannedUndo:
    """Return the record that is written before the first call of an undo of a record's change."""
    plan: PlannedUndo = {**planned(finding, now), "undoes": undoes["record_id"]}
    if "fingerprint" in undoes:
        plan["fingerprint"] = undoes["fingerprint"]
    return plan


def undone(record: Record) -> str:
    """Return the id of the record that an undo (planned or ended) undoes; empty for any other record."""
    return cast("PlannedUndo | EndedUndo", record).get("undoes", "")


def has_ended(record: Record, *outcomes: Outcome) -> TypeGuard[EndedRecord]:
    """Return whether a record is an outcome, and one of ``outcomes`` if any are given."""
    found = cast("EndedRecord", record).get("outcome") if record.get("step") != Step.PLANNED else None
    return found in outcomes if outcomes else bool(found)


def ended(  # noqa: PLR0913 - as above
    finding: FindingRecord,
    outcome: Outcome,
    *,
    now: datetime,
    detail: str = "",
    after: State | None = None,
    aws_calls: int = 0,
    announce: bool = True,
) -> EndedRecord:
    """Return the record of an outcome, made from a finding or from a PLANNED record.

    ``detail`` explains the outcome; ``aws_calls`` counts the calls made for the control.
    """
    record: EndedRecord = {
        **finding,
        "record_id": new_id(now),
        "step": str(Step.OUTCOME),
        "outcome": str(outcome),
        "plan_id": cast("PlannedRecord", finding).get("record_id", ""),
        "detail": _text(detail),
        "after": evidence(after) if after is not None else None,
        "aws_calls": aws_calls,
        "announce": announce,
        "at": timestamp(now),
        "day_shard": day_shard(finding["resource"], now),
    }
    record.pop("hash", None)
    record.pop("previous", None)
    return record


def day_shard(arn: str, now: datetime) -> str:
    """Return the key of the index by day, e.g. ``2026-11-20#07``."""
    return f"{now:%Y-%m-%d}#{shard(arn):02d}"


def shard(text: str) -> int:
    """Return a stable number from 0 to 15 for a text."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % SHARDS
