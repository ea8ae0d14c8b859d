"""``evenkeel run``: bring existing resources in line with a control, by hand."""

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
class How:
    """How a person wants it done and told."""

    apply: bool
    """Change resources; else it is a dry run."""
    yes: bool
    """Neither look ahead nor ask."""
    as_json: bool
    all_outcomes: bool
    """Also list the resources that are in line."""


def run(stack: str, region: str | None, wanted: RunRequest, how: How) -> None:
    """Check the resources that a request names and, with ``apply``, have them changed.

    Raises:
        CommandError: a resource is not in line in the end, the run was interrupted, or the person said no.
    """
    if how.apply:
        prompts.must_be_answerable("nothing was changed", yes=how.yes)
    there = stacks.find(stack, region, f"run {wanted.control}")
    functions.of(there, wanted.control)  # a group that is not there is told before anything is asked
    about = len(wanted.resources)
    if how.apply and not how.yes:
        look = Rounds(there, wanted, dry_run=True, ahead=True)
        _look(look, how)
        if not _to_do(look):
            _tell(look, how)
            _conclude(look)
            return
        run_view.preview(look)
        prompts.confirm(_question(there, look), "nothing was changed", yes=False)
        about = len(look.results)
    rounds = Rounds(there, wanted, dry_run=not how.apply)
    if how.apply:
        with run_record.opened(there, wanted, console.progress(show=not how.as_json)) as rounds.run:
            _go(rounds, how, about)
    else:
        _go(rounds, how, about)
    _tell(rounds, how)
    _conclude(rounds)


def _look(look: Rounds, how: How) -> None:
    try:
        with run_view.progress("looking at resources", len(look.wanted.resources), show=not how.as_json) as (tick, say):
            look.go(tick, say)
    except KeyboardInterrupt:
        raise CommandError("stopped while looking; nothing was changed", "Run the command again.") from None


def _go(rounds: Rounds, how: How, about: int) -> None:
    """Go to the end; an interrupted run tells what it did, and how to go on."""
    verb = "looking at resources" if rounds.dry_run else "bringing resources in line"
    try:
        with run_view.progress(verb, about, show=not how.as_json) as (tick, say):
            rounds.go(tick, say)
    except (KeyboardInterrupt, CommandError) as error:
        if isinstance(error, CommandError) and not rounds.results:
            raise
        if rounds.results:
            _tell(rounds, how)
        raise _interrupted(rounds, error) from None


def _interrupted(rounds: Rounds, error: BaseException) -> CommandError:
    why = f"; {error.message}. {error.next_step}" if isinstance(error, CommandError) else ""
    goes_on = "" if rounds.dry_run else "; what the function was at may go on for a minute"
    again = rounds.wanted.command(rounds.stack, apply=not rounds.dry_run, after=rounds.after or rounds.wanted.after)
    came = f"after {plural(len(rounds.results), 'resource')}" if rounds.results else "before the first answer"
    message = f"stopped {came}{goes_on}{why}"
    return CommandError(message, f"To go on: {again}")


def _to_do(look: Rounds) -> int:
    return sum(look.counts.get(outcome, 0) for outcome in ("WOULD_APPLY", "WOULD_ANNOUNCE"))


def _question(stack: Stack, look: Rounds) -> str:
    changes, kept = (look.counts.get(outcome, 0) for outcome in ("WOULD_APPLY", "WOULD_ANNOUNCE"))
    where = f"in {stack.name}"
    if not changes:
        return f"Tell people of {plural(kept, 'resource')} {where}? Nothing is changed."
    told = f", and tell people of {kept:,} that it leaves unchanged" if kept else ""
    return f"Have {look.wanted.control} change {plural(changes, 'resource')} {where}{told}?"


def _tell(rounds: Rounds, how: How) -> None:
    console.show(
        run_view.described(rounds),
        lambda out: run_view.table(out, rounds, all_outcomes=how.all_outcomes),
        as_json=how.as_json,
    )


def _conclude(rounds: Rounds) -> None:
    if not rounds.bad:
        return
    counted = ", ".join(f"{count:,} {outcome}" for outcome, count in rounds.bad.items())
    not_done = "could not be judged" if rounds.dry_run and "HELD" not in rounds.bad else "not brought in line"
    message = f"{plural(sum(rounds.bad.values()), 'resource')} {not_done}: {counted}"
    raise CommandError(message, _next_step(rounds))


def _next_step(rounds: Rounds) -> str:
    """Return what to do next about what is not in line: first what is held, then what is retried, then what failed."""
    if "HELD" in rounds.bad:
        return (
            "What is held is kept, and read again when its hold is over. A freeze ends by itself or in the settings."
            " Any other hold ends sooner by a release, once you know why there is so much of it:"
            f" {rounds.stack.line('release', rounds.wanted.control)}"
        )
    if set(rounds.bad) == {"RETURNED"} and not rounds.dry_run:
        return "It waits in its queue and is read again by itself, within minutes."
    return "The reasons say why; fix that and run the command again: what is in line is left alone."
