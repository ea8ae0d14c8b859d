"""One request with the settings that apply to it, its reads, and its records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenkeel import canonical
from evenkeel.audit import records
from evenkeel.control import Context
from evenkeel.errors import ApprovalRefusedError
from evenkeel.model import Mode, Outcome, Result, Severity
from evenkeel.remediation import holds, own_parts
from evenkeel.remediation.decide import Announce, Apply, AwaitApproval, Circumstances, Skip, return_delay
from evenkeel.remediation.fingerprint import fingerprint
from evenkeel.remediation.holds import HoldEffect
from evenkeel.runtime.tags import read_tags
from evenkeel.settings.rules import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from evenkeel.audit.record_types import EndedRecord, FindingRecord, Record
    from evenkeel.audit.state_item import StateItem
    from evenkeel.control import Control
    from evenkeel.errors import ErrorKind
    from evenkeel.model import Judgement, NonCompliant, Request, Resource, State
    from evenkeel.remediation.decide import Decision
    from evenkeel.runtime.aws import Answers, Aws
    from evenkeel.settings.parser import Settings
    from evenkeel.settings.resolve import ControlSettings


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's approval of a recorded plan, or their release of a hold (then ``record`` is what placed the hold)."""

    record: Record
    approver: str
    releases: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One request with the settings that apply to its resource."""

    control: Control
    request: Request
    aws: Aws
    """The clients for its control's calls; they count the calls."""
    settings: ControlSettings
    settings_version: str
    scope: tuple[str, ...] = ("*",)
    """Patterns of the ARNs that the stack may change."""
    redelivered: bool = False
    """The queue delivered it before: a crashed worker may have left a plan open."""
    exempt: str = ""
    """Describes the exemption of the resource; empty if there is none."""
    frozen_until: datetime | None = None
    approval: Approval | None = None
    """A person's approval or release, if this request was held."""
    own: bool = False
    """The resource is a part of this stack: it is never changed; see :mod:`evenkeel.system_parts`."""
    critical_fingerprint: str = ""
    """For a part of this stack: the finding's fingerprint if someone other than CloudFormation had caused it."""
    item: StateItem | None = None
    """The state item, if it is known without a read."""

    @property
    def released(self) -> bool:
        """Whether a person released this resource from its hold."""
        return self.approval is not None and self.approval.releases

    @property
    def arn(self) -> str:
        """The resource's ARN."""
        return self.request.resource.arn

    def circumstances(self, now: datetime) -> Circumstances:
        """Return what a decision depends on."""
        critical = self.control.severity is Severity.CRITICAL
        own = (own_parts.WEAKENED if self.weakened else own_parts.FOUND) if self.own else ""
        return Circumstances(self.settings.mode, self.scope, now, self.exempt, self.frozen_until, critical, own)

    @property
    def weakened(self) -> bool:
        """Whether the resource is a part of this stack, and someone other than CloudFormation made the call."""
        return self.own and own_parts.weakened(self.request)

    def with_severity(self, finding: NonCompliant) -> NonCompliant:
        """Return a finding with its severity: critical if someone weakened a part of this stack."""
        return replace(finding, severity=Severity.CRITICAL) if self.weakened else finding

    @property
    def announces(self) -> bool:
        """Whether findings of the control may be announced and not changed under its settings."""
        return self.settings.mode is Mode.NOTIFY or self.control.announces or self.own

    @property
    def counter_key(self) -> str:
        """The key of what is counted per control and account: the blast radius, the denials of a day."""
        return f"{self.control.id}#{self.request.resource.account}"

    def read_and_judge(self, now: datetime, answers: Answers | None = None) -> tuple[State, Judgement]:
        """Read the live state and judge it; ``answers`` are AWS's answers that other controls' reads can reuse.

        Raises:
            ClientError, BotoCoreError, ResourceMissingError: as :meth:`evenkeel.control.Control.read`.
        """
        request = self.request
        context = Context(
            request.resource,
            self.settings.parameters,
            now,
            actor=request.actor,
            creates=request.creates,
            event=request.cause.event_name,
            found=request.cause.origin in {"config", "securityhub"},
        )
        state = self.control.read(self.aws.sharing(answers), context)
        return state, self.control.judge(state, context)

    def kind(self, error: Exception) -> ErrorKind:
        """Return what an error means for the control."""
        return self.control.kind(error)

    def record(self, state: State, finding: NonCompliant, *, now: datetime, retention_days: int) -> FindingRecord:
        """Return the fields that every record about this finding has."""
        record = records.finding_record(
            self.control,
            self.request,
            now=now,
            mode=self.settings.mode,
            settings_version=self.settings_version,
            parameters=self.settings.parameters,
            reason=finding.reason,
            before=state,
            change=finding.change,
            remains=finding.remains,
            retention_days=retention_days,
        )
        record["fingerprint"] = fingerprint(self.control, state, finding)
        if finding.severity:
            record["severity"] = str(finding.severity)
        if self.approval:
            record["approver"] = self.approval.approver
        return record

    def recorded(
        self, state: State, finding: NonCompliant, *, now: datetime, retention_days: int
    ) -> tuple[NonCompliant, FindingRecord]:
        """Return a finding and its record; if its change is too large for a record, the finding is only announced."""
        record = self.record(state, finding, now=now, retention_days=retention_days)
        too_large = records.too_large(record) if finding.change else ""
        if not too_large:
            return finding, record
        finding = replace(finding, change=None, caution=too_large, kind="too large")
        return finding, self.record(state, finding, now=now, retention_days=retention_days)

    def approved(self, state: State, finding: NonCompliant, decision: Decision) -> Decision:
        """Return the decision to apply, if the resource and the calls are still those that were approved.

        Raises:
            ApprovalRefusedError: another rule applies now, or the resource or the calls changed since.
        """
        if self.approval is None or not isinstance(decision, AwaitApproval):
            refusal = decision.reason or "the settings do not require approval any more"
            raise ApprovalRefusedError(f"{self.arn}: {refusal}")
        record = self.approval.record
        if not records.is_whole(record):
            raise ApprovalRefusedError(
                f"{self.arn}: record {record['record_id']} was too large to be stored in full; reject it"
            )
        calls = [call.as_dict() for call in finding.change.calls] if finding.change else []
        essence, found = self.control.essence, fingerprint(self.control, state, finding)
        same = canonical.digest(essence(state)) == canonical.digest(essence(record["before"]))
        same = same and record.get("fingerprint", found) == found
        if not same or canonical.digest(calls) != canonical.digest(record["calls"]):
            raise ApprovalRefusedError(f"{self.arn}: it changed since record {record['record_id']}; reject that one")
        return Apply()

    def under_hold(self, record: FindingRecord, item: StateItem, decision: Decision, now: datetime) -> Decision:
        """Return the decision that results from a decision and the resource's hold, if it has one."""
        approval, effect = self.approval, HoldEffect.NONE
        if approval is None or approval.record["record_id"] != item.hold_record:  # an approval ends the hold it is for
            effect = holds.hold_effect(item, record, self.control, self.request, now)
        held = item.held(now)
        if effect is HoldEffect.HELD or (effect is HoldEffect.COUNTED and not isinstance(decision, Apply)):
            return Skip(held, item.held_by(now))
        if effect is HoldEffect.OTHER and self.own and isinstance(decision, Announce):
            return replace(decision, held=True)
        if effect is HoldEffect.OTHER:
            return Announce(f"new since the resource was put on hold; not changed: {held}", held=True)
        return decision

    def dry_run_result(self, finding: NonCompliant, decision: Decision) -> Result:
        """Return the result of a dry run: what would be changed, or announced and why."""
        calls = finding.change.calls if finding.change else ()
        if isinstance(decision, Apply):
            rest = f"; would end as {Outcome.PARTIAL}: {finding.remains}" if finding.remains else ""
            return Result(self.request, Outcome.WOULD_APPLY, f"{finding.reason}{rest}", calls)
        return Result(self.request, Outcome.WOULD_ANNOUNCE, f"{finding.reason}; {decision.reason}", calls)

    def outcome_record(  # noqa: PLR0913 - an outcome has these parts
        self,
        record: FindingRecord,
        outcome: Outcome,
        detail: str,
        *,
        now: datetime,
        after: State | None = None,
        announce: bool = True,
    ) -> EndedRecord:
        """Return the record of an outcome, made from a finding's or a plan's, with the number of calls made for it."""
        calls = len(self.aws.made)
        return records.ended(record, outcome, now=now, detail=detail, after=after, aws_calls=calls, announce=announce)

    def result(self, outcome: Outcome, reason: str, sealed: EndedRecord) -> Result:
        """Return the result of a request whose outcome was recorded."""
        return Result(self.request, outcome, reason, records.calls_of(sealed["calls"]), sealed["record_id"])


def tags_for_rules(control: Control, resource: Resource, aws: Aws, settings: Settings, now: datetime) -> dict[str, str]:
    """Return the resource's tags if a rule in the settings depends on them, else none.

    Raises:
        ClientError, BotoCoreError: AWS refused, or did not answer.
    """
    if not control.of_the_account and settings.needs_tags(control, now):
        return read_tags(aws, resource.arn)
    return {}


def evaluate(  # noqa: PLR0913 - all that an evaluation is made of
    control: Control,
    request: Request,
    aws: Aws,
    settings: Settings,
    tags: Mapping[str, str],
    *,
    scope: tuple[str, ...],
    own_parts: frozenset[str],
    clock: Callable[[], datetime],
) -> Evaluation:
    """Return a request with the settings that apply to its resource.

    Raises:
        SettingsError: the control's settings are not valid.
    """
    now, resource = clock(), request.resource
    subject = Subject(resource.arn, resource.account, resource.region, tags)
    exemption = settings.exemption(control, subject, now)
    exempt = ""
    if exemption:
        exempt = f"exempt until {exemption.expires}: {exemption.reason} (approved by {exemption.approver})"
    return Evaluation(
        control,
        request,
        aws,
        settings.of(control, subject),
        settings.version,
        scope=scope,
        exempt=exempt,
        frozen_until=settings.frozen_until(control, now),
        own=resource.arn in own_parts,
    )


def delayed(request: Request, reason: str) -> Result:
    """Return the result of a request that comes again, after the delay for its attempt."""
    return returned(request, reason, return_delay(request.attempt))


def returned(request: Request, reason: str, delay_seconds: int) -> Result:
    """Return the result of a request that comes again after a delay."""
    return Result(request, Outcome.RETURNED, reason, delay_seconds=delay_seconds)
