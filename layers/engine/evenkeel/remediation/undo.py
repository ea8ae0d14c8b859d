"""Undoes a recorded change, with the calls that the control computes.

The record must be in its chain. The calls are computed again from the recorded state and must equal the recorded ones,
so a planted record cannot act. The resource must still be as Evenkeel left it. A hold is placed with the plan, so that
the event path does not repair the resource again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from evenkeel import canonical
from evenkeel.audit import records
from evenkeel.audit.state_item import HoldKind, Placed
from evenkeel.errors import AwsError, ErrorKind, LeaseHeldError, UndoRefusedError, code
from evenkeel.model import (
    Actor,
    Call,
    Cause,
    Change,
    Mode,
    Outcome,
    Request,
    Resource,
)
from evenkeel.remediation.plans import VERIFY_PAUSES, Plans
from evenkeel.remediation.undo_record import context_of, find_undoable, recomputed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import EndedRecord, PlannedUndo
    from evenkeel.audit.state_item import StateItem
    from evenkeel.control import Control
    from evenkeel.model import State
    from evenkeel.runtime.aws import Aws

HOLD = timedelta(days=30)
"""How long a resource is held after an undo."""
CALL_PAUSES = (0.5, 1.5, 4.0)
"""Seconds to wait before each retry of a throttled call; all calls of one undo share these retries."""


@dataclass(frozen=True, slots=True)
class Undo:
    """The undo of one record's change: its calls, and its outcome once they were made."""

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
    """A call succeeded, or may have: the resource may be weaker, and the undo must be completed or released."""


class Undoer:
    """Undoes changes for one caller, whose identity was proved."""

    def __init__(  # noqa: PLR0913, PLR0917 - everything outside, and the caller
        self,
        aws: Aws,
        ledger: Ledger,
        caller: str,
        retention_days: int,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the clients, the ledger and the caller's ARN."""
        self._aws = aws
        self._ledger = ledger
        self._caller = caller
        self._plans = Plans(ledger, clock)
        self._retention_days = retention_days
        self._clock = clock
        self._sleep = sleep

    def preview(self, control: Control, arn: str, record_id: str) -> Undo:
        """Check a record and return the calls that would undo its change.

        Raises:
            UndoRefusedError: the change cannot be undone.
            BrokenChainError: its chain is not what was written.
        """
        record = find_undoable(self._ledger.chain(control.id, arn), control, arn, record_id)
        calls = recomputed(control, record)
        if [call.as_dict() for call in calls] != record["undo"]:
            raise UndoRefusedError(
                f"{arn}: the undo calls of record {record_id} are not those that {control.id} computes; check it"
            )
        state = control.read(self._aws, context_of(control, record, self._clock()))
        return Undo(record, calls, drifted=not _same(control, state, record["after"]))

    def run(self, control: Control, arn: str, record_id: str, *, force: bool = False) -> Undo:
        """Undo a record's change, prove it and record it.

        Raises:
            UndoRefusedError: as :meth:`preview`, or the resource changed since and ``force`` is false.
            LeaseHeldError, StaleStateError: another worker is busy with the resource; try again.
        """
        undo = self.preview(control, arn, record_id)
        if undo.drifted and control.undo_replaces:
            raise UndoRefusedError(
                f"{arn}: it changed since record {record_id}; undo would overwrite that change, so edit it by hand"
            )
        if undo.drifted and not force:
            raise UndoRefusedError(f"{arn}: it changed since record {record_id}; check it, then undo with force")
        item = self._item_without_plan(control, arn)
        placed = Placed(HoldKind.UNDO, self._clock() + HOLD)
        plan = self._ledger.plan(self._planned(control, undo), item, placed=placed)
        stop = self._call(control, undo)
        if stop:
            return self._end(undo, plan, Outcome.FAILED, stop.detail, hold=stop.hold)
        try:
            state, restored = self._state_after(control, undo.record)
        except AwsError as error:
            unproved = f"the calls succeeded, but the change cannot be verified: {error}; the resource is held"
            return self._end(undo, plan, Outcome.FAILED, unproved, hold=True)
        if not restored:
            late = "the calls succeeded, but the change does not show yet; the resource is held"
            return self._end(undo, plan, Outcome.FAILED, late, state, hold=True)
        detail = f"{self._caller} undid record {record_id}"
        return self._end(undo, plan, Outcome.UNDONE, detail, state, hold=True)

    def _item_without_plan(self, control: Control, arn: str) -> StateItem:
        """Return the state item without an open plan: a plan that was interrupted is closed first.

        Raises:
            LeaseHeldError: another worker is busy with the resource.
        """
        item = self._ledger.state(control.id, arn)
        if item.leased_to_other(self._ledger.owner, self._clock()):
            raise LeaseHeldError(f"{arn}: another worker is busy with it; try again")
        return self._plans.close_interrupted(arn, item, "a person requested an undo", missing_ok=True)

    def _call(self, control: Control, undo: Undo) -> _Stop | None:
        """Make the calls in order; return where they stopped, or None if all succeeded."""
        # A call that replaces a whole document is not sent again without a fresh read.
        pauses = iter(() if control.undo_replaces else CALL_PAUSES)
        for done, call in enumerate(undo.calls):
            error, unknown = self._try(control, call, pauses)
            if error:
                failed = "may or may not have succeeded" if unknown else "failed"
                progress = f"{done} of {len(undo.calls)} calls succeeded; then {call.service}:{call.operation}"
                detail = f"{progress} {failed}: {error}"
                if done or unknown:
                    return _Stop(f"{detail}; the resource is held: undo again with force, or release it", hold=True)
                return _Stop(f"{detail}; the resource is not held", hold=False)
        return None

    def _try(self, control: Control, call: Call, pauses: Iterator[float]) -> tuple[Exception | None, bool]:
        """Make a call, and retry while AWS is busy; return its error, if any, and whether it may have succeeded."""
        unknown = False
        while True:
            try:
                error: Exception | None = control.partial_failure(self._aws.run(call))
            except AwsError as refused:
                error = refused
            if error is None or (isinstance(error, ClientError) and code(error) in control.done_codes):
                return None, False
            busy = control.kind(error) is ErrorKind.TRANSIENT
            unknown = unknown or (busy and _outcome_unknown(error))
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
        """Write the outcome; ``hold`` keeps the resource from being repaired again.

        When the hold ends, the resource is checked.
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

    def _planned(self, control: Control, undo: Undo) -> PlannedUndo:
        """Return the PLANNED record of an undo: its calls are the record's undo calls, and the reverse.

        It is a new record, so that it names this caller and nothing that others did.
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
        """Read until the state is as it was before the change; return the last state, and whether it is restored.

        Raises:
            ClientError, ResourceMissingError: AWS refused the read, and a retry cannot help.
        """
        state: State = {}
        for pause in VERIFY_PAUSES:
            if pause:
                self._sleep(pause)
            try:
                state = control.read(self._aws, context_of(control, record, self._clock()))
            except AwsError as error:
                if control.kind(error) is not ErrorKind.TRANSIENT:
                    raise
                continue
            if _same(control, state, record["before"]):
                return state, True
        return state, False


def _outcome_unknown(error: Exception) -> bool:
    """Return whether an error leaves open if the call succeeded: there was no answer, or AWS failed during the call.

    HTTP 500 is a failure inside AWS; 503 is a call that AWS did not accept (EC2 API reference, "Error codes").
    """
    if not isinstance(error, ClientError):
        return True
    return bool(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == HTTPStatus.INTERNAL_SERVER_ERROR)


def _same(control: Control, one: State, other: State | None) -> bool:
    return other is not None and canonical.digest(control.essence(one)) == canonical.digest(control.essence(other))
