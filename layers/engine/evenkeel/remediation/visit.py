"""One visit to a resource: all requests of one message about it, in five phases. The only place that knows their order.

    look      every control reads and judges; reads that several controls make go to AWS once
    decide    mode, scope, exemptions, holds: findings that are not to be changed end here
    plan      every plan is written before the first call
    send      calls that AWS takes together go out as one
    prove     one fresh read proves every change; each gets its outcome

Each request has its own decision, plan and outcome: if one crashes, the others still end.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from evenkeel.audit.state_item import StateItem
from evenkeel.errors import AwsError, StaleStateError
from evenkeel.model import NonCompliant, NotApplicable, NotReady, Outcome, Result, Severity
from evenkeel.remediation import calls, decide
from evenkeel.remediation.announce import Announcer
from evenkeel.remediation.calls import Planned
from evenkeel.remediation.evaluation import delayed, evaluate, returned, tags_for_rules
from evenkeel.remediation.fingerprint import fingerprint
from evenkeel.remediation.limits import AllowanceSpentError, LimitReachedError, Limits
from evenkeel.remediation.plans import VERIFY_PAUSES, Plans
from evenkeel.remediation.progress import Progress
from evenkeel.remediation.repair import Repairer
from evenkeel.runtime.aws import Answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import FindingRecord
    from evenkeel.control import Control
    from evenkeel.model import Change, Request, State
    from evenkeel.remediation.evaluation import Approval, Evaluation
    from evenkeel.runtime.aws import Aws
    from evenkeel.settings.parser import Settings

_STALE_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class _Found:
    """A finding with its state, and a time before which no part of the state was read."""

    evaluation: Evaluation
    state: State
    finding: NonCompliant
    read_at: datetime


@dataclass(frozen=True, slots=True)
class _Decided:
    """A finding that was decided to be changed, with its record."""

    evaluation: Evaluation
    record: FindingRecord
    item: StateItem
    change: Change


class Visits:
    """Serves requests for one worker."""

    def __init__(  # noqa: PLR0913 - everything outside, passed in so that tests can pass in their own
        self,
        aws: Aws,
        ledger: Ledger,
        *,
        scope: tuple[str, ...],
        retention_days: int,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
        stack: str,
        own_parts: frozenset[str],
    ) -> None:
        """Keep what all visits share; ``aws`` makes the controls' calls, the ledger has its own clients.

        ``stack`` is the stack's name, for the commands in records; ``own_parts`` are the ARNs of its parts.
        """
        self._aws = aws
        self._ledger = ledger
        self._evaluate = partial(evaluate, scope=scope, own_parts=own_parts, clock=clock)
        self._retention_days = retention_days
        self._clock = clock
        self._sleep = sleep
        self._plans = Plans(ledger, clock)
        self._limits = Limits(ledger.counters, stack, clock)
        self._repairer = Repairer(self._plans, ledger.counters, clock)
        self._announcer = Announcer(ledger, self._plans, retention_days, clock)

    def run(
        self,
        control: Control,
        request: Request,
        settings: Settings,
        *,
        redelivered: bool = False,
        approval: Approval | None = None,
    ) -> Result:
        """Serve one request alone; ``approval`` is a person's approval or release of it, if it was held.

        Raises:
            SettingsError: the control's settings are not valid; nothing was changed.
            NotGrantedError: our role lacks a permission.
            ClientError: AWS refused a read, or one of the engine's own calls.
        """
        [ended] = self.visit([(control, request)], settings, redelivered=redelivered, approval=approval)
        if isinstance(ended, Exception):
            raise ended
        return ended

    def visit(
        self,
        asked: Sequence[tuple[Control, Request]],
        settings: Settings,
        *,
        redelivered: bool = False,
        approval: Approval | None = None,
    ) -> list[Result | Exception]:
        """Serve requests about one resource; return a result or an error (as :meth:`run`) for each, in their order."""
        progress, answers = Progress({number: request for number, (_, request) in enumerate(asked)}), Answers()

        def start(one: tuple[Control, Request]) -> Evaluation | Result:
            return self._start(*one, settings, answers, redelivered=redelivered, approval=approval)

        started = progress.each(start, dict(enumerate(asked)))
        progress.requests |= {number: each.request for number, each in started.items()}
        evaluations: dict[int, Evaluation] = started
        planned: dict[int, Planned] = {}
        for attempt in range(1, _STALE_ATTEMPTS + 1):
            planned |= self._planned(progress, evaluations)
            evaluations = progress.again(started)
            if not evaluations or attempt == _STALE_ATTEMPTS:  # else their calls go out with the others'
                self._carry_out(progress, planned)
                planned = {}
                evaluations |= progress.again(started)
        for number, each in evaluations.items():
            progress.ended[number] = delayed(each.request, "its state item keeps changing")
        return [progress.ended[number] for number in range(len(asked))]

    def _planned(self, progress: Progress, evaluations: Mapping[int, Evaluation]) -> dict[int, Planned]:
        """Look, decide and plan; return the findings that are to be changed."""
        read_at, answers = self._clock(), Answers()
        found = progress.each(partial(self._look, read_at=read_at, answers=answers), evaluations)
        decided = progress.each(self._decide, found)
        return progress.each(self._plan, decided)

    def _carry_out(self, progress: Progress, planned: dict[int, Planned]) -> None:
        """Send and prove."""
        planned = self._send(progress, planned)
        for pause in VERIFY_PAUSES:
            if planned and pause:
                self._sleep(pause)
            answers = Answers()
            planned = progress.each(partial(self._repairer.prove, answers=answers), planned)
        progress.each(self._repairer.prove_later, planned)

    def _start(  # noqa: PLR0913 - what a request comes with
        self,
        control: Control,
        request: Request,
        settings: Settings,
        answers: Answers,
        *,
        redelivered: bool,
        approval: Approval | None,
    ) -> Evaluation | Result:
        """Return the evaluation of a request, or a result if it must wait or its settings cannot be determined."""
        now = self._clock()
        seconds = decide.settle_delay(control, request, settings.settle_seconds, now)
        if seconds:
            waited = f"{seconds} s for {decide.client_name(request.actor) or 'its creator'} to finish"
            return returned(replace(request, waited=waited), f"settling: {waited}", seconds)
        # After a hold or a wait the resource no longer counts as new.
        request = replace(request, creates=decide.may_still_settle(request, now))
        aws = self._aws.fresh()
        reads = aws.sharing(answers)
        try:
            request = replace(request, resource=control.resolve(reads, request.resource))
            tags = tags_for_rules(control, request.resource, reads, settings, now)
        except AwsError as error:
            bare = self._evaluate(control, request, aws, settings, {})
            return self._announcer.tags_unreadable(bare, error)
        evaluation = self._evaluate(control, request, aws, settings, tags)
        # The first visit to a new resource skips this read: its write succeeds only if no state item exists.
        item = StateItem() if request.creates and not request.attempt and not redelivered else None
        return replace(evaluation, redelivered=redelivered, approval=approval, item=item)

    def _look(self, evaluation: Evaluation, read_at: datetime, answers: Answers) -> _Found | Result:
        """Return a finding, or the result if there is none. No shared answer is older than ``read_at``."""
        request = evaluation.request
        outside = decide.skip_reason(evaluation.arn, evaluation.circumstances(read_at))
        if outside and not evaluation.approval:  # not even read
            return self._announcer.end_unchanged(evaluation, Result(request, Outcome.SKIPPED, outside))
        try:
            state, judgement = evaluation.read_and_judge(read_at, answers)
        except AwsError as error:
            return self._announcer.read_failed(evaluation, error)
        if isinstance(judgement, NotReady):
            return delayed(request, f"not ready: {judgement.reason}")
        if isinstance(judgement, NonCompliant):
            return _Found(evaluation, state, judgement, read_at)
        if isinstance(judgement, NotApplicable):
            return self._announcer.end_unchanged(evaluation, Result(request, Outcome.NOT_APPLICABLE, judgement.reason))
        return self._announcer.compliant(evaluation, state, read_at)

    def _decide(self, found: _Found) -> _Decided | Result:
        """Decide about a finding; return it if it is to be changed, else record the decision and return its result.

        Raises:
            LeaseHeldError, StaleStateError: another worker is busy with the resource, or was since it was read.
            ApprovalRefusedError: the finding is not the one that was approved.
        """
        evaluation, state, now = found.evaluation, found.state, self._clock()
        finding = evaluation.with_severity(found.finding)
        finding, record = evaluation.recorded(state, finding, now=now, retention_days=self._retention_days)
        if evaluation.own:
            critical = replace(finding, severity=Severity.CRITICAL)
            evaluation = replace(evaluation, critical_fingerprint=fingerprint(evaluation.control, state, critical))
        decision = decide.decide(finding, evaluation.arn, evaluation.circumstances(self._clock()))
        if evaluation.approval and not evaluation.approval.releases:
            decision = evaluation.approved(state, finding, decision)
        request = evaluation.request
        if isinstance(decision, decide.Skip):
            return self._announcer.end_unchanged(evaluation, Result(request, Outcome.SKIPPED, decision.reason))
        item = evaluation.item
        if request.dry_run:
            item = self._ledger.state(evaluation.control.id, evaluation.arn)
            decision = evaluation.under_hold(record, item, decision, self._clock())
            if isinstance(decision, decide.Skip):
                return Result(request, Outcome.SKIPPED, decision.reason, held_by=decision.held_by)
            return evaluation.dry_run_result(finding, decision)
        if item is None:
            item = self._ledger.state(evaluation.control.id, evaluation.arn)
            if item.rounds and item.rounds[-1]["at"] >= int(found.read_at.timestamp() * 1000):
                raise StaleStateError(f"{evaluation.arn}: repaired since it was read")
        decision = evaluation.under_hold(record, item, decision, self._clock())
        if isinstance(decision, decide.Apply) and finding.change:
            return _Decided(evaluation, record, item, finding.change)
        return self._announcer.record_decision(evaluation, record, item, decision)

    def _plan(self, decided: _Decided) -> Planned | Result:
        """Write the plan before its calls; if a limit is reached, hold or skip the finding instead.

        Raises:
            LeaseHeldError, StaleStateError: another worker was faster; nothing was changed.
        """
        evaluation, record, item = decided.evaluation, decided.record, decided.item
        if item.leased_to_other(self._ledger.owner, self._clock()):
            return delayed(evaluation.request, "another worker is busy with it")
        if evaluation.request.plan and evaluation.request.plan == item.plan:
            return self._repairer.still_unproved(evaluation, record, item)
        decision: decide.Decision
        try:
            plan = self._plans.open(evaluation, record, item, self._limits)
            return Planned(evaluation, plan, decided.change, item)
        except AllowanceSpentError as error:
            decision = decide.Skip(str(error))
            if item.held_request and not item.held(self._clock()):  # it was held: no caller waits for the answer
                decision, item = decide.Announce(str(error)), replace(item, announced="")
        except LimitReachedError as error:
            # Another worker may have placed the hold meanwhile.
            item = self._ledger.state(evaluation.control.id, evaluation.arn)
            hold = decide.Hold(str(error), error.until, error.kind, critical=error.critical)
            decision = evaluation.under_hold(record, item, hold, self._clock())
        return self._announcer.record_decision(evaluation, record, item, decision)

    def _send(self, progress: Progress, planned: dict[int, Planned]) -> dict[int, Planned]:
        """Make the first call of every plan, then the second, and so on; return the plans whose calls all succeeded."""
        for turn in range(max((len(each.change.calls) for each in planned.values()), default=0)):
            due = {number: each for number, each in planned.items() if turn < len(each.change.calls)}
            sent = calls.send([(each, each.change.calls[turn]) for each in due.values()])
            succeeded = progress.each(self._repairer.check_sent, dict(zip(due, sent, strict=True)))
            planned = {number: each for number, each in planned.items() if number not in due} | succeeded
        return planned
