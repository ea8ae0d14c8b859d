"""Errors of commands: what failed, on what, and what to do next; in words or as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    FAILED = 1
    """Something was not done, or AWS refused."""
    USAGE = 2
    """The input is wrong: an unknown name, a missing option, no credentials."""


class CommandError(Exception):
    """A command failed. ``next_step`` is one sentence on what to do."""

    def __init__(
        self, message: str, next_step: str = "", code: Exit = Exit.FAILED, problems: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Keep message and exit code; ``problems`` are the message's parts as JSON data."""
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.code = code
        self.problems = problems


@contextmanager
def reported(*, as_json: bool) -> Iterator[None]:
    """Report a :class:`CommandError` on stderr and end the process with its code; all commands run inside this one.

    ``as_json`` writes ``{"error": {"message", "next"}}`` instead of words, with ``problems`` if there are any.
    """
    try:
        yield
    except CommandError as error:
        if as_json:
            parts = {"problems": error.problems} if error.problems else {}
            body = {"error": {"message": error.message, "next": error.next_step, **parts}}
            sys.stderr.write(json.dumps(body) + "\n")
        else:
            _write(error)
        raise SystemExit(int(error.code)) from None


def _write(error: CommandError) -> None:
    from rich.text import Text  # noqa: PLC0415 - only a failing command needs it

    from evenkeel_cli.ui.console import errors  # noqa: PLC0415 - as above

    console = errors()
    console.print(Text.assemble(("error: ", "bold red"), error.message), soft_wrap=True)
    if error.next_step:
        console.print(Text.assemble(("next:  ", "bold"), error.next_step), soft_wrap=True)
