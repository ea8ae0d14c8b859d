"""The act: write ahead, call, verify, write the outcome; and what a worker that died or had to stop left open."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from evenkeel import canonical
from evenkeel.audit import records
from evenkeel.audit.state_item import TUG_REPAIRS, HoldKind
from evenkeel.cli_lines import own_line
from evenkeel.errors import AwsError, ErrorKind, EvenkeelError, LeaseHeldError
from evenkeel.model import RUN_EVENT, Compliant, NonCompliant, NotApplicable, Outcome
from evenkeel.remediation import decide
from evenkeel.remediation.evaluation import returned
from evenkeel.remediation.fingerprint import fingerprint
from evenkeel.remediation.steps import Pause, Send

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.audit.counters import Counted
    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import FindingRecord, PlannedRecord
    from evenkeel.audit.state_item import StateItem
    from evenkeel.model import Call, Change, Judgement, Result, State
    from evenkeel.remediation.evaluation import Job
    from evenkeel.remediation.steps import Steps

VERIFY_PAUSES = (0.0, 0.3, 0.7, 1.5, 3.0, 4.0)
"""Seconds to wait before each look after a change; about ten in all, then the proof is left to a later request."""
VERIFY_WITHIN = timedelta(minutes=15)
"""How long AWS may take to show a change before it counts as not having held."""
ALLOWANCE_KEPT = timedelta(days=62)
"""How long a run's count is kept: longer than a run is open and a freeze may hold its requests."""
_CLIENT_LENGTH = 60  # what follows in a user agent is the client's libraries; the records keep it whole
_PROOF_ATTEMPT = 4  # a proof that is late comes late: begin at this attempt's delay (32 s)


class NotGrantedError(EvenkeelError):
    """Our own role lacks a permission: a defect of the stack that no retry mends."""


class TooMuchError(EvenkeelError):
    """Changing this resource would go too far: the blast radius is reached, or somebody keeps setting it back."""

    def __init__(self, message: str, until: datetime, kind: HoldKind, *, critical: bool) -> None:
        """Keep until when to hold it, and whether on-call has to know at once."""
        super().__init__(message)
        self.until = until
        self.kind = kind
        self.critical = critical


class AllowanceSpentError(EvenkeelError):
    """The run that asks for it has made all the changes that it may; nothing was changed."""


class Repairer:
    """Changes resources for one worker, never without a plan in the ledger."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], stack: str) -> None:
        """Keep the doors to the world, and the stack's name for the commands in records."""
        self._ledger = ledger
        self._clock = clock
        self._stack = stack

    def repair(self, job: Job, finding: FindingRecord, change: Change, item: StateItem) -> Steps[Result]:
        """Take a finding from plan to outcome.

        Raises:
            LeaseHeldError, StaleStateError: somebody else was faster; nothing was changed.
            TooMuchError: the resource has to be held; nothing was changed.
            AllowanceSpentError: the run may change no more; nothing was changed.
            NotGrantedError: our role lacks a permission.
        """
        if item.leased_to_other(self._ledger.owner, self._clock()):
            return returned(job.request, "another worker is at it", decide.return_delay(job.request.attempt))
        if job.request.plan and job.request.plan == item.plan:
            return self._prove_later(job, finding, item)
        plan = self._plan(job, finding, item)
        for call in change.calls:
            sent = yield Send(job, plan, call)
            error = sent.error or job.control.partial_failure(sent.answer)
            if error and not isinstance(error, AwsError):
                raise error
            if error:
                return self._call_failed(job, plan, call, error)
            if sent.sent_with:
                plan = {**plan, "sent_with": sent.sent_with}
        return (yield from self._verify(job, plan, item))

    def finish(self, job: Job, state: State | None, outcome: Outcome, detail: str) -> None:
        """Write the outcome of an act that was cut short or late to show, if there is one.

        Raises:
            LeaseHeldError: somebody else is at it, or was when they died.
            StaleStateError: somebody else was faster.
        """
        item = self._ledger.state(job.control.id, job.arn)
        now = self._clock()
        decided = job.approval is not None and job.approval.record["record_id"] == item.hold_record
        if decided or (item.held_request and not item.held(now)):
            self._ledger.unhold(job.control.id, job.arn, item)
            item = replace(item, hold_until=0)
        # Under a hold the open plan is an undo's: whoever asked for it has to ask again.
        if item.plan and not item.held(now):
            if item.leased_to_other(self._ledger.owner, now):
                raise LeaseHeldError(f"{job.arn}: another worker is at it, or died over it")
            self.end(job, item, outcome, detail, after=state, announce=outcome is Outcome.REMEDIATED)

    def end(  # noqa: PLR0913 - an outcome has these parts
        self,
        job: Job,
        item: StateItem,
        outcome: Outcome,
        detail: str,
        *,
        after: State | None = None,
        announce: bool = True,
    ) -> Result:
        """Write the outcome of the plan that a state item holds open.

        Raises:
            EvenkeelError: the plan's record is gone from the audit table.
            LeaseHeldError, StaleStateError: somebody else was faster.
        """
        plan = self._ledger.record(job.arn, item.plan)
        if plan is None:
            raise EvenkeelError(
                f"{job.arn}: record {item.plan} is missing from the audit table; restore it from backup"
            )
        if records.undone(plan):
            outcome, detail = Outcome.FAILED, "interrupted; the undo may be made or not"
        plan = {**plan, "hash": item.head}
        if sent_with := self._sent_with(job, item):
            plan["sent_with"] = sent_with
        rounds = self._rounds(job, plan, item) if outcome is Outcome.REMEDIATED else ()
        return self._close(job, plan, outcome, detail, after=after, announce=announce, rounds=rounds)

    def _sent_with(self, job: Job, item: StateItem) -> dict[str, str]:
        """Return the plans that shared the call, as an APPLIED record names them; empty where there is none."""
        last = self._ledger.record(job.arn, item.head_record) if item.head_record != item.plan else None
        return last.get("sent_with", {}) if last else {}

    def _plan(self, job: Job, finding: FindingRecord, item: StateItem) -> PlannedRecord:
        """Return the PLANNED record to act under: an open one for the same calls, or a new one that is counted.

        ``hash`` of what is returned is the chain's head, whichever record that is.
        """
        open_plan = self._ledger.record(job.arn, item.plan) if item.plan else None
        if open_plan and item.plan_digest == canonical.digest(finding["calls"]):
            self._ledger.adopt(job.control.id, job.arn, item)
            return {**open_plan, "hash": item.head}
        if open_plan:
            detail = "interrupted; the resource needs another change by now"
            ended = job.outcome(open_plan, Outcome.FAILED, detail, now=self._clock(), announce=False)
            item = replace(item, head=self._ledger.close(item.head, ended)["hash"])
        if job.released:  # who releases one resource lets it be changed
            return self._ledger.plan(records.planned(finding, self._clock()), item)
        self._refuse_tug_of_war(job, item, finding["fingerprint"])
        self._take(job)
        try:
            self._count(job, item)
            return self._ledger.plan(records.planned(finding, self._clock()), item)
        except EvenkeelError:  # nothing is changed
            if job.request.allowance:
                self._ledger.counters.give_back(f"run#{job.request.run}")
            raise

    def _refuse_tug_of_war(self, job: Job, item: StateItem, found: str) -> None:
        """Raise where somebody keeps setting it back."""
        now = self._clock()
        tug = decide.tug_of_war(item.recent_rounds(now), found)
        if tug and job.control.yields and not job.approval:
            told = "; ".join(_side(each["principal"], each["event"], each["client"]) for each in tug)
            actor, event = job.request.actor, job.request.cause.event_name
            message = (
                f"tug of war: repaired {len(tug)} times within a day, and set back again by "
                f"{_side(actor.principal, event, actor.user_agent[:_CLIENT_LENGTH])}; before: {told}"
            )
            raise TooMuchError(message, now + decide.TUG_HOLD, HoldKind.TUG_OF_WAR, critical=True)

    def _take(self, job: Job) -> None:
        """Take one of the changes that the run may make, if it has a limit; raise where none is left."""
        run, allowance = job.request.run, job.request.allowance
        if allowance and not self._ledger.counters.take(f"run#{run}", allowance, self._clock() + ALLOWANCE_KEPT):
            changes = f"{allowance:,} change{'' if allowance == 1 else 's'}"
            raise AllowanceSpentError(f"run {run} has begun {changes}, as many as it may")

    def _count(self, job: Job, item: StateItem) -> None:
        """Count one more change; raise where the blast radius is reached."""
        now = self._clock()
        since = (now.timestamp() - job.settings.radius.window_seconds) * 1000
        # The radius is about resources, not about calls: one that is counted in this window is not counted again.
        again = any(each["at"] >= since for each in item.recent_rounds(now))
        counted = self._ledger.counters.count(job.per_account, job.settings.radius, job.arn, look_only=again)
        if counted.held_until:
            message = self._radius_reached(job, counted)
            raise TooMuchError(message, counted.held_until, HoldKind.BLAST_RADIUS, critical=counted.first)

    def _radius_reached(self, job: Job, counted: Counted) -> str:
        """Say which limit was reached, when and by how many changes, what is held until when, and what ends it."""
        request, reached = job.request, ""
        if counted.at:
            changes = f"{counted.changes} change{'' if counted.changes == 1 else 's'} in {counted.window_seconds} s"
            reached = f" at {counted.at:%Y-%m-%d %H:%M} UTC: {changes}, limit {counted.limit}"
        command = own_line(self._stack, request.resource.region, "release", job.control.id)
        return (
            f"blast radius reached{reached}; all of {job.control.id} is held in account {request.resource.account} "
            f"until {counted.held_until:%Y-%m-%d %H:%M} UTC; to end it, run: {command}, or raise "
            "the limit in the settings"
        )

    def _call_failed(self, job: Job, plan: PlannedRecord, call: Call, error: Exception) -> Result:
        """Judge a call that AWS refused; the plan stays open where a later try may succeed."""
        kind, request = job.kind(error), job.request
        where = f"{call.service}:{call.operation}: {error}"
        # The read just saw it: what is new may not be ready for changes (a table that is being created "is not found").
        settles = decide.may_still_settle(request, self._clock())
        if kind is ErrorKind.TRANSIENT or (kind is ErrorKind.NOT_FOUND and settles):
            self._ledger.release(job.control.id, job.arn, plan["hash"])
            return returned(request, f"not ready: {where}", decide.return_delay(request.attempt))
        if kind is ErrorKind.DENIED:
            first = self._ledger.counters.first_today(f"denied#{job.per_account}", job.arn)
            return self._close(job, plan, Outcome.DENIED, where, announce=first)
        if kind is ErrorKind.NOT_FOUND:
            return self._close(job, plan, Outcome.FAILED, f"the resource went away: {error}", announce=False)
        closed = self._close(job, plan, Outcome.FAILED, where)
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError(f"{job.arn}: {where}; deploy the stack's current policies")
        return closed

    def _verify(self, job: Job, plan: PlannedRecord, item: StateItem) -> Steps[Result]:
        """Read and judge until the change shows; past ten seconds leave the proof to a later request."""
        for pause in VERIFY_PAUSES:
            if pause:
                yield Pause(pause)
            try:
                state, judgement = job.look(self._clock())
            except AwsError as error:
                kind = job.kind(error)
                if kind in {ErrorKind.TRANSIENT, ErrorKind.NOT_FOUND}:
                    continue
                if kind is ErrorKind.REFUSED:
                    raise
                closed = self._close(job, plan, Outcome.FAILED, f"changed, and cannot be proved: {error}")
                if kind is ErrorKind.NOT_GRANTED:
                    raise NotGrantedError(f"{job.arn}: {error}; deploy the stack's current policies") from error
                return closed
            if _nothing_left(judgement):
                remains = judgement.remains or judgement.reason if isinstance(judgement, NonCompliant) else ""
                outcome = Outcome.PARTIAL if remains else Outcome.REMEDIATED
                left = fingerprint(job.control, state, judgement) if isinstance(judgement, NonCompliant) else ""
                rounds = self._rounds(job, plan, item)
                return self._close(job, plan, outcome, remains, after=state, rounds=rounds, left=left)
        detail = "the change does not show yet; it is looked at again"
        applied = job.outcome(plan, Outcome.APPLIED, detail, now=self._clock())
        self._ledger.close(plan["hash"], applied, keep_open=True)
        proof = replace(job.request, plan=plan["record_id"], attempt=0, first_seen="")
        return returned(proof, detail, decide.return_delay(_PROOF_ATTEMPT))

    def _rounds(self, job: Job, plan: PlannedRecord, item: StateItem) -> tuple[dict[str, Any], ...]:
        """Return the resource's last repairs with this one."""
        actor, now = plan["actor"], self._clock()
        this = {
            "at": int(now.timestamp() * 1000),
            "principal": actor["principal"],
            "client": actor["user_agent"][:_CLIENT_LENGTH],
            "event": plan["cause"]["event_name"],
            "fingerprint": plan.get("fingerprint", ""),
        }
        before = () if job.released else item.recent_rounds(now)
        return (*before, this)[-TUG_REPAIRS:]

    def _prove_later(self, job: Job, finding: FindingRecord, item: StateItem) -> Result:
        """Judge a change that still does not show: wait on, or say that it did not hold."""
        now, request = self._clock(), job.request
        waited = now - datetime.fromisoformat(request.first_seen) if request.first_seen else timedelta()
        if item.plan_digest == canonical.digest(finding["calls"]) and waited < VERIFY_WITHIN:
            delay = decide.return_delay(_PROOF_ATTEMPT + request.attempt)
            return returned(request, "the change does not show yet", delay)
        return self.end(job, item, Outcome.FAILED, "the change did not hold", after=finding["before"])

    def _close(  # noqa: PLR0913 - an outcome has these parts
        self,
        job: Job,
        plan: PlannedRecord,
        outcome: Outcome,
        detail: str,
        *,
        after: State | None = None,
        announce: bool = True,
        rounds: tuple[dict[str, Any], ...] = (),
        left: str = "",
    ) -> Result:
        ended = job.outcome(plan, outcome, detail, now=self._clock(), after=after, announce=announce)
        sealed = self._ledger.close(plan["hash"], ended, rounds=rounds, left=left)
        return job.ended(outcome, detail or plan["reason"], sealed)


def _side(principal: str, event: str, client: str) -> str:
    """Name one side of a tug of war: who, with which call, from which client."""
    if event == RUN_EVENT:  # who runs a control over resources is not who weakened them
        return "somebody (found by a run)"
    return f"{principal or 'somebody'} with {event}{f' ({client})' if client else ''}"


def _nothing_left(judgement: Judgement) -> bool:
    """Say whether nothing is left that Evenkeel could change."""
    if isinstance(judgement, NonCompliant):
        return judgement.change is None
    return isinstance(judgement, Compliant | NotApplicable)
