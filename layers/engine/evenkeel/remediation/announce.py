"""Outcomes that change nothing: skipped, announced, held, unreadable; each is recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evenkeel.audit.records import calls_of
from evenkeel.audit.state_item import BY_PEOPLE, HoldKind
from evenkeel.control import Radius
from evenkeel.errors import ErrorKind, LeaseHeldError, StaleStateError
from evenkeel.model import HeldBy, NonCompliant, Outcome, Result, Severity
from evenkeel.remediation import decide, holds
from evenkeel.remediation.evaluation import delayed
from evenkeel.remediation.fingerprint import announced_recently
from evenkeel.remediation.repair import NotGrantedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import FindingRecord
    from evenkeel.audit.state_item import StateItem
    from evenkeel.model import State
    from evenkeel.remediation.evaluation import Evaluation
    from evenkeel.remediation.plans import Plans

DAILY_LIMIT = Radius(limit=100, window_seconds=86_400)
"""Alerts of one control in one account in a day (UTC); critical findings are always announced."""

_ALREADY_ANNOUNCED = "already announced within a day"


class Announcer:
    """Records the outcomes of resources that are not changed, and closes plans that a crashed worker left open."""

    def __init__(self, ledger: Ledger, plans: Plans, retention_days: int, clock: Callable[[], datetime]) -> None:
        """Keep the ledger and the open plans."""
        self._ledger = ledger
        self._plans = plans
        self._retention_days = retention_days
        self._clock = clock

    def end_unchanged(self, evaluation: Evaluation, result: Result, after: State | None = None) -> Result:
        """Return a result that changes nothing, after closing any plan that a crashed worker left open."""
        request = evaluation.request
        first_try = not (evaluation.redelivered or request.attempt or request.plan or request.cause.origin == "verify")
        if request.dry_run or first_try:
            return result
        proved = result.outcome is Outcome.COMPLIANT
        outcome = Outcome.REMEDIATED if proved else Outcome.FAILED
        detail = "verified by a later read" if proved else f"interrupted; now: {result.reason}"
        try:
            self._plans.finish(evaluation, after, outcome, detail)
        except (LeaseHeldError, StaleStateError) as error:
            return delayed(request, str(error))
        return result

    def compliant(self, evaluation: Evaluation, state: State, read_at: datetime) -> Result:
        """Return the result of a compliant resource, and forget its last announcement: the next finding is new.

        Raises:
            LeaseHeldError: another worker is busy with the resource.
        """
        result = self.end_unchanged(evaluation, Result(evaluation.request, Outcome.COMPLIANT), state)
        # Nothing was announced about a new resource: its creation makes any finding a new one.
        if not evaluation.announces or evaluation.request.dry_run or evaluation.request.creates:
            return result
        item = self._ledger.state(evaluation.control.id, evaluation.arn)
        if item.announced_at > read_at.timestamp():
            return result  # a later read found it not compliant
        critical = item.hold_critical or evaluation.control.severity is Severity.CRITICAL
        hold_too = bool(item.hold_findings) and (item.hold_kind in BY_PEOPLE or critical)
        if item.announced or hold_too:
            self._ledger.forget(evaluation.control.id, evaluation.arn, item, hold_too=hold_too)
        return result

    def record_decision(
        self, evaluation: Evaluation, record: FindingRecord, item: StateItem, decision: decide.Decision
    ) -> Result:
        """Record a decision that leaves the resource as it is, and return its result."""
        if isinstance(decision, decide.Skip):
            return Result(evaluation.request, Outcome.SKIPPED, decision.reason, held_by=decision.held_by)
        if isinstance(decision, decide.AwaitApproval | decide.Hold):
            return self.hold(evaluation, record, item, decision)
        return self.announce(evaluation, record, item, decision)

    def announce(
        self, evaluation: Evaluation, record: FindingRecord, item: StateItem, decision: decide.Decision
    ) -> Result:
        """Announce a finding that is not changed: once a day while it stays the same. A manual run always gets it."""
        held = isinstance(decision, decide.Announce) and decision.held
        if not held:  # under a person's hold the open plan is an undo's, which they have to request again
            item = self._plans.close_interrupted(
                evaluation.arn, item, f"now: {decision.reason}", len(evaluation.aws.made)
            )
        reason = f"{record['reason']}; {decision.reason}"
        # A finding that was announced as critical is known, whatever finds it next.
        known = (
            {**record, "fingerprint": evaluation.critical_fingerprint}
            if evaluation.critical_fingerprint == item.announced
            else record
        )
        if announced_recently(
            item, known, evaluation.request, self._clock(), state_has_ids=evaluation.control.state_has_ids
        ):
            return self._already_announced(evaluation, item, record, reason)
        alert, detail = self._within_daily_limit(evaluation, decision.reason, record["severity"])
        before = record["before"]
        ended = evaluation.outcome_record(
            record, Outcome.ANNOUNCED, detail, now=self._clock(), after=before, announce=alert
        )
        sealed = self._ledger.announce(ended, item, _findings_with(item, record) if held else None)
        return evaluation.result(Outcome.ANNOUNCED, reason, sealed)

    def _already_announced(self, evaluation: Evaluation, item: StateItem, record: FindingRecord, reason: str) -> Result:
        """Return the result of a finding that was announced within a day: skipped, unless a person asked for it."""
        if evaluation.request.cause.origin != "manual":
            return self.end_unchanged(
                evaluation, Result(evaluation.request, Outcome.SKIPPED, "already announced within a day")
            )
        since = datetime.fromtimestamp(item.announced_at, UTC)
        reason = f"{reason} (announced on {since:%Y-%m-%d %H:%M} UTC)"
        calls = calls_of(record["calls"])
        return self.end_unchanged(
            evaluation, Result(evaluation.request, Outcome.ANNOUNCED, reason, calls, item.announced_record)
        )

    def hold(
        self,
        evaluation: Evaluation,
        record: FindingRecord,
        item: StateItem,
        decision: decide.AwaitApproval | decide.Hold,
    ) -> Result:
        """Keep the request until the hold is due, somebody approves it, or it is released."""
        item = self._plans.close_interrupted(evaluation.arn, item, f"now: {decision.reason}", len(evaluation.aws.made))
        awaits = isinstance(decision, decide.AwaitApproval)
        outcome = Outcome.AWAITING if awaits else Outcome.HELD
        raised = isinstance(decision, decide.Hold) and decision.critical
        found = {**record, "severity": str(Severity.CRITICAL)} if raised else record
        critical, before = record["severity"] == Severity.CRITICAL, record["before"]
        alert = awaits or raised or critical
        ended = evaluation.outcome_record(
            found, outcome, decision.reason, now=self._clock(), after=before, announce=alert
        )
        kind = HoldKind.APPROVAL if isinstance(decision, decide.AwaitApproval) else decision.kind
        placed = holds.extended(item, kind, decision.until, self._clock(), critical=critical)
        sealed = self._ledger.hold(ended, item, placed, replace(evaluation.request, attempt=1, first_seen=""))
        held_by = HeldBy(kind, decision.until, sealed["record_id"])
        return replace(evaluation.result(outcome, decision.reason, sealed), held_by=held_by)

    def tags_unreadable(self, evaluation: Evaluation, error: Exception) -> Result:
        """Return the result where settings depend on a name or tags that cannot be read: nothing is changed.

        ``evaluation`` is made as if the resource had no tags.
        """
        request, kind = evaluation.request, evaluation.kind(error)
        if kind is ErrorKind.TRANSIENT:
            return delayed(request, f"its name or tags cannot be read now: {error}")
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError.of(evaluation.arn, error) from error
        reason = f"the settings depend on its name or tags, which cannot be read: {error}; nothing was changed"
        outside = decide.skip_reason(evaluation.arn, evaluation.circumstances(self._clock()))
        if kind is ErrorKind.NOT_FOUND or request.dry_run or outside:
            return Result(request, Outcome.SKIPPED, outside or reason)
        outcome = Outcome.DENIED if kind is ErrorKind.DENIED else Outcome.FAILED
        return self.record_unreadable(evaluation, reason, outcome)

    def read_failed(self, evaluation: Evaluation, error: Exception) -> Result:
        """Return the result of a read that AWS refused."""
        request, kind = evaluation.request, evaluation.kind(error)
        may_appear = kind is ErrorKind.NOT_FOUND and decide.may_still_appear(evaluation.control, request, self._clock())
        if kind is ErrorKind.TRANSIENT or may_appear:
            return delayed(request, f"not ready: {error}")
        if kind is ErrorKind.NOT_FOUND:
            return self.end_unchanged(evaluation, Result(request, Outcome.GONE, "the resource does not exist any more"))
        if kind is ErrorKind.DENIED and not request.dry_run:
            return self.record_unreadable(evaluation, str(error), Outcome.DENIED)
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError.of(evaluation.arn, error) from error
        raise error

    def record_unreadable(self, evaluation: Evaluation, detail: str, outcome: Outcome) -> Result:
        """Record once a day that Evenkeel may not read a resource."""
        now = self._clock()
        unread = evaluation.with_severity(NonCompliant("cannot be read", kind="unread"))
        record = evaluation.record({}, unread, now=now, retention_days=self._retention_days)
        item = self._ledger.state(evaluation.control.id, evaluation.arn)
        held = item.held(now)
        if held:
            return Result(evaluation.request, Outcome.SKIPPED, held, held_by=item.held_by(now))
        if not item.plan and announced_recently(item, record, evaluation.request, now, state_has_ids=False):
            if evaluation.request.cause.origin == "manual":
                return self.end_unchanged(
                    evaluation, Result(evaluation.request, outcome, detail, record_id=item.announced_record)
                )
            return self.end_unchanged(
                evaluation, Result(evaluation.request, Outcome.SKIPPED, "already announced within a day")
            )
        try:
            alert = (
                self._ledger.counters.first_today(f"denied#{evaluation.counter_key}", evaluation.arn)
                or evaluation.weakened
            )
            if item.plan:
                return self._plans.end(evaluation, item, outcome, detail, announce=alert)
            ended = evaluation.outcome_record(record, outcome, detail, now=now, announce=alert)
            return evaluation.result(outcome, detail, self._ledger.announce(ended, item))
        except (LeaseHeldError, StaleStateError) as error:
            return delayed(evaluation.request, str(error))

    def _within_daily_limit(self, evaluation: Evaluation, reason: str, severity: str) -> tuple[bool, str]:
        """Return whether to alert on one more finding, and its detail; the first one over the limit says so."""
        if severity == Severity.CRITICAL:
            return True, reason
        if self._ledger.counters.count(f"told#{evaluation.counter_key}", DAILY_LIMIT).held_until is None:
            return True, reason
        more = f"{reason}; more than {DAILY_LIMIT.limit} such findings today: the rest are only in the audit table"
        return self._ledger.counters.first_today(f"told#{evaluation.counter_key}", evaluation.arn), more


def _findings_with(item: StateItem, record: FindingRecord) -> tuple[str, ...]:
    """Return the findings that a person's hold covers, with one announced under it; a critical one is not covered."""
    known = item.hold_findings or ()
    if record["severity"] == Severity.CRITICAL or record["fingerprint"] in known:
        return known
    return (*known, record["fingerprint"])[-holds.MAX_FINDINGS :]
