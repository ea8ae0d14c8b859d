"""Open plans: written before the first call, taken over after a crash, closed with an outcome.

Repairs, announcements and undo share them. A plan is open while the state item names it.
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
"""Seconds to wait before each read that is to prove a change; about ten in all."""
_UNDO_INTERRUPTED = "interrupted; the undo may be made or not"


class Plans:
    """Opens, takes over and closes plans for one worker."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        """Keep the ledger."""
        self._ledger = ledger
        self._clock = clock

    def open(self, evaluation: Evaluation, finding: FindingRecord, item: StateItem, limits: Limits) -> PlannedRecord:
        """Return the PLANNED record to act under: the open one for the same calls, or a new one that is counted.

        ``hash`` of what is returned is the chain's head, whichever record that is.

        Raises:
            LeaseHeldError, StaleStateError: another worker was faster; nothing was changed.
            TooMuchError, AllowanceSpentError: a limit is reached; nothing was changed.
        """
        if item.plan and item.plan_digest == canonical.digest(finding["calls"]):
            plan = self._ledger.record(evaluation.arn, item.plan)
            if plan:
                self._ledger.adopt(evaluation.control.id, evaluation.arn, item)
                return {**plan, "hash": item.head}
        by_now = "the resource needs another change by now"
        item = self.interrupt(evaluation.arn, item, by_now, len(evaluation.aws.made), missing_ok=True)
        if evaluation.released:  # who releases one resource lets it be changed
            return self._ledger.plan(records.planned(finding, self._clock()), item)
        limits.refuse_tug_of_war(evaluation, item, finding["fingerprint"])
        limits.take_allowance(evaluation)
        try:
            limits.count(evaluation, item)
            return self._ledger.plan(records.planned(finding, self._clock()), item)
        except EvenkeelError:  # nothing is changed
            limits.give_back_allowance(evaluation)
            raise

    def interrupt(
        self, arn: str, item: StateItem, by_now: str, aws_calls: int = 0, *, missing_ok: bool = False
    ) -> StateItem:
        """Close the plan that a worker left open, if there is one; return the state item without it.

        ``by_now`` says why it is not carried on with; ``missing_ok`` is for a new plan, which replaces it.

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
        detail = _UNDO_INTERRUPTED if records.undone(plan) else f"interrupted; {by_now}"
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
        """Write the outcome of a plan that was cut short, or whose change showed late, if there is one.

        Raises:
            LeaseHeldError: another worker is at the resource, or was when it died.
            StaleStateError: another worker was faster.
        """
        control, arn = evaluation.control.id, evaluation.arn
        item, now = self._ledger.state(control, arn), self._clock()
        decided = evaluation.approval is not None and evaluation.approval.record["record_id"] == item.hold_record
        if decided or (item.held_request and not item.held(now)):
            self._ledger.unhold(control, arn, item)
            item = replace(item, hold_until=0)
        # Under a hold the open plan is an undo's: whoever asked for it has to ask again.
        if item.plan and not item.held(now):
            if item.leased_to_other(self._ledger.owner, now):
                raise LeaseHeldError(f"{arn}: another worker is at it, or died over it")
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
        """Write the outcome of the plan that a state item holds open.

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
        left: str = "",
    ) -> Result:
        """Write the outcome of a plan and give the lease back; ``left`` is the fingerprint of what people must fix."""
        ended = evaluation.outcome(plan, outcome, detail, now=self._clock(), after=after, announce=announce)
        sealed = self._ledger.close(plan["hash"], ended, rounds=rounds, left=left)
        return evaluation.ended(outcome, detail or plan["reason"], sealed)

    def keep_open(self, evaluation: Evaluation, plan: PlannedRecord, outcome: Outcome, detail: str) -> None:
        """Write what a plan has come to so far, and give the lease back."""
        ended = evaluation.outcome(plan, outcome, detail, now=self._clock())
        self._ledger.close(plan["hash"], ended, keep_open=True)

    def release(self, evaluation: Evaluation, plan: PlannedRecord) -> None:
        """Give the lease back with the plan still open, for a later try."""
        self._ledger.release(evaluation.control.id, evaluation.arn, plan["hash"])

    def rounds(self, evaluation: Evaluation, plan: PlannedRecord, item: StateItem) -> tuple[dict[str, Any], ...]:
        """Return the resource's last repairs with this one."""
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
        """Return the plans that shared the call, as an APPLIED record names them; empty where there is none."""
        last = self._ledger.record(arn, item.head_record) if item.head_record != item.plan else None
        return last.get("sent_with", {}) if last else {}


def _missing(arn: str, item: StateItem) -> EvenkeelError:
    """Return the error for an open plan without a record."""
    return EvenkeelError(f"{arn}: record {item.plan} is missing from the audit table; restore it from backup")
