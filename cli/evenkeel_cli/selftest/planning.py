"""Plans the self-test of a stack: each control with its maker and its mode, or why it is skipped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evenkeel import clock
from evenkeel.control import Context
from evenkeel.control.registry import groups
from evenkeel.errors import SettingsError
from evenkeel.model import Actor, Change, Mode, NonCompliant, Outcome, Resource
from evenkeel.remediation.decide import Announce, Apply, AwaitApproval, Circumstances, Hold, Skip, decide
from evenkeel.settings.rules import Subject
from evenkeel_cli.aws import functions
from evenkeel_cli.selftest.kinds import Site
from evenkeel_cli.selftest.makers import MAKERS, NOT_MADE
from evenkeel_cli.settings import comparison
from evenkeel_cli.settings.deployed import Live
from evenkeel_cli.ui import arns
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from evenkeel.control import Control
    from evenkeel.model import Judgement
    from evenkeel.remediation.decide import Decision
    from evenkeel.settings.parser import Settings
    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.selftest.kinds import Target
    from evenkeel_cli.selftest.makers import Maker

EXPECTED: dict[type, tuple[str, frozenset[str]]] = {
    Apply: ("repaired", frozenset(each for each in Outcome if each.meaning.undoable)),
    Announce: ("announced", frozenset({Outcome.ANNOUNCED})),
    AwaitApproval: ("held for approval", frozenset({Outcome.AWAITING})),
    Hold: ("held", frozenset({Outcome.HELD})),
}
"""For each decision: its result in words, and the outcomes that the audit may have."""
_WRONG = NonCompliant("broken by a self-test", Change((), ()))


class Decisions:
    """Decides about a self-test's resources with the engine's own code, under the stack's live settings."""

    def __init__(self, stack: Stack, settings: Settings) -> None:
        """Keep the settings and the stack's scope."""
        self._settings = settings
        self._variables = {"EVENKEEL_LOG_KEY_ARN": stack.outputs.get("LogKeyArn", "")}
        scope = stack.parameters.get("Scope") or "*"
        self._scope = tuple(part.strip() for part in scope.split(",") if part.strip())

    def context(self, control: Control, subject: Subject, now: datetime) -> Context:
        """Return the context of the control's read and judgement, as if the resource had just been created.

        Raises:
            SettingsError: the settings are not valid for the control.
        """
        parameters = self._settings.of(control, subject, self._variables).parameters
        resource = Resource(subject.arn, subject.account, subject.region)
        return Context(resource, parameters, now, Actor(owner="selftest"), creates=True)

    def mode(self, control: Control, subject: Subject) -> Mode:
        """Return the control's mode for a resource.

        Raises:
            SettingsError: as above.
        """
        return self._settings.of(control, subject, self._variables).mode

    def decision(self, control: Control, subject: Subject, judged: Judgement | None, now: datetime) -> Decision:
        """Return Evenkeel's decision about a resource that was just broken.

        ``judged`` is the control's judgement. If that is no longer a finding, since Evenkeel was quicker, or is not
        known yet, the decision is the one for a finding that a change repairs.

        Raises:
            SettingsError: as above.
        """
        finding = judged if isinstance(judged, NonCompliant) else _WRONG
        exemption = self._settings.exemption(control, subject, now)
        given = Circumstances(
            mode=self.mode(control, subject),
            scope=self._scope,
            now=now,
            exempt=f"exempt: {exemption.reason}" if exemption else "",
            frozen_until=self._settings.frozen_until(control, now),
        )
        return decide(finding, subject.arn, given)


@dataclass(frozen=True, slots=True)
class Trial:
    """The test of one control, or in ``why_not`` the reason why it is skipped."""

    control: Control
    maker: Maker | None = None
    target: Target | None = None
    mode: str = ""
    expects: str = ""
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a self-test of a stack."""

    stack: Stack
    site: Site
    run: str
    decisions: Decisions
    trials: tuple[Trial, ...]

    @property
    def tried(self) -> list[Trial]:
        """Return the trials that are not skipped."""
        return [each for each in self.trials if not each.why_not]

    @property
    def cents_at_most(self) -> float:
        """Return the most that they cost together."""
        return sum(each.maker.cents_at_most for each in self.tried if each.maker)


def site_of(stack: Stack) -> Site:
    """Return a stack's partition, account and region."""
    _, partition, _, _, account, _ = stack.output("AuditTableArn").split(":", 5)
    return Site(partition, stack.region, account, stack.output("DeadLetterQueueUrl").rpartition("/")[0])


def plan(stack: Stack, wanted: Sequence[str], run: str, now: datetime | None = None) -> Plan:
    """Plan the self-test of the wanted controls, or of all that the stack has.

    Raises:
        CommandError: a control is not known or not deployed, or the settings cannot be read.
    """
    now = now or clock.now()
    known = {each.id: each for group, members in groups().items() if group in stack.groups for each in members}
    for name in wanted:
        functions.of(stack, name)
        arns.check_one_of("--control", name, sorted(known))
    decisions = Decisions(stack, _settings(stack))
    site = site_of(stack)
    chosen = [known[name] for name in sorted(set(wanted) or known)]
    return Plan(stack, site, run, decisions, tuple(_trial(decisions, site, run, control, now) for control in chosen))


def _settings(stack: Stack) -> Settings:
    live, _ = Live(stack).look()
    if live.missing:
        raise CommandError(
            f"stack {stack.name} had settings and has none in force now, so its functions change nothing",
            f"Push them again: {stack.line('settings', 'push', 'settings.yaml')}",
        )
    settings = comparison.loaded(live.content, stack.parameters.get("StartMode") or "recommended")
    if settings is None:
        raise CommandError(
            f"the live settings of stack {stack.name} are not valid for this version of the command",
            "Use the command of the version that is deployed, or deploy the stack again.",
        )
    return settings


def _trial(decisions: Decisions, site: Site, run: str, control: Control, now: datetime) -> Trial:
    maker = MAKERS.get(control.id)
    if maker is None:
        return Trial(control, why_not=f"not tested: {NOT_MADE[control.id]}")
    target = maker.target(site, run, control.id, now.date())
    subject = subject_of(maker, target)
    try:
        mode = decisions.mode(control, subject)
        decision = decisions.decision(control, subject, None, now)
        obstacle = maker.obstacle(decisions.context(control, subject, now).parameters, now.date())
    except SettingsError as error:
        return Trial(control, why_not=f"the settings cannot be applied: {error}")
    if isinstance(decision, Skip):
        return Trial(control, mode=mode, why_not=decision.reason)
    if obstacle:
        return Trial(control, mode=mode, why_not=obstacle)
    expects = Announce if control.only_announces else type(decision)
    return Trial(control, maker, target, mode, EXPECTED[expects][0])


def subject_of(maker: Maker, target: Target) -> Subject:
    """Return the resource that the control judges, as the settings' rules see it; before it exists, by its name."""
    kind = maker.kinds[-1]
    named = target if target.id else replace(target, id=target.name)
    return Subject(kind.arn_of(named), target.site.account, target.site.region, target.tags)
