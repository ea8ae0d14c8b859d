"""``evenkeel selftest``: plans, asks, tries each control, and reports."""

from __future__ import annotations

import contextlib
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenkeel import clock
from evenkeel.plurals import plural
from evenkeel_cli.aws import stacks
from evenkeel_cli.aws.session import named
from evenkeel_cli.selftest import leftovers, marks, planning, view
from evenkeel_cli.selftest.hands import Hands, Stop, StoppedError
from evenkeel_cli.selftest.inbox import Inbox
from evenkeel_cli.selftest.report import Removal, Row, Verdict
from evenkeel_cli.selftest.trying import Means, Trying
from evenkeel_cli.ui import console, prompts
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.selftest.leftovers import Found, Leftover
    from evenkeel_cli.selftest.planning import Plan

WORKERS = 6
"""Controls that are tried at once."""


@dataclass(frozen=True, slots=True)
class How:
    """How a person wants it done."""

    apply: bool
    """Make resources; else only show what would be made."""
    yes: bool
    """Do not ask."""
    as_json: bool
    seconds: float
    """How long each thing is waited for."""


def run(stack: str, region: str | None, controls: Sequence[str], how: How) -> None:
    """Show what a self-test would do and, with ``apply``, do it.

    Raises:
        CommandError: something failed or is not proved, the person said no, or nothing could be planned.
    """
    if how.apply:
        prompts.must_be_answerable("nothing was made", yes=how.yes)
    there = stacks.find(stack, region, f"test {named(stack)}")
    now = clock.now()
    plan = planning.plan(there, controls, marks.new_run(now), now)
    found = leftovers.find(there.cloud, plan.site)
    hands = Hands(there.cloud, Stop())
    inbox = Inbox(hands, plan.site, plan.run, there.output("AlertTopicArn"))
    if not how.apply:
        view.planned(plan, found, inbox.calls(), now, as_json=how.as_json)
        return
    if not how.yes:
        view.preview(plan, found, now)
        prompts.confirm(view.question(plan, found, now), "nothing was made", yes=False)
    say = console.progress(show=not how.as_json)
    say(f"run {plan.run}; what it makes is named {marks.PREFIX}{plan.run}-…")
    removals = _remove(hands, found, lambda each: each.is_due(now), say)
    rows, closed = _try_all(plan, hands, inbox, how, say)
    view.tried(plan, rows, removals, [*found.troubles, *closed], as_json=how.as_json)
    _conclude(plan, rows, removals, [*found.troubles, *closed], stopped=hands.stop.asked.is_set())


def clean(stack: str, region: str | None, runs: Sequence[str], how: How) -> None:
    """Show what runs left, whatever its age, and with ``apply`` remove it.

    Raises:
        CommandError: a run's id is not one, something could not be removed, or the person said no.
    """
    for each in runs:
        if not marks.is_run(each):
            message = f"--clean {each}: not the id of a run"
            raise CommandError(message, "Give the 12 hex digits after evenkeel-selftest- in a name.", Exit.USAGE)
    if how.apply:
        prompts.must_be_answerable("nothing was removed", yes=how.yes)
    there = stacks.find(stack, region, f"clean up after a self-test of {named(stack)}")
    found = leftovers.find(there.cloud, planning.site_of(there))
    found.resources = [each for each in found.resources if each.target.run in runs]
    removals = [Removal(each, Verdict.SKIPPED, "would be removed") for each in found.resources]
    if how.apply and removals:
        if not how.as_json:
            view.removed(removals, on=console.errors())
        prompts.confirm(f"Remove {plural(len(removals), 'resource')}?", "nothing was removed", yes=how.yes)
        say = console.progress(show=not how.as_json)
        removals = _remove(Hands(there.cloud, Stop()), found, lambda _: True, say)
    view.cleaned(there, runs, removals, found.troubles, applied=how.apply, as_json=how.as_json)
    if found.troubles or any(each.verdict is Verdict.FAILED for each in removals):
        raise CommandError("not all could be looked for and removed", "The lines above say why; then run it again.")


def _remove(
    hands: Hands, found: Found, is_due: Callable[[Leftover], bool], say: Callable[[str], None]
) -> list[Removal]:
    """Remove what is due; the rest is left and said."""
    removals = []
    for each in found.resources:
        if not is_due(each):
            removals.append(Removal(each, Verdict.SKIPPED, "younger than an hour: a self-test may be using it"))
            continue
        try:
            detail = leftovers.remove(hands, each)
            removals.append(Removal(each, Verdict.OK, detail))
        except CommandError as error:
            removals.append(Removal(each, Verdict.FAILED, error.message))
        say(f"left by run {each.target.run}: {each.arn}: {removals[-1].detail}")
    return removals


def _try_all(
    plan: Plan, hands: Hands, inbox: Inbox, how: How, say: Callable[[str], None]
) -> tuple[list[Row], list[str]]:
    """Try all controls; return a row each, and what could not be done for all of them."""
    rows = {trial.control.id: Row(trial, expects=trial.expects) for trial in plan.trials}
    troubles: list[str] = []
    if not plan.tried:
        return list(rows.values()), troubles
    try:
        alerts, why = _opened(inbox, say)
        means = Means(plan, hands, alerts, why, how.seconds, say)
        for row in _in_parallel([Trying(trial, means) for trial in plan.tried], hands.stop, say):
            rows[row.trial.control.id] = row
    except (KeyboardInterrupt, StoppedError):
        hands.stop.asked.set()
    finally:
        try:
            inbox.close()
        except CommandError as error:
            troubles.append(error.message)
    return list(rows.values()), troubles


def _opened(inbox: Inbox, say: Callable[[str], None]) -> tuple[Inbox | None, str]:
    try:
        inbox.open()
    except CommandError as error:
        say(f"alerts cannot be checked: {error.message}")
        return None, error.message
    return inbox, ""


def _in_parallel(trials: list[Trying], stop: Stop, say: Callable[[str], None]) -> list[Row]:
    """Try several at once. Ctrl-C ends the waiting and cleans up; a second one leaves what is not deleted yet."""
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting: set[Future[Row]] = {pool.submit(each.run) for each in trials}
        running = set(waiting)
        while running:
            try:
                _, running = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                if stop.asked.is_set():
                    stop.abandoned.set()
                else:
                    say("stopping: deleting what was made; Ctrl-C again leaves it to the next self-test")
                stop.asked.set()
                for each in running:
                    each.cancel()
        with contextlib.suppress(KeyboardInterrupt):
            pool.shutdown()
    return [each.result() for each in waiting if not each.cancelled()]


def _conclude(
    plan: Plan, rows: Sequence[Row], removals: Sequence[Removal], troubles: Sequence[str], *, stopped: bool
) -> None:
    left = [arn for row in rows for arn in row.left]
    again = plan.stack.line("selftest", clean=plan.run, apply=True)
    if stopped:
        rest = f"; still there: {', '.join(left)}" if left else "; all that it made is deleted"
        raise CommandError(f"stopped{rest}", f"To remove what it left: {again}" if left else "Run it again.")
    failed = [row.trial.control.id for row in rows if row.verdict is Verdict.FAILED]
    if failed:
        next_step = f"To remove what it left: {again}" if left else _look(plan.stack)
        raise CommandError(f"{plural(len(failed), 'control')} failed: {', '.join(failed)}", next_step)
    if troubles or any(each.verdict is Verdict.FAILED for each in removals):
        raise CommandError("the controls are well, but not all could be cleaned up", "The lines above say why.")


def _look(stack: Stack) -> str:
    return f"The lines above say what failed. What Evenkeel recorded: {stack.line('audit', 'list', since='1h')}"
