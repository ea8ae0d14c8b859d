"""What stops a change that would go too far: a tug of war, a run's allowance, the blast radius."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from evenkeel.audit.state_item import HoldKind
from evenkeel.cli_lines import own_line
from evenkeel.errors import EvenkeelError
from evenkeel.model import RUN_EVENT
from evenkeel.remediation import decide

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from evenkeel.audit.counters import Counted, Counters
    from evenkeel.audit.state_item import StateItem
    from evenkeel.remediation.evaluation import Evaluation

ALLOWANCE_KEPT = timedelta(days=62)
"""How long a run's count is kept: longer than a run is open and a freeze may hold its requests."""
CLIENT_LENGTH = 60
"""Characters of a user agent that name the client; its libraries follow. The records keep it whole."""


class TooMuchError(EvenkeelError):
    """Changing this resource would go too far: the blast radius is reached, or somebody keeps setting it back."""

    def __init__(self, message: str, until: datetime, kind: HoldKind, *, critical: bool) -> None:
        """Keep until when to hold it, and whether on-call has to know at once."""
        super().__init__(message)
        self.until = until
        self.kind = kind
        self.critical = critical


class AllowanceSpentError(EvenkeelError):
    """The run that asks for the change has made all the changes that it may; nothing was changed."""


class Limits:
    """Counts changes before they are planned, and refuses one too many."""

    def __init__(self, counters: Counters, stack: str, clock: Callable[[], datetime]) -> None:
        """Keep the counters, and the stack's name for commands in messages."""
        self._counters = counters
        self._stack = stack
        self._clock = clock

    def refuse_tug_of_war(self, evaluation: Evaluation, item: StateItem, fingerprint: str) -> None:
        """Refuse where somebody keeps setting the resource back.

        Raises:
            TooMuchError: names both sides.
        """
        now, request = self._clock(), evaluation.request
        tug = decide.tug_of_war(item.recent_rounds(now), fingerprint)
        if not tug or not evaluation.control.yields or evaluation.approval:
            return
        before = "; ".join(_side(each["principal"], each["event"], each["client"]) for each in tug)
        actor = request.actor
        again = _side(actor.principal, request.cause.event_name, actor.user_agent[:CLIENT_LENGTH])
        message = f"tug of war: repaired {len(tug)} times within a day, and set back again by {again}; before: {before}"
        raise TooMuchError(message, now + decide.TUG_HOLD, HoldKind.TUG_OF_WAR, critical=True)

    def take_allowance(self, evaluation: Evaluation) -> None:
        """Take one of the changes that the request's run may make, if it has a limit.

        Raises:
            AllowanceSpentError: none is left.
        """
        run, allowance = evaluation.request.run, evaluation.request.allowance
        if allowance and not self._counters.take(f"run#{run}", allowance, self._clock() + ALLOWANCE_KEPT):
            changes = f"{allowance:,} change{'' if allowance == 1 else 's'}"
            raise AllowanceSpentError(f"run {run} has begun {changes}, as many as it may")

    def give_back_allowance(self, evaluation: Evaluation) -> None:
        """Give back what :meth:`take_allowance` took, for a change that was not planned."""
        if evaluation.request.allowance:
            self._counters.give_back(f"run#{evaluation.request.run}")

    def count(self, evaluation: Evaluation, item: StateItem) -> None:
        """Count one more change against the blast radius.

        Raises:
            TooMuchError: the blast radius is reached.
        """
        now, radius = self._clock(), evaluation.settings.radius
        since = (now.timestamp() - radius.window_seconds) * 1000
        # The radius is about resources, not about calls: one that is counted in this window is not counted again.
        again = any(each["at"] >= since for each in item.recent_rounds(now))
        counted = self._counters.count(evaluation.per_account, radius, evaluation.arn, look_only=again)
        if counted.held_until:
            message = self._radius_reached(evaluation, counted)
            raise TooMuchError(message, counted.held_until, HoldKind.BLAST_RADIUS, critical=counted.first)

    def _radius_reached(self, evaluation: Evaluation, counted: Counted) -> str:
        """Return which limit was reached, when and by how many changes, what is held until when, and what ends it."""
        control, resource, reached = evaluation.control.id, evaluation.request.resource, ""
        if counted.at:
            changes = f"{counted.changes} change{'' if counted.changes == 1 else 's'} in {counted.window_seconds} s"
            reached = f" at {counted.at:%Y-%m-%d %H:%M} UTC: {changes}, limit {counted.limit}"
        command = own_line(self._stack, resource.region, "release", control)
        return (
            f"blast radius reached{reached}; all of {control} is held in account {resource.account} "
            f"until {counted.held_until:%Y-%m-%d %H:%M} UTC; to end it, run: {command}, or raise "
            "the limit in the settings"
        )


def _side(principal: str, event: str, client: str) -> str:
    """Return one side of a tug of war: who, with which call, from which client."""
    if event == RUN_EVENT:  # who runs a control over resources is not who weakened them
        return "somebody (found by a run)"
    return f"{principal or 'somebody'} with {event}{f' ({client})' if client else ''}"
