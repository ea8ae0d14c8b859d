"""From the answers of AWS to an outcome: what a call that failed means, and the proof that a change held."""

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
    from evenkeel.audit.records import Record
    from evenkeel.audit.state_item import StateItem
    from evenkeel.model import Judgement
    from evenkeel.remediation.calls import Planned, Sent
    from evenkeel.remediation.evaluation import Evaluation
    from evenkeel.remediation.plans import Plans
    from evenkeel.runtime.aws import Answers

VERIFY_WITHIN = timedelta(minutes=15)
"""How long AWS may take to show a change before it counts as not having held."""
_PROOF_ATTEMPT = 4  # a proof that is late comes late: begin at this attempt's delay (32 s)


class NotGrantedError(EvenkeelError):
    """Our own role lacks a permission: a defect of the stack that no retry fixes."""

    @classmethod
    def of(cls, arn: str, refusal: object) -> NotGrantedError:
        """Return the error for a refusal about a resource, with what to do next."""
        return cls(f"{arn}: {refusal}; deploy the stack's current policies")


class Repairer:
    """Judges what became of planned changes, and writes their outcomes."""

    def __init__(self, plans: Plans, counters: Counters, clock: Callable[[], datetime]) -> None:
        """Keep the plans."""
        self._plans = plans
        self._counters = counters
        self._clock = clock

    def sent(self, sent: Sent) -> Planned | Result:
        """Return the plan, to go on with, where AWS took its call; else the result.

        Raises:
            NotGrantedError: our role lacks a permission.
            Exception: what is not an error of AWS's.
        """
        planned, evaluation = sent.planned, sent.evaluation
        error = sent.error or evaluation.control.partial_failure(sent.answer)
        if error is None:
            with_others = {**planned.plan, "sent_with": sent.sent_with}
            return replace(planned, plan=with_others) if sent.sent_with else planned
        if not isinstance(error, AwsError):
            raise error
        return self._call_failed(sent, error)

    def _call_failed(self, sent: Sent, error: Exception) -> Result:
        """Return the result of a call that AWS refused; the plan stays open where a later try may succeed."""
        evaluation, plan, call = sent.evaluation, sent.planned.plan, sent.call
        kind, request = evaluation.kind(error), evaluation.request
        where = f"{call.service}:{call.operation}: {error}"
        # The read just saw it: what is new may not be ready for changes (a table that is being created "is not found").
        settles = decide.may_still_settle(request, self._clock())
        if kind is ErrorKind.TRANSIENT or (kind is ErrorKind.NOT_FOUND and settles):
            self._plans.release(evaluation, plan)
            return delayed(request, f"not ready: {where}")
        if kind is ErrorKind.DENIED:
            first = self._counters.first_today(f"denied#{evaluation.per_account}", evaluation.arn)
            return self._plans.close(evaluation, plan, Outcome.DENIED, where, announce=first)
        if kind is ErrorKind.NOT_FOUND:
            detail = f"the resource went away: {error}"
            return self._plans.close(evaluation, plan, Outcome.FAILED, detail, announce=False)
        closed = self._plans.close(evaluation, plan, Outcome.FAILED, where)
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError.of(evaluation.arn, where)
        return closed

    def prove(self, planned: Planned, answers: Answers | None) -> Planned | Result:
        """Read and judge once: return the result where the change shows, or the plan, to be asked again.

        Raises:
            NotGrantedError: our role lacks a permission.
            ClientError: AWS refused the read in a way that nobody foresaw.
        """
        evaluation, plan = planned.evaluation, planned.plan
        try:
            state, judgement = evaluation.look(self._clock(), answers)
        except AwsError as error:
            kind = evaluation.kind(error)
            if kind in {ErrorKind.TRANSIENT, ErrorKind.NOT_FOUND}:
                return planned
            if kind is ErrorKind.REFUSED:
                raise
            detail = f"changed, and cannot be proved: {error}"
            closed = self._plans.close(evaluation, plan, Outcome.FAILED, detail)
            if kind is ErrorKind.NOT_GRANTED:
                raise NotGrantedError.of(evaluation.arn, error) from error
            return closed
        if not _nothing_left(judgement):
            return planned
        remains, left = "", ""
        if isinstance(judgement, NonCompliant):
            remains = judgement.remains or judgement.reason
            left = fingerprint(evaluation.control, state, judgement)
        outcome = Outcome.PARTIAL if remains else Outcome.REMEDIATED
        rounds = self._plans.rounds(evaluation, plan, planned.item)
        return self._plans.close(evaluation, plan, outcome, remains, after=state, rounds=rounds, left=left)

    def prove_later(self, planned: Planned) -> Result:
        """Leave the proof of a change that does not show yet to a later request."""
        evaluation, detail = planned.evaluation, "the change does not show yet; it is looked at again"
        self._plans.keep_open(evaluation, planned.plan, Outcome.APPLIED, detail)
        proof = replace(evaluation.request, plan=planned.plan["record_id"], attempt=0, first_seen="")
        return returned(proof, detail, decide.return_delay(_PROOF_ATTEMPT))

    def still_unproved(self, evaluation: Evaluation, finding: Record, item: StateItem) -> Result:
        """Return the result of a later request for proof where the change still does not show: wait, or give up."""
        now, request = self._clock(), evaluation.request
        waited = now - datetime.fromisoformat(request.first_seen) if request.first_seen else timedelta()
        if item.plan_digest == canonical.digest(finding["calls"]) and waited < VERIFY_WITHIN:
            delay = decide.return_delay(_PROOF_ATTEMPT + request.attempt)
            return returned(request, "the change does not show yet", delay)
        detail = "the change did not hold"
        return self._plans.end(evaluation, item, Outcome.FAILED, detail, after=finding["before"])


def _nothing_left(judgement: Judgement) -> bool:
    """Return whether nothing is left that Evenkeel could change."""
    if isinstance(judgement, NonCompliant):
        return judgement.change is None
    return isinstance(judgement, Compliant | NotApplicable)
