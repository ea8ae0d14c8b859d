"""The terminal: results go to stdout, progress and errors to stderr."""

from __future__ import annotations

from rich.console import Console

WIDTH = 100
"""Columns that output is laid out for where nobody looks at a terminal: files, pipes, recordings."""


def results() -> Console:
    """Return the console of results."""
    return _console(stderr=False)


def errors() -> Console:
    """Return the console of progress and errors."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    return console
