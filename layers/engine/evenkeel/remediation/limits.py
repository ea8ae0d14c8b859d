"""The limits on changes: tug of war, a run's allowance, the blast radius."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from evenkeel.audit.state_item import HoldKind
from evenkeel.cli_lines import own_line
from evenkeel.errors import EvenkeelError
from evenkeel.model import RUN_EVENT
from evenkeel.plurals import plural
from evenkeel.remediation import decide

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from evenkeel.audit.counters import Counted, Counters
    from evenkeel.audit.state_item import StateItem
    from evenkeel.remediation.evaluation import Evaluation

ALLOWANCE_KEPT = timedelta(days=62)
"""How long a run's count is kept: longer than a run can be open and a freeze can hold its requests."""
CLIENT_LENGTH = 60
"""Characters of a user agent that name the client; its libraries follow. Records keep the full text."""


class LimitReachedError(EvenkeelError):
    """A limit stops this change: the blast radius is reached, or somebody keeps setting the resource back."""

    def __init__(self, message: str, until: datetime, kind: HoldKind, *, critical: bool) -> None:
        """Keep the end and the kind of the hold to place, and whether its alert is critical."""
        super().__init__(message)
        self.until = until
        self.kind = kind
        self.critical = critical


class AllowanceSpentError(EvenkeelError):
    """The run has used up its allowance; nothing was changed."""


class Limits:
    """Counts changes before they are planned, and refuses one too many."""

    def __init__(self, counters: Counters, stack: str, clock: Callable[[], datetime]) -> None:
        """Keep the counters, and the stack's name for commands in messages."""
        self._counters = counters
        self._stack = stack
        self._clock = clock

    def refuse_tug_of_war(self, evaluation: Evaluation, item: StateItem, fingerprint: str) -> None:
        """Refuse a change of a resource that somebody keeps setting back.

        Raises:
            LimitReachedError: names both sides.
        """
        now, request = self._clock(), evaluation.request
        tug = decide.tug_of_war(item.recent_rounds(now), fingerprint)
        if not tug or not evaluation.control.yields or evaluation.approval:
            return
        before = "; ".join(_side(each["principal"], each["event"], each["client"]) for each in tug)
        actor = request.actor
        again = _side(actor.principal, request.cause.event_name, actor.user_agent[:CLIENT_LENGTH])
        message = f"tug of war: repaired {len(tug)} times within a day, and set back again by {again}; before: {before}"
        raise LimitReachedError(message, now + decide.TUG_HOLD, HoldKind.TUG_OF_WAR, critical=True)

    def take_allowance(self, evaluation: Evaluation) -> None:
        """Take one of the changes that the request's run may make, if it has a limit.

        Raises:
            AllowanceSpentError: none is left.
        """
        run, allowance = evaluation.request.run, evaluation.request.allowance
        if allowance and not self._counters.take(f"run#{run}", allowance, self._clock() + ALLOWANCE_KEPT):
            changes = plural(allowance, "change")
            raise AllowanceSpentError(f"run {run} has reached its limit of {changes}")

    def give_back_allowance(self, evaluation: Evaluation) -> None:
        """Return what :meth:`take_allowance` took to the allowance, if the change was not planned."""
        if evaluation.request.allowance:
            self._counters.give_back(f"run#{evaluation.request.run}")

    def count(self, evaluation: Evaluation, item: StateItem) -> None:
        """Count one more change against the blast radius.

        Raises:
            LimitReachedError: the blast radius is reached.
        """
        now, radius = self._clock(), evaluation.settings.radius
        since = (now.timestamp() - radius.window_seconds) * 1000
        # The radius limits resources, not calls: one that was counted in this window is not counted again.
        again = any(each["at"] >= since for each in item.recent_rounds(now))
        counted = self._counters.count(evaluation.counter_key, radius, evaluation.arn, check_only=again)
        if counted.held_until:
            message = self._radius_reached(evaluation, counted)
            raise LimitReachedError(message, counted.held_until, HoldKind.BLAST_RADIUS, critical=counted.first)

    def _radius_reached(self, evaluation: Evaluation, counted: Counted) -> str:
        """Return the reason of a hold by the blast radius: which limit was reached, when, and how to end the hold."""
        control, resource, reached = evaluation.control.id, evaluation.request.resource, ""
        if counted.at:
            changes = f"{plural(counted.changes, 'change')} in {counted.window_seconds} s"
            reached = f" at {counted.at:%Y-%m-%d %H:%M} UTC: {changes}, limit {counted.limit}"
        command = own_line(self._stack, resource.region, "release", control)
        return (
            f"blast radius reached{reached}; all of {control} is held in account {resource.account} "
            f"until {counted.held_until:%Y-%m-%d %H:%M} UTC; to end it, run: {command}, or raise "
            "the limit in the settings"
        )


def _side(principal: str, event: str, client: str) -> str:
    """Return one side of a tug of war: the principal, the call and the client."""
    if event == RUN_EVENT:  # the person who runs a control over resources is not the one who weakened them
        return "somebody (found by a run)"
    return f"{principal or 'somebody'} with {event}{f' ({client})' if client else ''}"
