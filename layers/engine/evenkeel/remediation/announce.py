"""What is left as it is: passed over, announced, held or not readable, and written down as that."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evenkeel.audit.state_item import HoldKind
from evenkeel.control import Radius
from evenkeel.errors import ErrorKind, LeaseHeldError, StaleStateError
from evenkeel.model import NonCompliant, Outcome, Result, Severity
from evenkeel.remediation import decide, holds
from evenkeel.remediation.evaluation import delayed
from evenkeel.remediation.fingerprint import announced_lately
from evenkeel.remediation.repair import NotGrantedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.records import Record
    from evenkeel.audit.state_item import StateItem
    from evenkeel.model import State
    from evenkeel.remediation.evaluation import Evaluation
    from evenkeel.remediation.plans import Plans

MOST = Radius(limit=100, window_seconds=86_400)
"""How many findings of one control in one account people are told of in a day (UTC), unless they are critical."""


class Announcer:
    """Writes what becomes of resources that are not changed; an act that a worker left open gets its outcome."""

    def __init__(self, ledger: Ledger, plans: Plans, retention_days: int, clock: Callable[[], datetime]) -> None:
        """Keep the doors to the world."""
        self._ledger = ledger
        self._plans = plans
        self._retention_days = retention_days
        self._clock = clock

    def leave(self, evaluation: Evaluation, result: Result, after: State | None = None) -> Result:
        """Return a result that changes nothing, once an act that a worker left open has its outcome."""
        request = evaluation.request
        first_look = not (evaluation.redelivered or request.attempt or request.plan or request.cause.origin == "verify")
        if request.dry_run or first_look:
            return result
        proved = result.outcome is Outcome.COMPLIANT
        outcome = Outcome.REMEDIATED if proved else Outcome.FAILED
        detail = "verified when looked at again" if proved else f"interrupted; by now: {result.reason}"
        try:
            self._plans.finish(evaluation, after, outcome, detail)
        except (LeaseHeldError, StaleStateError) as error:
            return delayed(request, str(error))
        return result

    def compliant(self, evaluation: Evaluation, state: State, looked_at: datetime) -> Result:
        """Return that a resource is compliant; what was announced of it before is forgotten, so that it is news again.

        Raises:
            LeaseHeldError: somebody else is at the resource.
        """
        result = self.leave(evaluation, Result(evaluation.request, Outcome.COMPLIANT), state)
        # Of a new resource nothing was announced: its creation makes any finding a new one.
        if not evaluation.announces or evaluation.request.dry_run or evaluation.request.creates:
            return result
        item = self._ledger.state(evaluation.control.id, evaluation.arn)
        if item.announced_at > looked_at.timestamp():
            return result  # somebody saw it later, and not compliant
        critical = item.hold_critical or evaluation.control.severity is Severity.CRITICAL
        hold_too = bool(item.hold_findings) and (item.hold_kind == HoldKind.PERSON or critical)
        if item.announced or hold_too:
            self._ledger.forget(evaluation.control.id, evaluation.arn, item, hold_too=hold_too)
        return result

    def left(self, evaluation: Evaluation, record: Record, item: StateItem, decision: decide.Decision) -> Result:
        """Leave the resource as it is, and say so as decided."""
        if isinstance(decision, decide.Skip):
            return Result(evaluation.request, Outcome.SKIPPED, decision.reason)
        if isinstance(decision, decide.AwaitApproval | decide.Hold):
            return self.hold(evaluation, record, item, decision)
        return self.announce(evaluation, record, item, decision)

    def announce(self, evaluation: Evaluation, record: Record, item: StateItem, decision: decide.Decision) -> Result:
        """Tell people of a finding that is left as it is, once a day while nothing changes; answer whoever asks."""
        held = isinstance(decision, decide.Announce) and decision.held
        if not held:  # under a person's hold the open plan is an undo's, which they have to ask for again
            item = self._plans.interrupt(evaluation.arn, item, f"by now: {decision.reason}", len(evaluation.aws.made))
        reason = f"{record['reason']}; {decision.reason}"
        # What was announced as critical is known, whoever finds it next.
        known = {**record, "fingerprint": evaluation.graver} if evaluation.graver == item.announced else record
        if announced_lately(item, known, evaluation.request, self._clock(), has_ids=evaluation.control.state_has_ids):
            return self._announced_before(evaluation, item, record, reason)
        told, detail = self._enough(evaluation, decision.reason, record["severity"])
        before = record["before"]
        ended = evaluation.outcome(record, Outcome.ANNOUNCED, detail, now=self._clock(), after=before, announce=told)
        sealed = self._ledger.announce(ended, item, _still_held(item, record) if held else None)
        return evaluation.ended(Outcome.ANNOUNCED, reason, sealed)

    def _announced_before(self, evaluation: Evaluation, item: StateItem, record: Record, reason: str) -> Result:
        """Return a finding that was announced within a day: to a person, what it is; to an event, that it is known."""
        if evaluation.request.cause.origin != "manual":
            return self.leave(evaluation, Result(evaluation.request, Outcome.SKIPPED, "already announced within a day"))
        since = datetime.fromtimestamp(item.announced_at, UTC)
        reason = f"{reason} (announced on {since:%Y-%m-%d %H:%M} UTC)"
        return self.leave(
            evaluation, evaluation.ended(Outcome.ANNOUNCED, reason, {**record, "record_id": item.announced_record})
        )

    def hold(
        self, evaluation: Evaluation, record: Record, item: StateItem, decision: decide.AwaitApproval | decide.Hold
    ) -> Result:
        """Keep the request until the hold is due, somebody approves it, or it is released."""
        item = self._plans.interrupt(evaluation.arn, item, f"by now: {decision.reason}", len(evaluation.aws.made))
        asks = isinstance(decision, decide.AwaitApproval)
        outcome = Outcome.AWAITING if asks else Outcome.HELD
        wakes = isinstance(decision, decide.Hold) and decision.critical
        found = {**record, "severity": str(Severity.CRITICAL)} if wakes else record
        critical, before = record["severity"] == Severity.CRITICAL, record["before"]
        told = asks or wakes or critical
        ended = evaluation.outcome(found, outcome, decision.reason, now=self._clock(), after=before, announce=told)
        kind = HoldKind.APPROVAL if isinstance(decision, decide.AwaitApproval) else decision.kind
        placed = holds.renewed(item, kind, decision.until, self._clock(), critical=critical)
        sealed = self._ledger.hold(ended, item, placed, replace(evaluation.request, attempt=1, first_seen=""))
        return evaluation.ended(outcome, decision.reason, sealed)

    def rules_unknown(self, evaluation: Evaluation, error: Exception) -> Result:
        """Return the result where rules depend on a name or tags that cannot be read: nothing is done, people know.

        ``evaluation`` is as if the resource had no tags.
        """
        request, kind = evaluation.request, evaluation.kind(error)
        if kind is ErrorKind.TRANSIENT:
            return delayed(request, f"its name or tags cannot be read now: {error}")
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError.of(evaluation.arn, error) from error
        reason = f"rules depend on its name or tags, which cannot be read: {error}; left alone"
        outside = decide.not_ours(evaluation.arn, evaluation.circumstances(self._clock()))
        if kind is ErrorKind.NOT_FOUND or request.dry_run or outside:
            return Result(request, Outcome.SKIPPED, outside or reason)
        outcome = Outcome.DENIED if kind is ErrorKind.DENIED else Outcome.FAILED
        return self.unread(evaluation, reason, outcome)

    def unreadable(self, evaluation: Evaluation, error: Exception) -> Result:
        """Return the result of a read that AWS refused."""
        request, kind = evaluation.request, evaluation.kind(error)
        may_appear = kind is ErrorKind.NOT_FOUND and decide.may_still_appear(evaluation.control, request, self._clock())
        if kind is ErrorKind.TRANSIENT or may_appear:
            return delayed(request, f"not ready: {error}")
        if kind is ErrorKind.NOT_FOUND:
            gone = Result(request, Outcome.GONE, "the resource is not there any more")
            return self.leave(evaluation, gone)
        if kind is ErrorKind.DENIED and not request.dry_run:
            return self.unread(evaluation, str(error), Outcome.DENIED)
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError.of(evaluation.arn, error) from error
        raise error

    def unread(self, evaluation: Evaluation, detail: str, outcome: Outcome) -> Result:
        """Audit a resource that its owner, or AWS, does not let us read, once a day."""
        now = self._clock()
        unread = evaluation.graded(NonCompliant("cannot be read", kind="unread"))
        record = evaluation.record({}, unread, now=now, retention_days=self._retention_days)
        item = self._ledger.state(evaluation.control.id, evaluation.arn)
        held = item.held(now)
        if held:
            return Result(evaluation.request, Outcome.SKIPPED, held)
        if not item.plan and announced_lately(item, record, evaluation.request, now, has_ids=False):
            if evaluation.request.cause.origin == "manual":
                return self.leave(
                    evaluation, Result(evaluation.request, outcome, detail, record_id=item.announced_record)
                )
            return self.leave(evaluation, Result(evaluation.request, Outcome.SKIPPED, "already told within a day"))
        try:
            told = (
                self._ledger.counters.first_today(f"denied#{evaluation.per_account}", evaluation.arn)
                or evaluation.weakened
            )
            if item.plan:
                return self._plans.end(evaluation, item, outcome, detail, announce=told)
            ended = evaluation.outcome(record, outcome, detail, now=now, announce=told)
            return evaluation.ended(outcome, detail, self._ledger.announce(ended, item))
        except (LeaseHeldError, StaleStateError) as error:
            return delayed(evaluation.request, str(error))

    def _enough(self, evaluation: Evaluation, reason: str, severity: str) -> tuple[bool, str]:
        """Say whether people are told of one more finding, and in which words: one beyond the day's most says so."""
        if severity == Severity.CRITICAL:
            return True, reason
        if self._ledger.counters.count(f"told#{evaluation.per_account}", MOST).held_until is None:
            return True, reason
        more = f"{reason}; more than {MOST.limit} such findings: those that follow today stand in the audit only"
        return self._ledger.counters.first_today(f"told#{evaluation.per_account}", evaluation.arn), more


def _still_held(item: StateItem, record: Record) -> tuple[str, ...]:
    """Return what a person's hold is about once a finding was announced under it: that one, too, if not critical."""
    known = item.hold_findings or ()
    if record["severity"] == Severity.CRITICAL or record["fingerprint"] in known:
        return known
    return (*known, record["fingerprint"])[-holds.MOST_FINDINGS :]
