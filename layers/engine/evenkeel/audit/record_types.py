"""The fields of audit records. docs/audit.md describes each; :mod:`evenkeel.audit.records` alone writes and reads them.

A record is a plan, written before the first call, or an outcome. An undo has both, with the id of what they undo. A
field that is not required is absent if it does not apply, and in records of earlier versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NotRequired, TypeAlias, TypedDict

if TYPE_CHECKING:
    from evenkeel.events.message import ActorForm, CauseForm
    from evenkeel.model import State

Item: TypeAlias = Mapping[str, Any]
"""An item of the audit table as plain data. It may be a record, a part of a digest, or planted."""


class ApiCall(TypedDict):
    """One call of AWS's API."""

    service: str
    operation: str
    params: dict[str, Any]


class FindingRecord(TypedDict):
    """The fields of every record about a finding, before it becomes a plan or an outcome."""

    schema_version: int
    resource: str
    control: str
    title: str
    severity: str
    mode: str
    account: str
    region: str
    reason: str
    remains: str
    before: State
    calls: list[ApiCall]
    undo: list[ApiCall]
    residue: str
    actor: ActorForm
    cause: CauseForm
    settings_version: str
    parameters: dict[str, Any]
    creates: bool
    run: NotRequired[str]
    waited: str
    expires_at: int
    fingerprint: NotRequired[str]
    """Not in records about the system."""
    approver: NotRequired[str]
    sent_with: NotRequired[dict[str, str]]
    previous: NotRequired[str]
    """:func:`evenkeel.audit.records.seal` adds this field and the next two."""
    previous_expires_at: NotRequired[int]
    hash: NotRequired[str]


class PlannedRecord(FindingRecord):
    """A plan: the calls that are about to be made."""

    record_id: str
    step: str
    at: str


class EndedRecord(PlannedRecord):
    """An outcome."""

    outcome: str
    plan_id: str
    detail: str
    after: State | None
    aws_calls: int
    announce: bool
    day_shard: str


class PlannedUndo(PlannedRecord):
    """The plan of an undo."""

    undoes: str
    """Record id of the outcome whose change is undone."""


class EndedUndo(EndedRecord):
    """The outcome of an undo."""

    undoes: str


Record: TypeAlias = PlannedRecord | EndedRecord | PlannedUndo | EndedUndo
"""Any record of the audit table."""
