"""The outcomes of planned changes: what a failed call means, and whether a read proves the change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from evenkeel import canonical
from evenkeel.errors import AwsError, ErrorKind, EvenkeelError
from evenkeel.model import Compliant, NonCompliant, NotApplicable, Outcome, Result
from evenkeel.remediation import decide
from evenkeel.remediation.evaluation import delayed, returned
from evenkeel.remediation.fingerprint import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.audit.counters import Counters
    from evenkeel.audit.record_types import FindingRecord, PlannedRecord
    from evenkeel.audit.state_item import StateItem
    from evenkeel.model import Judgement
    from evenkeel.remediation.calls import Planned, Sent
    from evenkeel.remediation.evaluation import Evaluation
    from evenkeel.remediation.plans import Plans
    from evenkeel.runtime.aws import Answers

VERIFY_WITHIN = timedelta(minutes=15)
"""A change that AWS does not show within this time counts as failed."""
_PROOF_ATTEMPT = 4  # a change that does not show at once may take long: begin with this attempt's delay (32 s)


class NotGrantedError(EvenkeelError):
    """Our own role lacks a permission: a defect of the stack that a retry cannot fix."""

    @classmethod
    def of(cls, arn: str, refusal: object) -> NotGrantedError:
        """Return the error for a refused call on a resource, with what to do next."""
        return cls(f"{arn}: {refusal}; deploy the stack's current policies")


class Repairer:
    """Proves planned changes and writes their outcomes."""

    def __init__(self, plans: Plans, counters: Counters, clock: Callable[[], datetime]) -> None:
        """Keep the plans and the counters."""
        self._plans = plans
        self._counters = counters
        self._clock = clock

    def check_sent(self, sent: Sent) -> Planned | Result:
        """Return the plan if its call succeeded, else the result of the failed call.

        Raises:
            NotGrantedError: our role lacks a permission.
            Exception: any error that did not come from AWS.
        """
        planned, evaluation = sent.planned, sent.evaluation
        error = sent.error or evaluation.control.partial_failure(sent.answer)
        if error is None:
            with_others: PlannedRecord = {**planned.plan, "sent_with": sent.sent_with}
            return replace(planned, plan=with_others) if sent.sent_with else planned
        if not isinstance(error, AwsError):
            raise error
        return self._call_failed(sent, error)

    def _call_failed(self, sent: Sent, error: Exception) -> Result:
        """Return the result of a call that AWS refused; the plan stays open if a later attempt may succeed."""
        evaluation, plan, call = sent.evaluation, sent.planned.plan, sent.call
        kind, request = evaluation.kind(error), evaluation.request
        where = f"{call.service}:{call.operation}: {error}"
        # The resource was just read: a new one may not be ready for changes ("not found" for a table being created).
        settles = decide.may_still_settle(request, self._clock())
        if kind is ErrorKind.TRANSIENT or (kind is ErrorKind.NOT_FOUND and settles):
            self._plans.release(evaluation, plan)
            return delayed(request, f"not ready: {where}")
        if kind is ErrorKind.DENIED:
            first = self._counters.first_today(f"denied#{evaluation.counter_key}", evaluation.arn)
            return self._plans.close(evaluation, plan, Outcome.DENIED, where, announce=first)
        if kind is ErrorKind.NOT_FOUND:
            detail = f"the resource was deleted: {error}"
            return self._plans.close(evaluation, plan, Outcome.FAILED, detail, announce=False)
        closed = self._plans.close(evaluation, plan, Outcome.FAILED, where)
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError.of(evaluation.arn, where)
        return closed

    def prove(self, planned: Planned, answers: Answers | None) -> Planned | Result:
        """Read and judge once: return the result if the change shows, else the plan, to be read again.

        Raises:
            NotGrantedError: our role lacks a permission.
            ClientError: AWS refused the read for a reason that the control does not know.
        """
        evaluation, plan = planned.evaluation, planned.plan
        try:
            state, judgement = evaluation.read_and_judge(self._clock(), answers)
        except AwsError as error:
            kind = evaluation.kind(error)
            if kind in {ErrorKind.TRANSIENT, ErrorKind.NOT_FOUND}:
                return planned
            if kind is ErrorKind.REFUSED:
                raise
            detail = f"changed, but the change cannot be verified: {error}"
            closed = self._plans.close(evaluation, plan, Outcome.FAILED, detail)
            if kind is ErrorKind.NOT_GRANTED:
                raise NotGrantedError.of(evaluation.arn, error) from error
            return closed
        if not _is_proved(judgement):
            return planned
        remains, remaining = "", ""
        if isinstance(judgement, NonCompliant):
            remains = judgement.remains or judgement.reason
            remaining = fingerprint(evaluation.control, state, judgement)
        outcome = Outcome.PARTIAL if remains else Outcome.REMEDIATED
        rounds = self._plans.rounds(evaluation, plan, planned.item)
        return self._plans.close(evaluation, plan, outcome, remains, after=state, rounds=rounds, remaining=remaining)

    def prove_later(self, planned: Planned) -> Result:
        """Record a change that does not show yet as applied, and return a request that proves it later."""
        evaluation, detail = planned.evaluation, "the change does not show yet; it will be checked again"
        self._plans.keep_open(evaluation, planned.plan, Outcome.APPLIED, detail)
        proof = replace(evaluation.request, plan=planned.plan["record_id"], attempt=0, first_seen="")
        return returned(proof, detail, decide.return_delay(_PROOF_ATTEMPT))

    def still_unproved(self, evaluation: Evaluation, finding: FindingRecord, item: StateItem) -> Result:
        """Return the result of a later check where the change still does not show: wait, or give up."""
        now, request = self._clock(), evaluation.request
        waited = now - datetime.fromisoformat(request.first_seen) if request.first_seen else timedelta()
        if item.plan_digest == canonical.digest(finding["calls"]) and waited < VERIFY_WITHIN:
            delay = decide.return_delay(_PROOF_ATTEMPT + request.attempt)
            return returned(request, "the change does not show yet", delay)
        detail = "the change did not hold"
        return self._plans.end(evaluation, item, Outcome.FAILED, detail, after=finding["before"])


def _is_proved(judgement: Judgement) -> bool:
    """Return whether a judgement leaves nothing for Evenkeel to change."""
    if isinstance(judgement, NonCompliant):
        return judgement.change is None
    return isinstance(judgement, Compliant | NotApplicable)
