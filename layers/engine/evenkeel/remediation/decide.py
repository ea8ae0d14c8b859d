"""Decides what may be done about a finding; pure. If something cannot be evaluated, nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from evenkeel.arns import like
from evenkeel.audit.state_item import TUG_REPAIRS, HoldKind
from evenkeel.events.actor import is_infrastructure_as_code
from evenkeel.model import Mode, NonCompliant, Severity
from evenkeel.remediation.holds import FROZEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evenkeel.control import Control
    from evenkeel.model import Actor, HeldBy, Request

MAX_DELAY_SECONDS = 900
"""SQS delays a message by at most 15 minutes (SQS developer guide, "message timers")."""
GIVE_UP_AFTER = timedelta(hours=6)
"""A request that has been coming back to its queue for so long becomes a dead letter."""
APPROVAL_TIME = timedelta(hours=72)
"""How long a planned change waits for somebody to approve it."""
REJECTED_TIME = timedelta(days=30)
"""How long a resource whose change was rejected is left alone."""
TUG_ROUNDS, TUG_HOLD = 3, timedelta(days=1)
"""So many repairs of the same finding within :data:`~evenkeel.audit.state_item.TUG_WINDOW` are a tug of war
(:data:`~evenkeel.audit.state_item.TUG_REPAIRS` of any findings are, too); the resource is then held for so long."""
MAX_CHANGE_WAIT_SECONDS = 90
"""Longest wait for a change by infrastructure as code: any client can claim to be Terraform."""
_CLIENT_LENGTH = 40
CREATION_WINDOW = timedelta(minutes=30)
"""For so long after a creation, a change may answer "not found" because the resource is not ready yet."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Change the resource."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Announce:
    """Announce the finding and do not change it. ``held`` keeps the hold that a person placed."""

    reason: str
    held: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """Neither change the resource nor announce the finding."""

    reason: str
    held_by: HeldBy | None = None


@dataclass(frozen=True, slots=True)
class AwaitApproval:
    """Hold the planned change until somebody approves it."""

    reason: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """Change nothing now; read the resource again when the hold ends. ``critical`` makes the alert critical."""

    reason: str
    until: datetime
    kind: HoldKind
    critical: bool = False


Decision: TypeAlias = Apply | Announce | Skip | AwaitApproval | Hold


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision depends on besides the finding.

    ``exempt`` describes the exemption, if there is one; ``critical`` is true if the control's severity is critical.
    ``own`` is the reason why a part of this stack is not changed; it is empty for any other resource.
    """

    mode: Mode
    scope: tuple[str, ...]
    now: datetime
    exempt: str = ""
    frozen_until: datetime | None = None
    critical: bool = False
    own: str = ""


def decide(finding: NonCompliant, arn: str, given: Circumstances) -> Decision:  # noqa: PLR0911 - one return a rule
    """Decide about a finding on the resource ``arn``; the first rule that applies wins."""
    mode, outside = given.mode, skip_reason(arn, given)
    if outside:
        return Skip(outside)
    if given.exempt:
        return Skip(given.exempt)
    if given.own:
        return Announce(given.own)
    if finding.change is None:
        return Announce(finding.caution or "only people can fix it")
    if mode is Mode.NOTIFY:
        return Announce("the control's mode is notify")
    if finding.caution:
        return Announce(finding.caution)
    if given.frozen_until:
        reason = f"{FROZEN}{given.frozen_until:%Y-%m-%d %H:%M} UTC"
        critical = given.critical if finding.severity is None else finding.severity is Severity.CRITICAL
        return Hold(reason, given.frozen_until, HoldKind.FREEZE, critical=critical)
    if mode is Mode.APPROVE:
        until = given.now + APPROVAL_TIME
        return AwaitApproval(f"awaits approval until {until:%Y-%m-%d %H:%M} UTC", until)
    return Apply()


def skip_reason(arn: str, given: Circumstances) -> str:
    """Return why the resource ``arn`` is skipped whatever its state (off, out of scope), or an empty string."""
    if given.mode is Mode.OFF:
        return "the control is off"
    # Scope limits changes. A part of this stack is never changed, and its findings are announced even out of scope.
    return "" if given.own or in_scope(arn, given.scope) else "out of the stack's scope"


def in_scope(arn: str, scope: Iterable[str]) -> bool:
    """Return whether one of the scope's ARN patterns (``*`` and ``?``) matches; an empty scope matches nothing."""
    return any(like(pattern, arn) for pattern in scope)


def settle_delay(control: Control, request: Request, settle_seconds: int, now: datetime) -> int:
    """Return how many seconds to wait before reading the resource; 0 for none.

    A call of infrastructure as code may be one of several, and the tool polls for the state it set. Its creations wait
    ``settle_seconds``, its changes at most :data:`MAX_CHANGE_WAIT_SECONDS` of them, unless the control is urgent. The
    wait counts from the event, or from the first delivery where the event claims a later time.
    """
    if request.cause.origin == "manual":
        return 0
    step = request.creates or request.settles
    if not (step and control.always_settles):
        by_a_tool = is_infrastructure_as_code(request.actor)
        if not by_a_tool or (control.urgent and not step):
            return 0
    longest = MAX_DELAY_SECONDS if request.creates else MAX_CHANGE_WAIT_SECONDS
    seconds = min(settle_seconds, longest)
    since = min(request.event_time(now), request.first_time(now))
    remaining = (since + timedelta(seconds=seconds) - now).total_seconds()
    return max(0, min(seconds, -int(-remaining // 1)))


def client_name(actor: Actor) -> str:
    """Return the start of the actor's user agent, in quotes; empty if no event names one."""
    name = actor.user_agent if len(actor.user_agent) <= _CLIENT_LENGTH else f"{actor.user_agent[:_CLIENT_LENGTH]}…"
    return f'"{name}"' if name else ""


def tug_of_war(rounds: Sequence[dict[str, Any]], found: str) -> Sequence[dict[str, Any]]:
    """Return the earlier repairs that make another one a tug of war; empty if the resource may be repaired.

    ``rounds`` are its repairs within the window, ``found`` is the finding's fingerprint. Repairs by earlier versions of
    Evenkeel have no fingerprint, and count for every finding.
    """
    if len(rounds) >= TUG_REPAIRS:
        return rounds
    same = [each for each in rounds if each.get("fingerprint", found) == found]
    return same if len(same) >= TUG_ROUNDS else ()


def return_delay(attempt: int) -> int:
    """Return the seconds to wait before attempt ``attempt`` + 1: 2, 4, 8 … up to 15 minutes."""
    return int(min(2 ** min(attempt + 1, 10), MAX_DELAY_SECONDS))


def returned_too_long(request: Request, now: datetime) -> bool:
    """Return whether a request has been coming back for so long that it must become a dead letter."""
    return now - request.first_time(now) > GIVE_UP_AFTER


def may_still_settle(request: Request, now: datetime) -> bool:
    """Return whether "not found" by a change may only mean that a new resource is not ready for changes yet."""
    return request.creates and now - request.event_time(now) < CREATION_WINDOW


def may_still_appear(control: Control, request: Request, now: datetime) -> bool:
    """Return whether "not found" may only mean that AWS does not show the new resource yet."""
    return request.creates and now - request.event_time(now) < control.appears_within
