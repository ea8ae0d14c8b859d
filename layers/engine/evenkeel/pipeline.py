"""The way of one request, and the only place that knows the order of things.

read → judge → decide → write ahead → apply → verify → write the outcome.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from evenkeel import policy, records
from evenkeel.audit import StateItem, finding_digest
from evenkeel.control import Context
from evenkeel.errors import AwsError, ErrorKind, EvenkeelError, LeaseHeldError, StaleStateError, classify, code
from evenkeel.model import (
    Call,
    Compliant,
    NonCompliant,
    NotApplicable,
    NotReady,
    Outcome,
    Result,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.audit import Ledger
    from evenkeel.aws import Aws
    from evenkeel.control import Control
    from evenkeel.model import Judgement, Request, State
    from evenkeel.records import Record
    from evenkeel.settings import ControlSettings, Settings

VERIFY_PAUSES = (0.0, 0.3, 0.7, 1.5, 3.0, 4.0)
"""Seconds to wait before each look after a change; about ten in all, then the proof is left to a later request."""
VERIFY_WITHIN = timedelta(minutes=15)
"""How long AWS may take to show a change before it counts as not having held."""
ANNOUNCE_AGAIN = timedelta(days=1)


class NotGrantedError(EvenkeelError):
    """Our own role lacks a permission: a defect of the stack that no retry mends."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request with what it is judged by."""

    control: Control
    request: Request
    settings: ControlSettings
    settings_version: str
    redelivered: bool
    """The queue delivered it before: a plan may be open whose worker died."""

    @property
    def arn(self) -> str:
        """The resource's ARN."""
        return self.request.resource.arn


class Pipeline:
    """Takes requests through their way; one instance serves one worker."""

    def __init__(  # noqa: PLR0913 - the world, handed in so that tests can hand in another
        self,
        aws: Aws,
        ledger: Ledger,
        *,
        scope: tuple[str, ...],
        retention_days: int,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Keep the doors to the world."""
        self._aws = aws
        self._ledger = ledger
        self._scope = scope
        self._retention_days = retention_days
        self._clock = clock
        self._sleep = sleep

    def run(self, control: Control, request: Request, settings: Settings, *, redelivered: bool = False) -> Result:
        """Take one request through its way.

        Raises:
            SettingsError: the control's settings are not valid; nothing was changed.
            NotGrantedError: our role lacks a permission.
            ClientError: AWS refused something outside the control's own calls.
        """
        delay = policy.settle_delay(control, request, settings.settle_seconds, self._clock())
        if delay:
            return _returned(
                request, f"settling: {request.actor.user_agent[:60] or 'its maker'} may not be done", delay
            )
        job = Job(control, request, settings.of(control), settings.version, redelivered)
        self._aws.forget()
        try:
            state, judgement = self._look(job)
        except AwsError as error:
            return self._unreadable(job, error)
        if isinstance(judgement, NotReady):
            return _returned(request, f"not ready: {judgement.reason}", policy.return_delay(request.attempt))
        if isinstance(judgement, NonCompliant):
            return self._found(job, state, judgement)
        if redelivered or request.plan or request.cause.origin == "verify":
            self._finish_open_plan(job, state)
        if isinstance(judgement, NotApplicable):
            return Result(request, Outcome.NOT_APPLICABLE, judgement.reason)
        return Result(request, Outcome.COMPLIANT)

    def _look(self, job: Job) -> tuple[State, Judgement]:
        request = job.request
        context = Context(
            request.resource, job.settings.parameters, self._clock(), actor=request.actor, creates=request.creates
        )
        state = job.control.read(self._aws, context)
        return state, job.control.judge(state, context)

    def _found(self, job: Job, state: State, finding: NonCompliant) -> Result:
        """Decide about a finding, and do as decided."""
        request = job.request
        decision = policy.decide(finding, job.settings.mode, job.arn, self._scope)
        if isinstance(decision, policy.Skip):
            return Result(request, Outcome.SKIPPED, decision.reason)
        calls = finding.change.calls if finding.change else ()
        if request.dry_run:
            act = isinstance(decision, policy.Apply)
            outcome = Outcome.WOULD_APPLY if act else Outcome.SKIPPED
            return Result(
                request, outcome, finding.reason if act else f"{finding.reason}; {decision_reason(decision)}", calls
            )
        record = self._record(job, state, finding)
        # A creation's first look spares the read: the write below holds only where no state item exists.
        fresh = request.creates and not request.attempt and not job.redelivered
        item = StateItem() if fresh else self._ledger.state(job.control.id, job.arn)
        for _ in range(3):
            try:
                if isinstance(decision, policy.Announce):
                    return self._announce(job, record, item, decision.reason, state)
                return self._apply(job, record, item, finding)
            except LeaseHeldError as error:
                return _returned(request, str(error), policy.return_delay(request.attempt))
            except StaleStateError as error:
                item = StateItem.of(error.item) if error.item else self._ledger.state(job.control.id, job.arn)
        return _returned(request, "its state item keeps changing", policy.return_delay(request.attempt))

    def _record(self, job: Job, state: State, finding: NonCompliant) -> Record:
        return records.finding_record(
            job.control,
            job.request,
            now=self._clock(),
            mode=job.settings.mode,
            settings_version=job.settings_version,
            reason=finding.reason,
            before=state,
            change=finding.change,
            remains=finding.remains,
            retention_days=self._retention_days,
        )

    def _announce(self, job: Job, record: Record, item: StateItem, reason: str, state: State) -> Result:
        now = self._clock()
        lately = now.timestamp() - item.announced_at < ANNOUNCE_AGAIN.total_seconds()
        if item.announced == finding_digest(record) and lately:
            return Result(job.request, Outcome.SKIPPED, "already announced within a day")
        ended = records.ended(
            record, Outcome.ANNOUNCED, now=now, detail=reason, after=state, aws_calls=len(self._aws.made)
        )
        sealed = self._ledger.announce(ended, item)
        return self._result(job, Outcome.ANNOUNCED, f"{record['reason']}; {reason}", sealed)

    def _apply(self, job: Job, record: Record, item: StateItem, finding: NonCompliant) -> Result:
        """Write ahead, call, verify."""
        if item.leased_to_other(self._ledger.owner, self._clock()):
            return _returned(job.request, "another worker is at it", policy.return_delay(job.request.attempt))
        waiting = self._awaiting_proof(job, item, record)
        if waiting:
            return waiting
        plan = self._plan(job, record, item)
        if plan is None:
            radius = job.settings.radius
            return _returned(
                job.request,
                f"blast radius reached: {radius.limit} changes of {job.control.id} in {radius.window_seconds} s",
                min(radius.window_seconds, policy.MAX_DELAY_SECONDS),
            )
        if finding.change is None:
            raise AssertionError(job.arn)  # decide() never applies a finding without a change
        for call in finding.change.calls:
            try:
                hidden = job.control.partial_failure(self._aws.run(call))
                if hidden:
                    return self._call_failed(job, plan, call, hidden)
            except AwsError as error:
                return self._call_failed(job, plan, call, error)
        return self._verify(job, plan)

    def _plan(self, job: Job, record: Record, item: StateItem) -> Record | None:
        """Return the PLANNED record to act under, an open one for the same calls or a new one; None over the radius."""
        if item.plan:
            open_plan = self._ledger.record(job.arn, item.plan)
            if open_plan and item.plan_digest == records.digest(record["calls"]):
                self._ledger.adopt(job.control.id, job.arn, item)
                return {**open_plan, "hash": item.head}
            if open_plan:
                detail = "interrupted; the resource needs another change by now"
                ended = records.ended(open_plan, Outcome.FAILED, now=self._clock(), detail=detail, announce=False)
                item = StateItem(head=self._ledger.close(item.head, ended)["hash"])
        if not self._ledger.count(f"{job.control.id}#{job.request.resource.account}", job.settings.radius):
            return None
        return self._ledger.plan(records.planned(record, self._clock()), item)

    def _awaiting_proof(self, job: Job, item: StateItem, record: Record) -> Result | None:
        """Wait on where the same calls were made lately and AWS only does not show them yet."""
        if not job.request.plan or job.request.plan != item.plan or not item.plan:
            return None
        now = self._clock()
        if (
            item.plan_digest == records.digest(record["calls"])
            and now - _moment(job.request.first_seen, now) < VERIFY_WITHIN
        ):
            return _returned(job.request, "the change does not show yet", policy.return_delay(job.request.attempt + 3))
        open_plan = self._ledger.record(job.arn, item.plan)
        if open_plan is None:
            return None
        ended = records.ended(
            open_plan, Outcome.FAILED, now=now, detail="the change did not hold", after=record["before"]
        )
        sealed = self._ledger.close(item.head, ended)
        return self._result(job, Outcome.FAILED, "the change did not hold", sealed)

    def _call_failed(self, job: Job, plan: Record, call: Call, error: Exception) -> Result:
        """Judge a call that AWS refused; the plan stays open where a later try may succeed."""
        kind = self._kind(job, error)
        where = f"{call.service}:{call.operation}: {error}"
        if kind is ErrorKind.TRANSIENT or (
            kind is ErrorKind.NOT_FOUND and policy.may_still_appear(job.request, self._clock())
        ):
            self._ledger.release(job.control.id, job.arn, plan["hash"])
            return _returned(job.request, f"not ready: {where}", policy.return_delay(job.request.attempt))
        if kind is ErrorKind.DENIED:
            return self._close(job, plan, Outcome.DENIED, where)
        if kind is ErrorKind.NOT_FOUND:
            return self._close(job, plan, Outcome.FAILED, f"the resource went away: {error}", announce=False)
        closed = self._close(job, plan, Outcome.FAILED, where)
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError(f"{job.arn}: {where}; deploy the stack's current policies")
        return closed

    def _verify(self, job: Job, plan: Record) -> Result:
        """Read and judge until the change shows."""
        judgement: Judgement = Compliant()
        for pause in VERIFY_PAUSES:
            if pause:
                self._sleep(pause)
            try:
                state, judgement = self._look(job)
            except AwsError as error:
                if self._kind(job, error) not in {ErrorKind.TRANSIENT, ErrorKind.NOT_FOUND}:
                    raise
                continue
            if _mended(judgement):
                remains = judgement.reason if isinstance(judgement, NonCompliant) else ""
                outcome = Outcome.PARTIAL if remains else Outcome.REMEDIATED
                return self._close(job, plan, outcome, remains, after=state)
        ended = self._ended(plan, Outcome.APPLIED, "the change does not show yet; it is looked at again")
        self._ledger.close(plan["hash"], ended, keep_open=True)
        again = replace(job.request, plan=plan["record_id"], attempt=0, first_seen="")
        return _returned(again, "the change does not show yet", policy.return_delay(4))

    def _close(  # noqa: PLR0913 - an outcome has these parts
        self,
        job: Job,
        plan: Record,
        outcome: Outcome,
        detail: str,
        *,
        after: State | None = None,
        announce: bool = True,
    ) -> Result:
        if outcome is Outcome.DENIED:
            announce = self._ledger.first_today(f"denied#{job.control.id}#{job.request.resource.account}")
        ended = self._ended(plan, outcome, detail, after=after, announce=announce)
        sealed = self._ledger.close(plan["hash"], ended)
        return self._result(job, outcome, detail or plan["reason"], sealed)

    def _ended(
        self, plan: Record, outcome: Outcome, detail: str, *, after: State | None = None, announce: bool = True
    ) -> Record:
        calls = len(self._aws.made)
        return records.ended(
            plan, outcome, now=self._clock(), detail=detail, after=after, aws_calls=calls, announce=announce
        )

    def _finish_open_plan(self, job: Job, state: State) -> None:
        """Write the outcome of an act that was cut short or was late to show, now that the resource is as wanted."""
        item = self._ledger.state(job.control.id, job.arn)
        if not item.plan or item.leased_to_other(self._ledger.owner, self._clock()):
            return
        plan = self._ledger.record(job.arn, item.plan)
        if plan is None:
            return
        ended = self._ended(plan, Outcome.REMEDIATED, "verified when looked at again", after=state)
        self._ledger.close(item.head, ended)

    def _unreadable(self, job: Job, error: Exception) -> Result:
        """Judge a read that AWS refused."""
        request, kind = job.request, self._kind(job, error)
        if kind is ErrorKind.TRANSIENT or (
            kind is ErrorKind.NOT_FOUND and policy.may_still_appear(request, self._clock())
        ):
            return _returned(request, f"not ready: {error}", policy.return_delay(request.attempt))
        if kind is ErrorKind.NOT_FOUND:
            return Result(request, Outcome.GONE, "the resource is not there any more")
        if kind is ErrorKind.DENIED and not request.dry_run:
            return self._denied(job, str(error))
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError(f"{job.arn}: {error}; deploy the stack's current policies") from error
        raise error

    def _denied(self, job: Job, detail: str) -> Result:
        """Audit a resource that its owner does not let us read."""
        finding = NonCompliant("cannot be read")
        record = self._record(job, {}, finding)
        announce = self._ledger.first_today(f"denied#{job.control.id}#{job.request.resource.account}")
        ended = records.ended(
            record, Outcome.DENIED, now=self._clock(), detail=detail, aws_calls=len(self._aws.made), announce=announce
        )
        sealed = self._ledger.announce(ended, self._ledger.state(job.control.id, job.arn))
        return self._result(job, Outcome.DENIED, detail, sealed)

    def _kind(self, job: Job, error: Exception) -> ErrorKind:
        busy = isinstance(error, ClientError) and code(error) in job.control.busy_codes
        return ErrorKind.TRANSIENT if busy else classify(error)

    def _result(self, job: Job, outcome: Outcome, reason: str, sealed: Record) -> Result:
        calls = tuple(Call(**call) for call in sealed["calls"])
        return Result(job.request, outcome, reason, calls, sealed["record_id"])


def decision_reason(decision: policy.Decision) -> str:
    """Return why a decision is not to apply."""
    return "" if isinstance(decision, policy.Apply) else decision.reason


def _mended(judgement: Judgement) -> bool:
    """Say whether nothing is left that Evenkeel could change."""
    if isinstance(judgement, NonCompliant):
        return judgement.change is None
    return isinstance(judgement, Compliant | NotApplicable)


def _returned(request: Request, reason: str, delay: int) -> Result:
    return Result(request, Outcome.RETURNED, reason, delay_seconds=delay)


def _moment(text: str, default: datetime) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return default
