"""The run record of ``evenkeel run --apply``: opened in the person's proved identity, ended with the command."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from evenkeel_cli.aws import functions, proved
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.changes.run_rounds import RunRequest


@contextmanager
def opened(stack: Stack, wanted: RunRequest, say: Callable[[str], None]) -> Iterator[str]:
    """Open a run that covers a request, yield its id, and always end it.

    Raises:
        CommandError: the function refused to open it, or AWS did; nothing was changed.
    """
    function = functions.of(stack, wanted.control)
    terms = {
        "controls": [wanted.control], "resources": list(wanted.resources) or "all", "dry_run": False,
        "allowance": wanted.at_most,
    }  # fmt: skip
    next_step = f"See the log group of function {function}."
    asked = {"open_run": terms}
    run = proved.ask(stack, function, asked, f"open a run of {wanted.control}", next_step, say=say, harmless=True)
    try:
        yield str(run["run"])
    finally:
        _end(stack, function, str(run["run"]), str(run["expires_at"]), say)


def _end(stack: Stack, function: str, run: str, expires_at: str, say: Callable[[str], None]) -> None:
    """End a run; if that fails, say so: it expires by itself, and covers nothing else until then."""
    try:
        proved.ask(stack, function, {"end_run": run}, f"end run {run}", "", say=say, harmless=True)
    except CommandError as error:
        say(f"run {run} stays open until {expires_at}, for the same control and resources: {error.message}")
