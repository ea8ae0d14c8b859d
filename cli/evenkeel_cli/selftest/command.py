"""``evenkeel selftest``: plans, asks, tests each control, and reports."""

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
from evenkeel_cli.selftest.inbox import Inbox
from evenkeel_cli.selftest.provisioner import Provisioner, Stop, StoppedError
from evenkeel_cli.selftest.report import Removal, Row, Verdict
from evenkeel_cli.selftest.trial_run import Shared, TrialRun
from evenkeel_cli.ui import console, prompts
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future

    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.selftest.leftovers import Found, Leftover
    from evenkeel_cli.selftest.planning import Plan

WORKERS = 6
"""Controls that are tested in parallel."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    apply: bool
    """Create resources; otherwise only show what would be created."""
    yes: bool
    """Do not ask."""
    as_json: bool
    seconds: float
    """Time to wait for each record, state and alert."""


def run(stack: str, region: str | None, controls: Sequence[str], options: Options) -> None:
    """Show what a self-test would do and, with ``apply``, do it.

    Raises:
        CommandError: a control failed, the person said no, or nothing could be planned.
    """
    if options.apply:
        prompts.must_be_answerable("nothing was created", yes=options.yes)
    there = stacks.find(stack, region, f"test {named(stack)}")
    now = clock.now()
    plan = planning.plan(there, controls, marks.new_run(now), now)
    found = leftovers.find(there.cloud, plan.site)
    provisioner = Provisioner(there.cloud, Stop())
    inbox = Inbox(provisioner, plan.site, plan.run, there.output("AlertTopicArn"))
    if not options.apply:
        view.planned(plan, found, inbox.calls(), now, as_json=options.as_json)
        return
    if not options.yes:
        view.preview(plan, found, now)
        prompts.confirm(view.question(plan, found, now), "nothing was created", yes=False)
    say = console.progress(show=not options.as_json)
    say(f"run {plan.run}; its resources are named {marks.PREFIX}{plan.run}-…")
    removals = _remove(provisioner, found, lambda each: each.is_due(now), say)
    rows, closed = _try_all(plan, provisioner, inbox, options, say)
    view.tried(plan, rows, removals, [*found.troubles, *closed], as_json=options.as_json)
    _conclude(plan, rows, removals, [*found.troubles, *closed], stopped=provisioner.stop.asked.is_set())


def clean(stack: str, region: str | None, runs: Sequence[str], options: Options) -> None:
    """List what runs left, however old, and with ``apply`` delete it.

    Raises:
        CommandError: a run id is malformed, something could not be deleted, or the person said no.
    """
    for each in runs:
        if not marks.is_run(each):
            message = f"--clean {each}: not a run id"
            raise CommandError(message, "Give the 12 hex digits after evenkeel-selftest- in a name.", Exit.USAGE)
    if options.apply:
        prompts.must_be_answerable("nothing was deleted", yes=options.yes)
    there = stacks.find(stack, region, f"clean up after a self-test of {named(stack)}")
    found = leftovers.find(there.cloud, planning.site_of(there))
    found.resources = [each for each in found.resources if each.target.run in runs]
    removals = [Removal(each, Verdict.SKIPPED, "would be deleted") for each in found.resources]
    if options.apply and removals:
        if not options.as_json:
            view.removed(removals, on=console.errors())
        prompts.confirm(f"Delete {plural(len(removals), 'resource')}?", "nothing was deleted", yes=options.yes)
        say = console.progress(show=not options.as_json)
        removals = _remove(Provisioner(there.cloud, Stop()), found, lambda _: True, say)
    view.cleaned(there, runs, removals, found.troubles, applied=options.apply, as_json=options.as_json)
    if found.troubles or any(each.verdict is Verdict.FAILED for each in removals):
        raise CommandError("not everything could be found and deleted", "The lines above say why.")


def _remove(
    provisioner: Provisioner, found: Found, is_due: Callable[[Leftover], bool], say: Callable[[str], None]
) -> list[Removal]:
    """Delete what is due; return a removal for each leftover, the skipped ones included."""
    removals = []
    for each in found.resources:
        if not is_due(each):
            removals.append(Removal(each, Verdict.SKIPPED, "younger than an hour: a self-test may be using it"))
            continue
        try:
            detail = leftovers.remove(provisioner, each)
            removals.append(Removal(each, Verdict.OK, detail))
        except CommandError as error:
            removals.append(Removal(each, Verdict.FAILED, error.message))
        say(f"left by run {each.target.run}: {each.arn}: {removals[-1].detail}")
    return removals


def _try_all(
    plan: Plan, provisioner: Provisioner, inbox: Inbox, options: Options, say: Callable[[str], None]
) -> tuple[list[Row], list[str]]:
    """Test all controls; return their rows, and the errors that concern none of them alone."""
    rows = {trial.control.id: Row(trial, expects=trial.expects) for trial in plan.trials}
    troubles: list[str] = []
    if not plan.tried:
        return list(rows.values()), troubles
    try:
        alerts, why = _opened(inbox, say)
        shared = Shared(plan, provisioner, alerts, why, options.seconds, say)
        for row in _in_parallel([TrialRun(trial, shared) for trial in plan.tried], provisioner.stop, say):
            rows[row.trial.control.id] = row
    except (KeyboardInterrupt, StoppedError):
        provisioner.stop.asked.set()
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


def _in_parallel(trials: list[TrialRun], stop: Stop, say: Callable[[str], None]) -> list[Row]:
    """Test several in parallel. Ctrl-C stops and cleans up; a second one leaves what is not deleted yet."""
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
                    say("stopping: deleting what was created; Ctrl-C again leaves it to the next self-test")
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
        rest = f"; not deleted: {', '.join(left)}" if left else "; everything it created is deleted"
        raise CommandError(f"stopped{rest}", f"To delete what it left: {again}" if left else "Run it again.")
    failed = [row.trial.control.id for row in rows if row.verdict is Verdict.FAILED]
    if failed:
        next_step = f"To delete what it left: {again}" if left else _look(plan.stack)
        raise CommandError(f"{plural(len(failed), 'control')} failed: {', '.join(failed)}", next_step)
    if troubles or any(each.verdict is Verdict.FAILED for each in removals):
        raise CommandError("the controls work, but not everything could be deleted", "The lines above say why.")


def _look(stack: Stack) -> str:
    return f"The lines above say what failed. The audit records: {stack.line('audit', 'list', since='1h')}"
