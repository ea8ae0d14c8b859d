"""The way of one request, and the only place that knows the order of things.

settle → read → judge → decide → announce or repair (write ahead → call → verify → write the outcome).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from evenkeel.audit.state_item import StateItem
from evenkeel.errors import AwsError, ErrorKind, LeaseHeldError, StaleStateError
from evenkeel.model import NonCompliant, NotApplicable, NotReady, Outcome, Result, Severity
from evenkeel.remediation import decide, holds, steps
from evenkeel.remediation.announce import Teller
from evenkeel.remediation.evaluation import Job, returned
from evenkeel.remediation.fingerprint import fingerprint
from evenkeel.remediation.holds import Bearing
from evenkeel.remediation.repair import AllowanceSpentError, NotGrantedError, Repairer, TooMuchError
from evenkeel.runtime.tags import read_tags
from evenkeel.settings.rules import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.records import Record
    from evenkeel.control import Control
    from evenkeel.model import Request, State
    from evenkeel.remediation.evaluation import Approval
    from evenkeel.remediation.steps import Steps
    from evenkeel.runtime.aws import Aws
    from evenkeel.settings.parser import Settings

_STALE_ATTEMPTS = 3


class Pipeline:
    """Takes requests through their way; one instance serves one worker."""

    def __init__(  # noqa: PLR0913 - the world, handed in so that tests can hand in another
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
        """Keep the doors to the world; ``aws`` serves the controls' calls, the ledger has its own.

        ``stack`` is the stack's name, for the commands in records; ``own_parts`` are the ARNs of its parts.
        """
        self._aws = aws
        self._ledger = ledger
        self._scope = scope
        self._own_parts = own_parts
        self._retention_days = retention_days
        self._clock = clock
        self._sleep = sleep
        self._repairer = Repairer(ledger, clock, stack)
        self._teller = Teller(ledger, self._repairer, retention_days, clock)

    def run(
        self,
        control: Control,
        request: Request,
        settings: Settings,
        *,
        redelivered: bool = False,
        approval: Approval | None = None,
    ) -> Result:
        """Take one request through its way, by itself; raises as :meth:`steps`."""
        way = self.steps(control, request, settings, redelivered=redelivered, approval=approval)
        [ended] = steps.serve([way], self._sleep)
        if isinstance(ended, Exception):
            raise ended
        return ended

    def steps(
        self,
        control: Control,
        request: Request,
        settings: Settings,
        *,
        redelivered: bool = False,
        approval: Approval | None = None,
    ) -> Steps[Result]:
        """Return the way of one request; ``approval`` is a person's yes to what is kept of it.

        Raises:
            SettingsError: the control's settings are not valid; nothing was changed.
            NotGrantedError: our role lacks a permission.
            ClientError: AWS refused a read, or one of the engine's own calls.
        """
        delay = decide.settle_delay(control, request, settings.settle_seconds, self._clock())
        if delay:
            waited = f"{delay} s for {decide.client(request.actor) or 'its maker'} to finish"
            return returned(replace(request, waited=waited), f"settling: {waited}", delay)
        aws = self._aws.fresh()
        # What was kept or waited is not new any more; its maker is not known, nor is its size.
        request = replace(request, creates=decide.may_still_settle(request, self._clock()))
        try:
            request = replace(request, resource=control.resolve(aws, request.resource))
            tags = self._tags(control, request, aws, settings)
        except AwsError as error:
            return self._rules_unknown(self._job(control, request, aws, settings, {}), error)
        job = self._job(control, request, aws, settings, tags)
        job = replace(job, redelivered=redelivered, approval=approval)
        # A creation's first look spares the read: its write holds only where no state item exists.
        item = StateItem() if request.creates and not request.attempt and not redelivered else None
        for _ in range(_STALE_ATTEMPTS):
            try:
                return (yield from self._look(job, item))
            except LeaseHeldError as error:
                return returned(request, str(error), decide.return_delay(request.attempt))
            except StaleStateError as error:  # whoever was faster may have mended it: look again, too
                item = StateItem.of(error.item) if error.item else None
        return returned(request, "its state item keeps changing", decide.return_delay(request.attempt))

    def _look(self, job: Job, item: StateItem | None) -> Steps[Result]:
        """Read, judge and do as decided; ``item`` is the state item where it is known.

        Raises:
            LeaseHeldError, StaleStateError: somebody else was faster.
        """
        request, looked_at = job.request, self._clock()
        outside = decide.not_ours(job.arn, job.circumstances(self._scope, looked_at))
        if outside and not job.approval:  # it is not even read
            return self._teller.leave(job, Result(request, Outcome.SKIPPED, outside))
        try:
            state, judgement = job.look(looked_at)
        except AwsError as error:
            return self._unreadable(job, error)
        if isinstance(judgement, NotReady):
            return returned(request, f"not ready: {judgement.reason}", decide.return_delay(request.attempt))
        if isinstance(judgement, NonCompliant):
            return (yield from self._found(job, state, judgement, item, looked_at))
        if isinstance(judgement, NotApplicable):
            return self._teller.leave(job, Result(request, Outcome.NOT_APPLICABLE, judgement.reason))
        return self._teller.compliant(job, state, looked_at)

    def _tags(self, control: Control, request: Request, aws: Aws, settings: Settings) -> dict[str, str]:
        """Return the resource's tags where a rule depends on them; they are not read otherwise.

        Raises:
            ClientError, BotoCoreError: AWS refused, or did not answer.
        """
        if not control.of_the_account and settings.needs_tags(control, self._clock()):
            return read_tags(aws, request.resource.arn)
        return {}

    def _job(self, control: Control, request: Request, aws: Aws, settings: Settings, tags: Mapping[str, str]) -> Job:
        """Find out what the settings say about the resource."""
        now, resource = self._clock(), request.resource
        subject = Subject(resource.arn, resource.account, resource.region, tags)
        exemption = settings.exemption(control, subject, now)
        exempt = ""
        if exemption:
            exempt = f"exempt until {exemption.expires}: {exemption.reason} (approved by {exemption.approver})"
        return Job(
            control,
            request,
            aws,
            settings.of(control, subject),
            settings.version,
            exempt=exempt,
            frozen_until=settings.frozen_until(control, now),
            own=resource.arn in self._own_parts,
        )

    def _rules_unknown(self, job: Job, error: Exception) -> Result:
        """Judge a name or tags that cannot be read although rules depend on them: nothing is done, and people know.

        ``job`` is as if the resource had no tags.
        """
        request, kind = job.request, job.kind(error)
        if kind is ErrorKind.TRANSIENT:
            reason = f"its name or tags cannot be read now: {error}"
            return returned(request, reason, decide.return_delay(request.attempt))
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError(f"{job.arn}: {error}; deploy the stack's current policies") from error
        reason = f"rules depend on its name or tags, which cannot be read: {error}; left alone"
        outside = decide.not_ours(job.arn, job.circumstances(self._scope, self._clock()))
        if kind is ErrorKind.NOT_FOUND or request.dry_run or outside:
            return Result(request, Outcome.SKIPPED, outside or reason)
        return self._teller.unread(job, reason, Outcome.DENIED if kind is ErrorKind.DENIED else Outcome.FAILED)

    def _found(
        self, job: Job, state: State, finding: NonCompliant, item: StateItem | None, looked_at: datetime
    ) -> Steps[Result]:
        """Decide about a finding, and do as decided."""
        finding = job.graded(finding)
        finding, record = job.recorded(state, finding, now=self._clock(), retention_days=self._retention_days)
        if job.own:
            critical = replace(finding, severity=Severity.CRITICAL)
            job = replace(job, graver=fingerprint(job.control, state, critical))
        decision = decide.decide(finding, job.arn, job.circumstances(self._scope, self._clock()))
        if job.approval and not job.approval.releases:
            decision = job.approved(state, finding, decision)
        if isinstance(decision, decide.Skip):
            return self._teller.leave(job, Result(job.request, Outcome.SKIPPED, decision.reason))
        if job.request.dry_run:
            item = self._ledger.state(job.control.id, job.arn)
            decision = self._under_hold(job, record, item, decision)
            return _skipped(job, decision) if isinstance(decision, decide.Skip) else job.would(finding, decision)
        if item is None:
            item = self._ledger.state(job.control.id, job.arn)
            if item.rounds and item.rounds[-1]["at"] >= int(looked_at.timestamp() * 1000):
                raise StaleStateError(f"{job.arn}: repaired since it was looked at")
        decision = self._under_hold(job, record, item, decision)
        return (yield from self._do(job, record, item, finding, decision))

    def _bearing(self, job: Job, record: Record, item: StateItem) -> Bearing:
        """Return what the resource's hold means for a finding; a person's yes opens the hold that it is about."""
        if job.approval is not None and job.approval.record["record_id"] == item.hold_record:
            return Bearing.NONE
        return holds.bearing(item, record, job.control, job.request, self._clock())

    def _under_hold(self, job: Job, record: Record, item: StateItem, decision: decide.Decision) -> decide.Decision:
        """Return a decision as it is under the resource's hold, if it has one."""
        bearing, held = self._bearing(job, record, item), item.held(self._clock())
        if bearing is Bearing.HELD or (bearing is Bearing.COUNTED and not isinstance(decision, decide.Apply)):
            return decide.Skip(held, item.held_by(self._clock()))
        if bearing is Bearing.OTHER and job.own and isinstance(decision, decide.Announce):
            return replace(decision, held=True)
        if bearing is Bearing.OTHER:
            return decide.Announce(f"new since the resource is on hold, and not changed: {held}", held=True)
        return decision

    def _do(
        self, job: Job, record: Record, item: StateItem, finding: NonCompliant, decision: decide.Decision
    ) -> Steps[Result]:
        """Do as decided; what would go too far is held instead."""
        if not (isinstance(decision, decide.Apply) and finding.change):
            return self._left(job, record, item, decision)
        try:
            return (yield from self._repairer.repair(job, record, finding.change, item))
        except AllowanceSpentError as error:
            decision = decide.Skip(str(error))
            if item.held_request and not item.held(self._clock()):  # it was kept: nobody waits for the answer
                decision, item = decide.Announce(str(error)), replace(item, announced="")
        except TooMuchError as error:
            item = self._ledger.state(job.control.id, job.arn)  # held by whoever was faster, or since the radius holds
            hold = decide.Hold(str(error), error.until, error.kind, critical=error.critical)
            decision = self._under_hold(job, record, item, hold)
        return self._left(job, record, item, decision)

    def _left(self, job: Job, record: Record, item: StateItem, decision: decide.Decision) -> Result:
        """Leave the resource as it is, and say so as decided."""
        if isinstance(decision, decide.Skip):
            return _skipped(job, decision)
        if isinstance(decision, decide.AwaitApproval | decide.Hold):
            return self._teller.hold(job, record, item, decision)
        return self._teller.announce(job, record, item, decision)

    def _unreadable(self, job: Job, error: Exception) -> Result:
        """Judge a read that AWS refused."""
        request, kind = job.request, job.kind(error)
        may_appear = kind is ErrorKind.NOT_FOUND and decide.may_still_appear(job.control, request, self._clock())
        if kind is ErrorKind.TRANSIENT or may_appear:
            return returned(request, f"not ready: {error}", decide.return_delay(request.attempt))
        if kind is ErrorKind.NOT_FOUND:
            return self._teller.leave(job, Result(request, Outcome.GONE, "the resource is not there any more"))
        if kind is ErrorKind.DENIED and not request.dry_run:
            return self._teller.unread(job, str(error), Outcome.DENIED)
        if kind is ErrorKind.NOT_GRANTED:
            raise NotGrantedError(f"{job.arn}: {error}; deploy the stack's current policies") from error
        raise error


def _skipped(job: Job, decision: decide.Skip) -> Result:
    return Result(job.request, Outcome.SKIPPED, decision.reason, held_by=decision.held_by)
