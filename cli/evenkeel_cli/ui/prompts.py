"""Questions before an action that cannot simply be undone."""

from __future__ import annotations

import sys

from evenkeel_cli.ui.failure import CommandError, Exit


def at_terminal() -> bool:
    """Return whether a person can answer at a terminal."""
    return sys.stdin.isatty()


def must_be_answerable(left: str, *, yes: bool) -> None:
    """Check, before a command that will ask, that a person can answer.

    Raises:
        CommandError: there is no terminal and no ``yes`` (2).
    """
    if not yes and not at_terminal():
        message = f"{left}: the command asks for confirmation, and there is no terminal"
        raise CommandError(message, "Give --yes to continue without a question.", Exit.USAGE)


def confirm(question: str, left: str, *, yes: bool) -> None:
    """Ask a question unless ``yes``; ``left`` says what a no means, e.g. ``nothing was undone``.

    Raises:
        CommandError: the answer was no (1), or there is no terminal (2).
    """
    must_be_answerable(left, yes=yes)
    if yes:
        return
    import typer  # noqa: PLC0415 - only where a person is asked

    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise CommandError(left, "Run the command again when you are sure.")
