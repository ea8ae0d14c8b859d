"""The command line: errors of usage, as JSON if the command asks for JSON, and characters that a terminal lacks."""

from __future__ import annotations

import codecs
import io
import re
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from typer.core import TyperGroup
from typer.exceptions import TyperException

from evenkeel_cli.ui import closed_pipe
from evenkeel_cli.ui.failure import CommandError, Exit, reported

if TYPE_CHECKING:
    from collections.abc import Sequence

_JSON_IN_ONE = re.compile(r"--output=json|-[a-z]*ojson")
_OUTPUT = re.compile(r"--output|-[a-z]*o")
"""The option by itself, or as the last of several short ones (``-yo json``)."""


def wants_json(arguments: Sequence[str]) -> bool:
    """Return whether a command line, right or wrong, asks for JSON."""
    in_two = (word == "json" and _OUTPUT.fullmatch(option) for option, word in pairwise(arguments))
    return any(in_two) or any(_JSON_IN_ONE.fullmatch(word) for word in arguments)


_MEANT = {
    **dict.fromkeys(("freeze", "stop", "halt", "disable"), "pause"),
    **dict.fromkeys(("unfreeze", "unpause", "start", "enable"), "resume"),
    **dict.fromkeys(("revert", "rollback", "restore"), "undo"),
    "disapprove": "reject",
}
"""Words that are not commands, and the command that is meant: by spelling, another or the opposite is nearest."""
_SIMPLER = str.maketrans({
    "✓": "+", "✗": "x", "·": "-", "…": "...", "→": "->", "│": "|", "─": "-", "\ufffd": "?",
    **dict.fromkeys("╭╮╰╯├┤┬┴┼", "+"), **dict.fromkeys("\u2018\u2019", "'"), **dict.fromkeys("\u201c\u201d", '"'),
})  # fmt: skip


def _simpler(error: UnicodeError) -> tuple[str, int]:
    """Return a replacement for characters that a terminal's encoding lacks, and the position after them."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_SIMPLER)
    return text.encode("ascii", "replace").decode(), error.end


def show_on_any_terminal() -> None:
    """Make stdout and stderr accept every character; one that their encoding lacks is written in simpler ones."""
    codecs.register_error("evenkeel", _simpler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="evenkeel")


class Commands(TyperGroup):
    """The group of commands; a usage error is reported as any other error."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command, as Typer does; for some words that are not commands, suggest the one that is meant."""
        if args and args[0] in _MEANT:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {_MEANT[args[0]]!r}?")
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **how: Any) -> Any:
        """Run the command line as Typer does, without ``args`` the process's own; report what goes wrong."""
        show_on_any_terminal()
        as_json = wants_json(sys.argv[1:] if args is None else args)
        with closed_pipe.quiet(), reported(as_json=as_json):
            if not as_json:
                return super().main(args, *rest, **how)
            try:
                ended = super().main(args, *rest, **{**how, "standalone_mode": False})
            except TyperException as error:
                raise CommandError(error.format_message(), _help(error), Exit(error.exit_code)) from None
        sys.exit(ended)


def _help(error: TyperException) -> str:
    context: Any = getattr(error, "ctx", None)
    return f"See {context.command_path} --help." if context else ""
