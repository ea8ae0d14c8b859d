"""What a person is told when a command cannot go on: what happened, to what, and what to do next."""

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
    """Something was not repaired, not paused, or AWS refused."""
    USAGE = 2
    """The command was given something that cannot be right: an unknown name, no credentials."""


class CommandError(Exception):
    """A command cannot go on. ``next_step`` is one sentence on what to do."""

    def __init__(
        self, message: str, next_step: str = "", code: Exit = Exit.FAILED, problems: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Keep what to say and how to exit; ``problems`` are the message's parts, for machines."""
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.code = code
        self.problems = problems


@contextmanager
def told(*, as_json: bool = False) -> Iterator[None]:
    """End the process on a :class:`CommandError` with its words on stderr and its code, never with a traceback.

    ``as_json`` writes ``{"error": {"message", "next"}}`` in place of words, with ``problems`` where there are any.
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
