"""Prints the results of ``evenkeel run``."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel.model import Outcome
from evenkeel.plurals import plural
from evenkeel_cli.audit import view
from evenkeel_cli.changes.run_rounds import DONE
from evenkeel_cli.ui import arns, console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from evenkeel_cli.changes.run_rounds import Rounds

_CALLS_OF = 10  # resources whose calls are shown
_CALLED = frozenset({Outcome.WOULD_APPLY, *(each for each in Outcome if each.meaning.changed)})
_ONLY_COUNTED = frozenset({Outcome.COMPLIANT, Outcome.NOT_APPLICABLE})


@contextmanager
def progress(verb: str, about: int, *, show: bool) -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """Yield a function that updates the number of finished resources, and one that prints why it takes longer.

    ``about`` is the number of resources, 0 if unknown. The number is shown at a terminal only.
    """
    if not show or not console.errors().is_terminal:
        yield lambda _: None, console.progress(show=show)
        return
    of = f" of {about:,}" if about else ""
    with console.errors().status(f"{verb}{of or ' …'}") as status:
        yield lambda done: status.update(f"{verb} {done:,}{of}"), status.console.print


def preview(run: Rounds) -> None:
    """Print on stderr what a dry run found: the number of each outcome, and the calls."""
    err = console.errors()
    err.print(_summary(run))
    _calls(err, run)


def described(run: Rounds) -> dict[str, Any]:
    """Return a run as JSON data; ``next`` is the ARN to continue after, null if all is done."""
    return {
        "stack": run.stack.name, "control": run.wanted.control, "dry_run": run.dry_run,
        "ok": run.after is None and not run.bad, "counts": run.counts, "results": run.results, "next": run.after,
        "run": run.run or None,
    }  # fmt: skip


def table(out: Console, run: Rounds, *, all_outcomes: bool) -> None:
    """Print a run: a line for each resource, without compliant ones unless ``all_outcomes``."""
    shown = [each for each in run.results if all_outcomes or each["outcome"] not in _ONLY_COUNTED]
    if shown:
        rows = [
            (
                arns.short(each["resource"]),
                Text(each["outcome"], style="green" if each["outcome"] in DONE else "red"),
                each["reason"],
            )
            for each in shown
        ]
        console.table(out, ("resource", "outcome", "why"), rows)
    _calls(out, run)
    out.print(_summary(run))
    if run.dry_run and run.after is None and "WOULD_APPLY" in run.counts:
        out.print(f"next:  {run.wanted.command(run.stack, apply=True)}", style="dim", soft_wrap=True)


def _summary(run: Rounds) -> Text:
    total = len(run.results)
    counted = ", ".join(f"{count:,} {outcome}" for outcome, count in run.counts.items())
    return Text(f"{plural(total, 'resource')} checked{f': {counted}' if counted else ''}.", style="bold")


def _calls(out: Console, run: Rounds) -> None:
    calling = [each for each in run.results if each["outcome"] in _CALLED]
    if not calling:
        return
    lines = [line for each in calling[:_CALLS_OF] for line in each["calls"]]
    view.commands(out, "would call" if run.dry_run else "called", lines)
    if len(calling) > _CALLS_OF:
        out.print(f"    … and similar calls for {len(calling) - _CALLS_OF:,} more", style="dim")
