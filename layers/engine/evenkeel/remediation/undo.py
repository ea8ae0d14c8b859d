"""Taking a change back: only one that was audited, and only as the control computes it.

The record must stand in its chain, the calls are computed again from the recorded state and must equal the stored ones
(so a planted record cannot act), and the resource must still be as Evenkeel left it. A hold is placed with the plan, so
that the event path does not repair it again.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel import canonical
from evenkeel.audit import records
from evenkeel.audit.state_item import HoldKind, Placed
from evenkeel.control import Context
from evenkeel.errors import AwsError, ErrorKind, LeaseHeldError, UndoRefusedError, code
from evenkeel.events.message import actor_of
from evenkeel.model import (
    Actor,
    Call,
    Cause,
    Change,
    Mode,
    NonCompliant,
    Outcome,
    Request,
    Resource,
)
from evenkeel.remediation.plans import VERIFY_PAUSES, Plans
from evenkeel.settings.resolve import with_defaults
from evenkeel.versions import RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import EndedRecord, PlannedUndo
    from evenkeel.audit.state_item import StateItem
    from evenkeel.control import Control
    from evenkeel.model import State
    from evenkeel.runtime.aws import Aws

HOLD = timedelta(days=30)
"""How long an undone resource is left alone."""
CALL_PAUSES = (0.5, 1.5, 4.0)
"""Seconds to wait before a call that AWS was too busy for is made again; so many in one undo, within its minute."""
_UNDOABLE = frozenset(each for each in Outcome if each.meaning.undoable)


@dataclass(frozen=True, slots=True)
class Undo:
    """What would be, or was, called to take a record's change back."""

    record: EndedRecord
    calls: tuple[Call, ...]
    drifted: bool
    """The resource is not as Evenkeel left it."""
    outcome: str = ""
    record_id: str = ""


@dataclass(frozen=True, slots=True)
class _Stop:
    """Where the calls of an undo stopped."""

    detail: str
    hold: bool
    """One went through, or may have: the resource is weaker than it should be, and the undo is to be completed."""


class Undoer:
    """Takes changes back for one caller, whose ARN was proved."""

    def __init__(  # noqa: PLR0913, PLR0917 - the world, and who asks
        self,
        aws: Aws,
        ledger: Ledger,
        caller: str,
        retention_days: int,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the doors to the world and the caller's ARN."""
        self._aws = aws
        self._ledger = ledger
        self._caller = caller
        self._plans = Plans(ledger, clock)
        self._retention_days = retention_days
        self._clock = clock
        self._sleep = sleep

    def look(self, control: Control, arn: str, record_id: str) -> Undo:
        """Check a record and say what taking it back would call.

        Raises:
            UndoRefusedError: the record cannot be taken back.
            BrokenChainError: its chain is not what was written.
        """
        record = self._record(control, arn, record_id)
        calls = _computed_again(control, record)
        if [call.as_dict() for call in calls] != record["undo"]:
            raise UndoRefusedError(
                f"{arn}: record {record_id} holds other calls than {control.id} computes; look at it"
            )
        state = control.read(self._aws, _context(control, record, self._clock()))
        return Undo(record, calls, drifted=not _same(control, state, record["after"]))

    def run(self, control: Control, arn: str, record_id: str, *, force: bool = False) -> Undo:
        """Take a record's change back, prove it and audit it.

        Raises:
            UndoRefusedError: as :meth:`look`, or the resource changed since and ``force`` is not given.
            LeaseHeldError, StaleStateError: somebody else is at the resource; ask again.
        """
        undo = self.look(control, arn, record_id)
        if undo.drifted and control.undo_replaces:
            raise UndoRefusedError(f"{arn}: changed since record {record_id}; undo would drop that, so edit it by hand")
        if undo.drifted and not force:
            raise UndoRefusedError(f"{arn}: it changed since record {record_id}; look at it, then undo with force")
        item = self._free(control, arn)
        placed = Placed(HoldKind.UNDO, self._clock() + HOLD)
        plan = self._ledger.plan(self._planned(control, undo), item, placed=placed)
        stop = self._call(control, undo)
        if stop:
            return self._end(undo, plan, Outcome.FAILED, stop.detail, hold=stop.hold)
        try:
            state, back = self._state_after(control, undo.record)
        except AwsError as error:
            unproved = f"the calls went through, and cannot be proved: {error}; the resource is held"
            return self._end(undo, plan, Outcome.FAILED, unproved, hold=True)
        if not back:
            late = "the calls went through and do not show yet; the resource is held"
            return self._end(undo, plan, Outcome.FAILED, late, state, hold=True)
        detail = f"{self._caller} had record {record_id} undone"
        return self._end(undo, plan, Outcome.UNDONE, detail, state, hold=True)

    def _free(self, control: Control, arn: str) -> StateItem:
        """Return the state item without an open plan: one that was cut short is closed first.

        Raises:
            LeaseHeldError: another worker is at the resource.
        """
        item = self._ledger.state(control.id, arn)
        if item.leased_to_other(self._ledger.owner, self._clock()):
            raise LeaseHeldError(f"{arn}: another worker is at it; ask again")
        return self._plans.interrupt(arn, item, "a person had the resource changed", missing_ok=True)

    def _call(self, control: Control, undo: Undo) -> _Stop | None:
        """Make the calls in their order; return where they stopped, if they did."""
        # What replaces a whole document is not sent again unless the resource is looked at again first.
        pauses = iter(() if control.undo_replaces else CALL_PAUSES)
        for done, call in enumerate(undo.calls):
            error, unknown = self._try(control, call, pauses)
            if error:
                went = f"{done} of {len(undo.calls)} calls went through; then {call.service}:{call.operation}"
                told = f"{went} {'may have gone through or not' if unknown else 'failed'}: {error}"
                if done or unknown:
                    return _Stop(f"{told}; the resource is held: undo again with force, or release it", hold=True)
                return _Stop(f"{told}; the resource is not held", hold=False)
        return None

    def _try(self, control: Control, call: Call, pauses: Iterator[float]) -> tuple[Exception | None, bool]:
        """Make a call, again while AWS is busy; return what stopped it, and whether it may have gone through."""
        unknown = False
        while True:
            try:
                error: Exception | None = control.partial_failure(self._aws.run(call))
            except AwsError as refused:
                error = refused
            if error is None or (isinstance(error, ClientError) and code(error) in control.done_codes):
                return None, False
            busy = control.kind(error) is ErrorKind.TRANSIENT
            unknown = unknown or (busy and _is_no_answer(error))
            pause = next(pauses, None) if busy else None
            if pause is None:
                return error, unknown
            self._sleep(pause)

    def _end(  # noqa: PLR0913 - an outcome has these parts
        self,
        undo: Undo,
        plan: PlannedUndo,
        outcome: Outcome,
        detail: str,
        after: State | None = None,
        *,
        hold: bool = False,
    ) -> Undo:
        """Write the outcome; ``hold`` where the calls went through: what shows late is not to be repaired again.

        When the hold ends, the resource is looked at.
        """
        calls, now = len(self._aws.made), self._clock()
        ended = records.ended(plan, outcome, now=now, detail=detail, after=after, aws_calls=calls)
        if hold:
            resource = Resource(plan["resource"], plan["account"], plan["region"])
            later = Request(plan["control"], resource, Cause("verify", event_name="Undo", event_time=plan["at"]))
            kind = HoldKind.PERSON if outcome is Outcome.UNDONE else HoldKind.UNDO
            sealed = self._ledger.close(plan["hash"], ended, hold=(Placed(kind, now + HOLD), later))
        else:
            sealed = self._ledger.close(plan["hash"], ended, unhold=True)
        return Undo(undo.record, undo.calls, undo.drifted, str(outcome), sealed["record_id"])

    def _record(self, control: Control, arn: str, record_id: str) -> EndedRecord:
        """Find the record in its chain, and see that it can be taken back."""
        chain = self._ledger.chain(control.id, arn)
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
            raise UndoRefusedError(f"{arn}: record {record_id} was too large to keep whole; undo it by hand")
        if any(records.undone(later) == record_id and records.has_ended(later, Outcome.UNDONE) for later in chain):
            raise UndoRefusedError(f"{arn}: record {record_id} was undone already")
        return record

    def _planned(self, control: Control, undo: Undo) -> PlannedUndo:
        """Return the PLANNED record of an undo: the calls and those that take them back change places.

        It is made as every finding's record is, so that nothing of the old one that this caller did not do comes along.
        """
        old, now = undo.record, self._clock()
        request = Request(
            control.id,
            Resource(old["resource"], old["account"], old["region"]),
            Cause("undo", event_name="Undo", event_time=records.timestamp(now)),
            Actor(principal=self._caller, owner=self._caller),
            creates=old["creates"],
        )
        finding = records.finding_record(
            control,
            request,
            now=now,
            mode=Mode(old["mode"]),
            settings_version=old["settings_version"],
            parameters=old["parameters"],
            reason=f"{self._caller} asked to undo record {old['record_id']}",
            before=old["after"] or {},
            change=Change(undo.calls, records.calls_of(old["calls"]), old["residue"]),
            remains="",
            retention_days=self._retention_days,
        )
        return records.planned_undo(finding, old, now)

    def _state_after(self, control: Control, record: EndedRecord) -> tuple[State, bool]:
        """Read until the state is as it was before the change, as long as a repair is given.

        Raises:
            ClientError, ResourceMissingError: AWS refuses the read for good.
        """
        state: State = {}
        for pause in VERIFY_PAUSES:
            if pause:
                self._sleep(pause)
            try:
                state = control.read(self._aws, _context(control, record, self._clock()))
            except AwsError as error:
                if control.kind(error) is not ErrorKind.TRANSIENT:
                    raise
                continue
            if _same(control, state, record["before"]):
                return state, True
        return state, False


def _context(control: Control, record: EndedRecord, now: datetime) -> Context:
    """Return the context a record was decided in, with ``now`` as given.

    A parameter that the control has got since has its default. What that changes does not pass unseen: the calls must
    still be the recorded ones.
    """
    parameters: dict[str, Any] = with_defaults(control, record["parameters"], os.environ)
    if problem := control.check_parameters(parameters):
        raise UndoRefusedError(
            f"{record['resource']}: record {record['record_id']} has impossible parameters: {problem}"
        )
    resource = Resource(record["resource"], record["account"], record["region"])
    return Context(resource, parameters, now, actor=actor_of(record["actor"]), creates=record["creates"])


def _computed_again(control: Control, record: EndedRecord) -> tuple[Call, ...]:
    """Return the undo calls as the control computes them from the recorded state."""
    judgement = control.judge(record["before"], _context(control, record, datetime.fromisoformat(record["at"])))
    change = judgement.change if isinstance(judgement, NonCompliant) else None
    return change.undo if change else ()


def _is_no_answer(error: Exception) -> bool:
    """Return whether AWS left open what became of a call: it was cut off, or AWS failed over it.

    HTTP 500 is a failure inside AWS; 503 is a call that was not taken (EC2 API reference, "Error codes").
    """
    if not isinstance(error, ClientError):
        return True
    return bool(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == HTTPStatus.INTERNAL_SERVER_ERROR)


def _same(control: Control, one: State, other: State | None) -> bool:
    return other is not None and canonical.digest(control.essence(one)) == canonical.digest(control.essence(other))
