"""The record that an undo starts from: whether its change can be undone, and its calls, computed again."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evenkeel.audit import records
from evenkeel.control import Context
from evenkeel.errors import UndoRefusedError
from evenkeel.events.message import actor_of
from evenkeel.model import NonCompliant, Outcome, Resource
from evenkeel.settings.resolve import with_defaults
from evenkeel.versions import RECORD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.audit.record_types import EndedRecord, Record
    from evenkeel.control import Control
    from evenkeel.model import Call

_UNDOABLE = frozenset(each for each in Outcome if each.meaning.undoable)


def find_undoable(chain: Sequence[Record], control: Control, arn: str, record_id: str) -> EndedRecord:
    """Return a record from its chain, if its change can be undone.

    Raises:
        UndoRefusedError: the record does not exist, or its change cannot be undone.
    """
    record = next((record for record in chain if record["record_id"] == record_id), None)
    if record is None:
        raise UndoRefusedError(f"{arn}: {control.id} has no record {record_id}; list the records of the resource")
    if not RECORD.reads(record["schema_version"]):
        raise UndoRefusedError(f"{arn}: record {record_id} is of a newer schema version; update the stack first")
    if records.undone(record):
        raise UndoRefusedError(f"{arn}: record {record_id} is an undo itself; to repair again, release the hold")
    if not records.has_ended(record, *_UNDOABLE):
        what = record.get("outcome", record["step"])
        raise UndoRefusedError(f"{arn}: record {record_id} is {what}; only a finished repair can be undone")
    if not records.is_whole(record):
        raise UndoRefusedError(f"{arn}: record {record_id} was too large to be stored in full; undo it by hand")
    if any(records.undone(later) == record_id and records.has_ended(later, Outcome.UNDONE) for later in chain):
        raise UndoRefusedError(f"{arn}: record {record_id} was undone already")
    return record


def context_of(control: Control, record: EndedRecord, now: datetime) -> Context:
    """Return the context in which the control judged a recorded state, with ``now`` as given.

    Parameters that the control has gained since then have their defaults. If a default leads to other calls, the undo
    is refused, since the calls must equal the recorded ones.

    Raises:
        UndoRefusedError: the recorded parameters are not valid.
    """
    parameters: dict[str, Any] = with_defaults(control, record["parameters"], os.environ)
    if problem := control.check_parameters(parameters):
        raise UndoRefusedError(
            f"{record['resource']}: record {record['record_id']} has parameters that are not valid: {problem}"
        )
    resource = Resource(record["resource"], record["account"], record["region"])
    return Context(resource, parameters, now, actor=actor_of(record["actor"]), creates=record["creates"])


def recomputed(control: Control, record: EndedRecord) -> tuple[Call, ...]:
    """Return the undo calls as the control computes them from the recorded state."""
    judgement = control.judge(record["before"], context_of(control, record, datetime.fromisoformat(record["at"])))
    change = judgement.change if isinstance(judgement, NonCompliant) else None
    return change.undo if change else ()
