"""The problems of a settings document, collected while it is read, so that one refusal names all of them.

A part with a problem is reported and read as if it were absent. What was read so never comes into force:
:func:`collected` ends in an error.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evenkeel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class DocumentPath:
    """The path of a part of the document: keys, and the numbers of list items, from the root."""

    parts: tuple[str | int, ...] = ()

    def __truediv__(self, part: str | int) -> DocumentPath:
        """Return the path of a part within this one."""
        return DocumentPath((*self.parts, part))

    def __str__(self) -> str:
        """Return it as people write it: ``controls.kms-key-rotation.overrides[0].mode``; ``settings`` for the root."""
        text = "".join(f"[{part}]" if isinstance(part, int) else f".{_printable(part)}" for part in self.parts)
        return text.removeprefix(".") or "settings"

    def contains(self, other: DocumentPath) -> bool:
        """Return whether another path is this one, or leads to a part within it."""
        return other.parts[: len(self.parts)] == self.parts


def _printable(key: str) -> str:
    """Return a key as it is, or escaped where it would not be one line of text: half a character, a line feed."""
    return key if key.isprintable() else repr(key)


ROOT = DocumentPath()


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a settings document."""

    place: DocumentPath
    message: str
    """What is wrong there."""
    hint: str = ""
    """What to write instead."""

    def __str__(self) -> str:
        """Return it as one line of text."""
        return f"{self.place}: {self.message}; {self.hint}" if self.hint else f"{self.place}: {self.message}"


class InvalidSettingsError(SettingsError):
    """A settings document has problems. The text names them, up to ``LONGEST`` characters: it goes into messages."""

    LONGEST = 4000

    def __init__(self, *problems: Problem) -> None:
        """Keep the problems; there is at least one."""
        self.problems = problems
        text = "; ".join(map(str, problems))
        rest = f"… and more ({len(problems)} in all): evenkeel settings validate FILE names each"
        super().__init__(text if len(text) <= self.LONGEST else text[: self.LONGEST] + rest)


@dataclass(slots=True)
class Problems:
    """Collects the problems of a document while it is read."""

    found: list[Problem] = field(default_factory=list)
    tolerated: list[Problem] = field(default_factory=list)
    """Problems that only refuse a push: a document that is in force already stays valid despite them."""

    def add(self, place: DocumentPath, message: str, hint: str = "") -> None:
        """Add a problem that makes the document invalid."""
        self.found.append(Problem(place, message, hint))

    def tolerate(self, place: DocumentPath, message: str, hint: str = "") -> None:
        """Add a problem that only refuses a push."""
        self.tolerated.append(Problem(place, message, hint))

    def within(self, place: DocumentPath) -> bool:
        """Return whether some part of a place has a problem."""
        return any(place.contains(problem.place) for problem in self.found)


@contextmanager
def collected() -> Iterator[Problems]:
    """Yield the collector of a document's problems.

    Raises:
        InvalidSettingsError: it has some.
    """
    problems = Problems()
    yield problems
    if problems.found:
        raise InvalidSettingsError(*problems.found)
