"""Gathers what is wrong with a document while it is read, so that whoever wrote it is told all of it at once.

A wrong part is told, and read as if it were not there. What was read so never comes into force: :func:`gathered` ends
in an error.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from evenkeel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

_KINDS: dict[type, str] = {
    bool: "true or false", dict: "keys and values", float: "a fraction", int: "a whole number", list: "a list",
    str: "a text", type(None): "empty",
}  # fmt: skip


class Mistakes:
    """The mistakes found so far, each as ``place: problem; what to write``."""

    def __init__(self) -> None:
        """Begin with none."""
        self.told: list[str] = []

    def tell(self, where: str, problem: str) -> None:
        """Add one, at a place of the document."""
        self.told.append(f"{where}: {problem}")

    def mapping(self, raw: Any, where: str) -> dict[str, Any]:
        """Return a part that has keys and values; one that is something else is told, and has none."""
        if isinstance(raw, dict):
            return raw
        self.tell(where, f"is {kind(raw)}; write keys and values")
        return {}

    def fields(self, raw: dict[str, Any], where: str, known: AbstractSet[str]) -> dict[str, Any]:
        """Return a part without those of its keys that are none of those known; each is told."""
        for name in sorted(raw.keys() - known):
            self.tell(where, f"unknown key {name!r}; known are {', '.join(sorted(known))}")
        return {name: value for name, value in raw.items() if name in known}

    def items(self, raw: Any, where: str) -> Iterator[tuple[dict[str, Any], str]]:
        """Yield each rule of a list, with its place; what is no list, or no rule, is told."""
        if not isinstance(raw, list):
            self.tell(where, f"is {kind(raw)}; write a list")
            return
        for number, each in enumerate(raw):
            place = f"{where}[{number}]"
            if isinstance(each, dict):
                yield each, place
            else:
                self.mapping(each, place)

    def texts(self, raw: Any, where: str) -> tuple[str, ...]:
        """Return a list of texts, of which there is one at least; what is none is told, and empty."""
        if isinstance(raw, list) and raw and all(isinstance(item, str) and item for item in raw):
            return tuple(raw)
        self.tell(where, "write a list of texts")
        return ()


@contextmanager
def gathered() -> Iterator[Mistakes]:
    """Yield what gathers the mistakes of a document.

    Raises:
        SettingsError: there was one; it names them all.
    """
    mistakes = Mistakes()
    yield mistakes
    if mistakes.told:
        raise SettingsError(*mistakes.told)


def kind(raw: Any) -> str:
    """Say in a person's words what a value is."""
    return _KINDS.get(type(raw), type(raw).__name__)
