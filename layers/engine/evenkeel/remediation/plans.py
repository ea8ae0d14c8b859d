"""Open plans: written before the first call, taken over after a crash, closed with an outcome.

Repairs, announcements and undo all use them. A plan is open while the state item has its record id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evenkeel import canonical
from evenkeel.audit import records
from evenkeel.audit.state_item import TUG_REPAIRS
from evenkeel.errors import EvenkeelError, LeaseHeldError
from evenkeel.model import Outcome
from evenkeel.remediation.limits import CLIENT_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import FindingRecord, PlannedRecord
    from evenkeel.audit.state_item import StateItem
    from evenkeel.model import Result, State
    from evenkeel.remediation.evaluation import Evaluation
    from evenkeel.remediation.limits import Limits

VERIFY_PAUSES = (0.0, 0.3, 0.7, 1.5, 3.0, 4.0)
"""Seconds to wait before each read that verifies a change; about ten in all."""
_UNDO_INTERRUPTED = "interrupted; the undo may or may not have been made"


class Plans:
    """Opens, takes over and closes plans for one worker."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        """Keep the ledger."""
        self._ledger = ledger
        self._clock = clock

    def open(self, evaluation: Evaluation, finding: FindingRecord, item: StateItem, limits: Limits) -> PlannedRecord:
        """Return the PLANNED record for a change: the open one for the same calls, or a new one, which is counted.

        Its ``hash`` is the chain's head, even if that is a later record.

        Raises:
            LeaseHeldError, StaleStateError: another worker was faster; nothing was changed.
            LimitReachedError, AllowanceSpentError: a limit is reached; nothing was changed.
        """
        if item.plan and item.plan_digest == canonical.digest(finding["calls"]):
            plan = self._ledger.record(evaluation.arn, item.plan)
            if plan:
                self._ledger.adopt(evaluation.control.id, evaluation.arn, item)
                return {**plan, "hash": item.head}
        calls, reason = len(evaluation.aws.made), "the resource needs a different change now"
        item = self.close_interrupted(evaluation.arn, item, reason, calls, missing_ok=True)
        if evaluation.released:  # a release of this one resource overrides the limits
            return self._ledger.plan(records.planned(finding, self._clock()), item)
        limits.refuse_tug_of_war(evaluation, item, finding["fingerprint"])
        limits.take_allowance(evaluation)
        try:
            limits.count(evaluation, item)
            return self._ledger.plan(records.planned(finding, self._clock()), item)
        except EvenkeelError:  # nothing was changed
            limits.give_back_allowance(evaluation)
            raise

    def close_interrupted(
        self, arn: str, item: StateItem, reason: str, aws_calls: int = 0, *, missing_ok: bool = False
    ) -> StateItem:
        """Close the plan that a crashed worker left open, if there is one; return the state item without it.

        ``reason`` is why the plan is not continued; ``missing_ok`` is for a new plan, which replaces it.

        Raises:
            EvenkeelError: the plan's record is missing from the audit table.
            LeaseHeldError, StaleStateError: another worker was faster.
        """
        if not item.plan:
            return item
        plan = self._ledger.record(arn, item.plan)
        if plan is None and missing_ok:
            return item
        if plan is None:
            raise _missing(arn, item)
        if sent_with := self._sent_with(arn, item):
            plan = {**plan, "sent_with": sent_with}
        detail = _UNDO_INTERRUPTED if records.undone(plan) else f"interrupted; {reason}"
        now = self._clock()
        ended = records.ended(plan, Outcome.FAILED, now=now, detail=detail, aws_calls=aws_calls, announce=False)
        closed = self._ledger.close(item.head, ended)
        return replace(
            item,
            plan="",
            plan_digest="",
            head=closed["hash"],
            head_expires_at=closed["expires_at"],
            head_record=closed["record_id"],
        )

    def finish(self, evaluation: Evaluation, state: State | None, outcome: Outcome, detail: str) -> None:
        """Write the outcome of the plan that was interrupted, or whose change showed late, if there is one.

        Raises:
            LeaseHeldError: another worker holds the lease, or crashed while it held it.
            StaleStateError: another worker was faster.
        """
        control, arn = evaluation.control.id, evaluation.arn
        item, now = self._ledger.state(control, arn), self._clock()
        decided = evaluation.approval is not None and evaluation.approval.record["record_id"] == item.hold_record
        if decided or (item.held_request and not item.held(now)):
            self._ledger.unhold(control, arn, item)
            item = replace(item, hold_until=0)
        # Under a hold the open plan is an undo's: the person has to request the undo again.
        if item.plan and not item.held(now):
            if item.leased_to_other(self._ledger.owner, now):
                raise LeaseHeldError(f"{arn}: another worker is busy with it, or crashed")
            self.end(evaluation, item, outcome, detail, after=state, announce=outcome is Outcome.REMEDIATED)

    def end(  # noqa: PLR0913 - an outcome has these parts
        self,
        evaluation: Evaluation,
        item: StateItem,
        outcome: Outcome,
        detail: str,
        *,
        after: State | None = None,
        announce: bool = True,
    ) -> Result:
        """Write the outcome of the open plan of a state item.

        Raises:
            EvenkeelError: the plan's record is missing from the audit table.
            LeaseHeldError, StaleStateError: another worker was faster.
        """
        plan = self._ledger.record(evaluation.arn, item.plan)
        if plan is None:
            raise _missing(evaluation.arn, item)
        if records.undone(plan):
            outcome, detail = Outcome.FAILED, _UNDO_INTERRUPTED
        plan = {**plan, "hash": item.head}
        if sent_with := self._sent_with(evaluation.arn, item):
            plan["sent_with"] = sent_with
        rounds = self.rounds(evaluation, plan, item) if outcome is Outcome.REMEDIATED else ()
        return self.close(evaluation, plan, outcome, detail, after=after, announce=announce, rounds=rounds)

    def close(  # noqa: PLR0913 - as above
        self,
        evaluation: Evaluation,
        plan: PlannedRecord,
        outcome: Outcome,
        detail: str,
        *,
        after: State | None = None,
        announce: bool = True,
        rounds: tuple[dict[str, Any], ...] = (),
        remaining: str = "",
    ) -> Result:
        """Write the outcome of a plan and release the lease.

        ``remaining`` is the fingerprint of the finding that is left for people to fix.
        """
        ended = evaluation.outcome_record(plan, outcome, detail, now=self._clock(), after=after, announce=announce)
        sealed = self._ledger.close(plan["hash"], ended, rounds=rounds, remaining=remaining)
        return evaluation.result(outcome, detail or plan["reason"], sealed)

    def keep_open(self, evaluation: Evaluation, plan: PlannedRecord, outcome: Outcome, detail: str) -> None:
        """Write the outcome of a plan so far and release the lease; the plan stays open."""
        ended = evaluation.outcome_record(plan, outcome, detail, now=self._clock())
        self._ledger.close(plan["hash"], ended, keep_open=True)

    def release(self, evaluation: Evaluation, plan: PlannedRecord) -> None:
        """Release the lease with the plan still open, for a later attempt."""
        self._ledger.release(evaluation.control.id, evaluation.arn, plan["hash"])

    def rounds(self, evaluation: Evaluation, plan: PlannedRecord, item: StateItem) -> tuple[dict[str, Any], ...]:
        """Return the resource's latest repairs, including this one."""
        actor, now = plan["actor"], self._clock()
        this = {
            "at": int(now.timestamp() * 1000),
            "principal": actor["principal"],
            "client": actor["user_agent"][:CLIENT_LENGTH],
            "event": plan["cause"]["event_name"],
            "fingerprint": plan.get("fingerprint", ""),
        }
        before = () if evaluation.released else item.recent_rounds(now)
        return (*before, this)[-TUG_REPAIRS:]

    def _sent_with(self, arn: str, item: StateItem) -> dict[str, str]:
        """Return the other plans that shared the call, as the APPLIED record lists them; empty without one."""
        last = self._ledger.record(arn, item.head_record) if item.head_record != item.plan else None
        return last.get("sent_with", {}) if last else {}


def _missing(arn: str, item: StateItem) -> EvenkeelError:
    """Return the error for an open plan without a record."""
    return EvenkeelError(f"{arn}: record {item.plan} is missing from the audit table; restore it from backup")
