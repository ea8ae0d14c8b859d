"""Mistakes in the command line itself, told as JSON where it asks for JSON."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup
from typer.exceptions import TyperException

from evenkeel_cli.failure import CommandError, Exit, told

if TYPE_CHECKING:
    from collections.abc import Sequence

_JSON_IN_ONE = re.compile(r"--output=json|-[a-z]*ojson")
_OUTPUT = re.compile(r"--output|-[a-z]*o")
"""The option as a word of its own, or as the last of several short ones (``-yo json``)."""


def wants_json(arguments: Sequence[str]) -> bool:
    """Say whether a command line, right or wrong, asks for JSON."""
    in_two = (word == "json" and _OUTPUT.fullmatch(option) for option, word in pairwise(arguments))
    return any(in_two) or any(_JSON_IN_ONE.fullmatch(word) for word in arguments)


class Commands(TyperGroup):
    """The commands; a wrong option ends as any other error does."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **how: Any) -> Any:
        """Run the command line, as Typer does; without ``args`` the process's own."""
        if not wants_json(sys.argv[1:] if args is None else args):
            return super().main(args, *rest, **how)
        with told(as_json=True):
            try:
                ended = super().main(args, *rest, **{**how, "standalone_mode": False})
            except TyperException as error:
                raise CommandError(error.format_message(), _help(error), Exit(error.exit_code)) from None
        sys.exit(ended)


def _help(error: TyperException) -> str:
    context: Any = getattr(error, "ctx", None)
    return f"See {context.command_path} --help." if context else ""
