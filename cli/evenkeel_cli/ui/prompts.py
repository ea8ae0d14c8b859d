"""Questions before an act that cannot simply be repeated or taken back."""

from __future__ import annotations

import sys

from evenkeel_cli.ui.failure import CommandError, Exit


def at_terminal() -> bool:
    """Return whether somebody is there to answer."""
    return sys.stdin.isatty()


def must_be_answerable(left: str, *, yes: bool) -> None:
    """Refuse to begin what will ask where nobody is there to answer.

    Raises:
        CommandError: there is no terminal, and no ``yes`` (2).
    """
    if not yes and not at_terminal():
        message = f"{left}: this asks first unless --yes is given, and there is no terminal"
        raise CommandError(message, "Give --yes to go on without a question.", Exit.USAGE)


def confirm(question: str, left: str, *, yes: bool) -> None:
    """Ask a question unless ``yes``; ``left`` says what a no leaves as it is, e.g. ``nothing was taken back``.

    Raises:
        CommandError: the answer was no (1), or nobody is there to ask (2).
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
