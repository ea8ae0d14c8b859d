"""The terminal: results go to stdout, progress and errors to stderr.

Text can be copied as it is: no word is ever broken or cut, and only tables at a terminal wrap lines.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import ConsoleOptions, RenderableType

WIDTH = 100
"""Width of the demo when stdout is not a terminal, in columns."""
_LEAST = 20  # the narrowest column that is wrapped
_GAP = 2  # spaces between two columns


_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class _Plain(Console):
    """A console that replaces control characters, since records contain other people's text.

    It never wraps or cuts a line: the terminal does, and what is copied from it stays in one piece.
    """

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as Rich does, without wrapping lines."""
        super().print(*objects, **{"overflow": "ignore", "no_wrap": True, "crop": False, **how})

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


def progress(*, show: bool) -> Callable[[str], None]:
    """Return a function that prints a line of progress on stderr; without ``show`` it prints nothing."""
    return (lambda words: errors().print(words, style="yellow", soft_wrap=True)) if show else (lambda _: None)


def show(result: Any, words: Callable[[Console], None], *, as_json: bool) -> None:
    """Print a command's result on stdout: as JSON (one line; at a terminal indented), or as ``words`` prints it."""
    if as_json:
        write_json(result, indent=2 if results().is_terminal else None)
    else:
        words(results())


def write_json(result: Any, indent: int | None = None) -> None:
    """Write one JSON document to stdout, on one line unless ``indent`` says otherwise."""
    sys.stdout.write(json.dumps(result, indent=indent) + "\n")


def table(out: Console, heads: Sequence[str], rows: Sequence[Sequence[Text | str]]) -> None:
    """Print rows in columns as wide as their contents, below ``heads`` (none where empty).

    Only the last column may have several lines; at a terminal they are wrapped between words, within the column.
    """
    cells = [[each if isinstance(each, Text) else Text(each) for each in row] for row in rows]
    titles = [[Text(head, style="dim") for head in heads]] if heads else []
    columns = zip(*(row[:-1] for row in titles + cells), strict=True)
    widths = [max(cell.cell_len for cell in column) + _GAP for column in columns]
    indent = sum(widths)
    for row in titles + cells:
        first = Text()
        for cell, width in zip(row, widths, strict=False):
            first.append_text(cell).append(" " * (width - cell.cell_len))
        for number, line in enumerate(_lines(out, row[-1], out.width - indent)):
            whole = Text.assemble(Text(" " * indent) if number else first, line)
            whole.rstrip()
            out.print(whole, soft_wrap=True)


def _lines(out: Console, text: Text, width: int) -> Iterator[Text]:
    """Yield a cell's lines; at a terminal they are wrapped between words.

    A cell with ``no_wrap`` (JSON, calls) is not wrapped, nor is any cell in a column that is too narrow.
    """
    for line in text.split("\n", allow_blank=True):
        if out.is_terminal and width >= _LEAST and not text.no_wrap:
            for part in line.divide(_breaks(line.plain, width)):
                part.rstrip()
                yield part
        else:
            yield line


def _breaks(text: str, width: int) -> list[int]:
    """Return the positions at which to wrap a text between words; only a single long word may exceed the width."""
    found, start = [], 0
    for word in re.finditer(r"\S+", text):
        if word.end() - start > width and word.start() > start:
            found.append(word.start())
            start = word.start()
    return found


def _console(*, stderr: bool) -> Console:
    console = _Plain(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    return console
