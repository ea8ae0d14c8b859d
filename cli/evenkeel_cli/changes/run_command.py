"""``evenkeel run``: check existing resources with a control and repair them, on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenkeel.plurals import plural
from evenkeel_cli.aws import functions, stacks
from evenkeel_cli.changes import run_record, run_view
from evenkeel_cli.changes.run_rounds import Rounds
from evenkeel_cli.ui import console, prompts
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.changes.run_rounds import RunRequest


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    apply: bool
    """Change resources; otherwise it is a dry run."""
    yes: bool
    """Skip the dry run and the question."""
    as_json: bool
    all_outcomes: bool
    """Also list compliant resources."""


def run(stack: str, region: str | None, wanted: RunRequest, options: Options) -> None:
    """Check the resources that a request names and, with ``apply``, have them changed.

    Raises:
        CommandError: a resource is still noncompliant, the run was interrupted, or the person said no.
    """
    if options.apply:
        prompts.must_be_answerable("nothing was changed", yes=options.yes)
    there = stacks.find(stack, region, f"run {wanted.control}")
    functions.of(there, wanted.control)  # reports a missing group before any question
    about = len(wanted.resources)
    if options.apply and not options.yes:
        look = Rounds(there, wanted, dry_run=True, ahead=True)
        _look(look, options)
        if not _to_do(look):
            _print_result(look, options)
            _conclude(look)
            return
        run_view.preview(look)
        prompts.confirm(_question(there, look), "nothing was changed", yes=False)
        about = len(look.results)
    rounds = Rounds(there, wanted, dry_run=not options.apply)
    if options.apply:
        with run_record.opened(there, wanted, console.progress(show=not options.as_json)) as rounds.run:
            _go(rounds, options, about)
    else:
        _go(rounds, options, about)
    _print_result(rounds, options)
    _conclude(rounds)


def _look(look: Rounds, options: Options) -> None:
    try:
        with run_view.progress("checking resources", len(look.wanted.resources), show=not options.as_json) as (
            tick,
            say,
        ):
            look.go(tick, say)
    except KeyboardInterrupt:
        raise CommandError("stopped during the check; nothing was changed", "Run the command again.") from None


def _go(rounds: Rounds, options: Options, about: int) -> None:
    """Run to the end; an interrupted run prints what it did, and how to continue."""
    verb = "checking resources" if rounds.dry_run else "repairing resources"
    try:
        with run_view.progress(verb, about, show=not options.as_json) as (tick, say):
            rounds.go(tick, say)
    except (KeyboardInterrupt, CommandError) as error:
        if isinstance(error, CommandError) and not rounds.results:
            raise
        if rounds.results:
            _print_result(rounds, options)
        raise _interrupted(rounds, error) from None


def _interrupted(rounds: Rounds, error: BaseException) -> CommandError:
    why = f"; {error.message}. {error.next_step}" if isinstance(error, CommandError) else ""
    goes_on = "" if rounds.dry_run else "; the function may continue for up to a minute"
    again = rounds.wanted.command(rounds.stack, apply=not rounds.dry_run, after=rounds.after or rounds.wanted.after)
    came = f"after {plural(len(rounds.results), 'resource')}" if rounds.results else "before the first answer"
    message = f"stopped {came}{goes_on}{why}"
    return CommandError(message, f"To continue: {again}")


def _to_do(look: Rounds) -> int:
    return sum(look.counts.get(outcome, 0) for outcome in ("WOULD_APPLY", "WOULD_ANNOUNCE"))


def _question(stack: Stack, look: Rounds) -> str:
    changes, kept = (look.counts.get(outcome, 0) for outcome in ("WOULD_APPLY", "WOULD_ANNOUNCE"))
    where = f"in {stack.name}"
    if not changes:
        return f"Announce {plural(kept, 'finding')} {where}? Nothing is changed."
    announced = f", and announce {plural(kept, 'finding')} that it does not change" if kept else ""
    return f"Have {look.wanted.control} change {plural(changes, 'resource')} {where}{announced}?"


def _print_result(rounds: Rounds, options: Options) -> None:
    console.show(
        run_view.described(rounds),
        lambda out: run_view.table(out, rounds, all_outcomes=options.all_outcomes),
        as_json=options.as_json,
    )


def _conclude(rounds: Rounds) -> None:
    if not rounds.bad:
        return
    counted = ", ".join(f"{count:,} {outcome}" for outcome, count in rounds.bad.items())
    not_done = "could not be judged" if rounds.dry_run and "HELD" not in rounds.bad else "not repaired"
    message = f"{plural(sum(rounds.bad.values()), 'resource')} {not_done}: {counted}"
    raise CommandError(message, _next_step(rounds))


def _next_step(rounds: Rounds) -> str:
    """Return what to do next: about what is held, else what is retried, else what failed."""
    if "HELD" in rounds.bad:
        return (
            "A held resource is checked again when its hold ends. A freeze ends by itself, or by a change of the"
            " settings. Once you know the cause of any other hold, release it:"
            f" {rounds.stack.line('release', rounds.wanted.control)}"
        )
    if set(rounds.bad) == {"RETURNED"} and not rounds.dry_run:
        return "It waits in its queue and is checked again within minutes."
    return "The reasons say why. Fix that and run the command again; compliant resources are not changed."
