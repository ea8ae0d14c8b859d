"""What is left as it is: passed over, announced, held or not readable, and written down as that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evenkeel.audit.state_item import HoldKind
from evenkeel.control import Radius
from evenkeel.errors import LeaseHeldError, StaleStateError
from evenkeel.model import HeldBy, NonCompliant, Outcome, Result, Severity
from evenkeel.remediation import decide, holds
from evenkeel.remediation.evaluation import returned
from evenkeel.remediation.fingerprint import announced_lately

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.records import Record
    from evenkeel.audit.state_item import StateItem
    from evenkeel.model import State
    from evenkeel.remediation.evaluation import Job
    from evenkeel.remediation.repair import Repairer

MOST = Radius(limit=100, window_seconds=86_400)
"""How many findings of one control in one account people are told of in a day (UTC), unless they are critical."""


class Teller:
    """Writes what becomes of resources that are not changed; an act that a worker left open gets its outcome."""

    def __init__(self, ledger: Ledger, repairer: Repairer, retention_days: int, clock: Callable[[], datetime]) -> None:
        """Keep the doors to the world."""
        self._ledger = ledger
        self._repairer = repairer
        self._retention_days = retention_days
        self._clock = clock

    def leave(self, job: Job, result: Result, after: State | None = None) -> Result:
        """Return a result that changes nothing, once an act that a worker left open has its outcome."""
        request = job.request
        first_look = not (job.redelivered or request.attempt or request.plan or request.cause.origin == "verify")
        if request.dry_run or first_look:
            return result
        proved = result.outcome is Outcome.COMPLIANT
        outcome = Outcome.REMEDIATED if proved else Outcome.FAILED
        detail = "verified when looked at again" if proved else f"interrupted; by now: {result.reason}"
        try:
            self._repairer.finish(job, after, outcome, detail)
        except (LeaseHeldError, StaleStateError) as error:
            return returned(request, str(error), decide.return_delay(request.attempt))
        return result

    def compliant(self, job: Job, state: State, looked_at: datetime) -> Result:
        """Return that a resource is compliant; what was announced of it before is forgotten, so that it is news again.

        Raises:
            LeaseHeldError: somebody else is at the resource.
        """
        result = self.leave(job, Result(job.request, Outcome.COMPLIANT), state)
        # Of a new resource nothing was announced: its creation makes any finding a new one.
        if not job.announces or job.request.dry_run or job.request.creates:
            return result
        item = self._ledger.state(job.control.id, job.arn)
        if item.announced_at > looked_at.timestamp():
            return result  # somebody saw it later, and not compliant
        critical = item.hold_critical or job.control.severity is Severity.CRITICAL
        hold_too = bool(item.hold_findings) and (item.hold_kind == HoldKind.PERSON or critical)
        if item.announced or hold_too:
            self._ledger.forget(job.control.id, job.arn, item, hold_too=hold_too)
        return result

    def announce(self, job: Job, record: Record, item: StateItem, decision: decide.Decision) -> Result:
        """Tell people of a finding that is left as it is, once a day while nothing changes; answer whoever asks."""
        held = isinstance(decision, decide.Announce) and decision.held
        if not held:  # under a person's hold the open plan is an undo's, which they have to ask for again
            item = self._without_plan(job, item, decision.reason)
        reason = f"{record['reason']}; {decision.reason}"
        # What was announced as critical is known, whoever finds it next.
        known = {**record, "fingerprint": job.graver} if job.graver == item.announced else record
        if announced_lately(item, known, job.request, self._clock(), has_ids=job.control.state_has_ids):
            return self._announced_before(job, item, record, reason)
        told, detail = self._enough(job, decision.reason, record["severity"])
        before = record["before"]
        ended = job.outcome(record, Outcome.ANNOUNCED, detail, now=self._clock(), after=before, announce=told)
        sealed = self._ledger.announce(ended, item, _still_held(item, record) if held else None)
        return job.ended(Outcome.ANNOUNCED, reason, sealed)

    def _announced_before(self, job: Job, item: StateItem, record: Record, reason: str) -> Result:
        """Return a finding that was announced within a day: to a person, what it is; to an event, that it is known."""
        if job.request.cause.origin != "manual":
            return self.leave(job, Result(job.request, Outcome.SKIPPED, "already announced within a day"))
        since = datetime.fromtimestamp(item.announced_at, UTC)
        reason = f"{reason} (announced on {since:%Y-%m-%d %H:%M} UTC)"
        return self.leave(job, job.ended(Outcome.ANNOUNCED, reason, {**record, "record_id": item.announced_record}))

    def hold(self, job: Job, record: Record, item: StateItem, decision: decide.AwaitApproval | decide.Hold) -> Result:
        """Keep the request until the hold is due, somebody approves it, or it is released."""
        item = self._without_plan(job, item, decision.reason)
        asks = isinstance(decision, decide.AwaitApproval)
        outcome = Outcome.AWAITING if asks else Outcome.HELD
        wakes = isinstance(decision, decide.Hold) and decision.critical
        found = {**record, "severity": str(Severity.CRITICAL)} if wakes else record
        critical, before = record["severity"] == Severity.CRITICAL, record["before"]
        told = asks or wakes or critical
        ended = job.outcome(found, outcome, decision.reason, now=self._clock(), after=before, announce=told)
        kind = HoldKind.APPROVAL if isinstance(decision, decide.AwaitApproval) else decision.kind
        placed = holds.renewed(item, kind, decision.until, self._clock(), critical=critical)
        sealed = self._ledger.hold(ended, item, placed, replace(job.request, attempt=1, first_seen=""))
        held_by = HeldBy(kind, decision.until, sealed["record_id"], outcome)
        return replace(job.ended(outcome, decision.reason, sealed), held_by=held_by)

    def unread(self, job: Job, detail: str, outcome: Outcome) -> Result:
        """Audit a resource that its owner, or AWS, does not let us read, once a day."""
        now = self._clock()
        unread = job.graded(NonCompliant("cannot be read", kind="unread"))
        record = job.record({}, unread, now=now, retention_days=self._retention_days)
        item = self._ledger.state(job.control.id, job.arn)
        held = item.held(now)
        if held:
            return Result(job.request, Outcome.SKIPPED, held, held_by=item.held_by(now))
        if not item.plan and announced_lately(item, record, job.request, now, has_ids=False):
            if job.request.cause.origin == "manual":
                return self.leave(job, Result(job.request, outcome, detail, record_id=item.announced_record))
            return self.leave(job, Result(job.request, Outcome.SKIPPED, "already told within a day"))
        try:
            told = self._ledger.counters.first_today(f"denied#{job.per_account}", job.arn) or job.weakened
            if item.plan:
                return self._repairer.end(job, item, outcome, detail, announce=told)
            ended = job.outcome(record, outcome, detail, now=now, announce=told)
            return job.ended(outcome, detail, self._ledger.announce(ended, item))
        except (LeaseHeldError, StaleStateError) as error:
            return returned(job.request, str(error), decide.return_delay(job.request.attempt))

    def _without_plan(self, job: Job, item: StateItem, reason: str) -> StateItem:
        """Close the plan that a worker left open, where by now another decision holds."""
        if not item.plan:
            return item
        self._repairer.end(job, item, Outcome.FAILED, f"interrupted; by now: {reason}", announce=False)
        return self._ledger.state(job.control.id, job.arn)

    def _enough(self, job: Job, reason: str, severity: str) -> tuple[bool, str]:
        """Say whether people are told of one more finding, and in which words: one beyond the day's most says so."""
        if severity == Severity.CRITICAL:
            return True, reason
        if self._ledger.counters.count(f"told#{job.per_account}", MOST).held_until is None:
            return True, reason
        more = f"{reason}; more than {MOST.limit} such findings: those that follow today stand in the audit only"
        return self._ledger.counters.first_today(f"told#{job.per_account}", job.arn), more


def _still_held(item: StateItem, record: Record) -> tuple[str, ...]:
    """Return what a person's hold is about once a finding was announced under it: that one, too, if not critical."""
    known = item.hold_findings or ()
    if record["severity"] == Severity.CRITICAL or record["fingerprint"] in known:
        return known
    return (*known, record["fingerprint"])[-holds.MOST_FINDINGS :]
