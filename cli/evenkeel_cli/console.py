"""The terminal: results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import ConsoleOptions, RenderableType

WIDTH = 100
"""Columns that output is laid out for where nobody looks at a terminal: files, pipes, recordings."""


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Plain(Console):
    """A console on which no text moves the cursor, names the window or colours itself: records hold others' words."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments to write, their control characters replaced."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(_CONTROLS.sub("\ufffd", segment.text), segment.style)


def results() -> Console:
    """Return the console of results."""
    return _console(stderr=False)


def errors() -> Console:
    """Return the console of progress and errors."""
    return _console(stderr=True)


def teller(*, show: bool) -> Callable[[str], None]:
    """Return what tells of progress on stderr, a line each; silent without ``show``, where stderr is for machines."""
    return (lambda words: errors().print(words, style="yellow", soft_wrap=True)) if show else (lambda _: None)


def _console(*, stderr: bool) -> Console:
    console = _Plain(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    return console
