"""What is left as it is: passed over, announced, held or not readable, and written down as that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evenkeel import policy
from evenkeel.control import Radius
from evenkeel.errors import LeaseHeldError, StaleStateError
from evenkeel.job import returned
from evenkeel.marks import finding_digest
from evenkeel.model import NonCompliant, Outcome, Result, Severity

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from evenkeel.audit import Ledger
    from evenkeel.job import Job
    from evenkeel.model import State
    from evenkeel.records import Record
    from evenkeel.repair import Repairer
    from evenkeel.state import StateItem

ANNOUNCE_AGAIN_SECONDS = 86_400
"""The same finding on the same resource is not announced more often."""
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
            return returned(request, str(error), policy.return_delay(request.attempt))
        return result

    def announce(self, job: Job, record: Record, item: StateItem, decision: policy.Decision) -> Result:
        """Tell people of a finding that is left as it is, once a day."""
        item = self._without_plan(job, item, decision.reason)
        if self._told_lately(item, record):
            return self.leave(job, Result(job.request, Outcome.SKIPPED, "already announced within a day"))
        told, detail = self._enough(job, decision.reason, record["severity"])
        before = record["before"]
        ended = job.outcome(record, Outcome.ANNOUNCED, detail, now=self._clock(), after=before, announce=told)
        sealed = self._ledger.announce(ended, item)
        return job.ended(Outcome.ANNOUNCED, f"{record['reason']}; {decision.reason}", sealed)

    def hold(self, job: Job, record: Record, item: StateItem, decision: policy.AwaitApproval | policy.Hold) -> Result:
        """Keep the request until the hold is due, somebody approves it, or it is released."""
        item = self._without_plan(job, item, decision.reason)
        asks = isinstance(decision, policy.AwaitApproval)
        outcome = Outcome.AWAITING if asks else Outcome.HELD
        critical = isinstance(decision, policy.Hold) and decision.critical
        found = {**record, "severity": str(Severity.CRITICAL)} if critical else record
        told, before = asks or critical, record["before"]
        ended = job.outcome(found, outcome, decision.reason, now=self._clock(), after=before, announce=told)
        sealed = self._ledger.hold(ended, item, decision.until, replace(job.request, attempt=1, first_seen=""))
        return job.ended(outcome, decision.reason, sealed)

    def unread(self, job: Job, detail: str, outcome: Outcome) -> Result:
        """Audit a resource that its owner, or AWS, does not let us read, once a day."""
        now = self._clock()
        record = job.record({}, NonCompliant("cannot be read"), now=now, retention_days=self._retention_days)
        item = self._ledger.state(job.control.id, job.arn)
        held = item.held(now)
        if held:
            return Result(job.request, Outcome.SKIPPED, held)
        if not item.plan and self._told_lately(item, record):
            return self.leave(job, Result(job.request, Outcome.SKIPPED, "already told within a day"))
        try:
            first = self._ledger.counters.first_today(f"denied#{job.per_account}", job.arn)
            if item.plan:
                return self._repairer.end(job, item, outcome, detail, announce=first)
            ended = job.outcome(record, outcome, detail, now=now, announce=first)
            return job.ended(outcome, detail, self._ledger.announce(ended, item))
        except (LeaseHeldError, StaleStateError) as error:
            return returned(job.request, str(error), policy.return_delay(job.request.attempt))

    def _without_plan(self, job: Job, item: StateItem, reason: str) -> StateItem:
        """Close the plan that a worker left open, where by now another decision holds."""
        if not item.plan:
            return item
        self._repairer.end(job, item, Outcome.FAILED, f"interrupted; by now: {reason}", announce=False)
        return self._ledger.state(job.control.id, job.arn)

    def _told_lately(self, item: StateItem, record: Record) -> bool:
        """Say whether people were told of the same finding within a day."""
        lately = self._clock().timestamp() - item.announced_at < ANNOUNCE_AGAIN_SECONDS
        return item.announced == finding_digest(record) and lately

    def _enough(self, job: Job, reason: str, severity: str) -> tuple[bool, str]:
        """Say whether people are told of one more finding, and in which words: one beyond the day's most says so."""
        if severity == Severity.CRITICAL:
            return True, reason
        if self._ledger.counters.count(f"told#{job.per_account}", MOST).held_until is None:
            return True, reason
        more = f"{reason}; more than {MOST.limit} such findings: those that follow today stand in the audit only"
        return self._ledger.counters.first_today(f"told#{job.per_account}", job.arn), more
