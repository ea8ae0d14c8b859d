"""The types that :mod:`evenkeel.settings.schema` is made of: each reads a value, and describes it as JSON Schema.

A value that is not of its type is reported and read as :data:`WRONG`; objects and lists leave such parts out.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, dataclass_transform

from evenkeel.suggestions import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenkeel.settings.problems import DocumentPath, Problems

WRONG: Final = object()
"""What a value is read as that is not of its type; the problem was reported."""
UNSET: Final = object()
_SHOWN = 240
_FEW = 6
"""Up to so many accepted values are listed; of more, the closest are suggested."""


@dataclass_transform(kw_only_default=True, frozen_default=True)
class _Attributes:
    """Keeps what it is given by the names of its attributes.

    It reads like a dataclass, and is none: making twelve of those would cost a tenth of a handler's import.
    """

    def __init__(self, **given: Any) -> None:
        """Keep the attributes that are given; the others have their class's values."""
        vars(self).update(given)


class Type(_Attributes, ABC):
    """A type of value, with what people read about it."""

    description: str = ""
    default: Any = UNSET
    """The value where it is left out, as JSON; for people and editors only."""
    write: str = "a value"
    """What people should write, after "write"."""

    @abstractmethod
    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return a value as this type reads it, or report why it cannot and return :data:`WRONG`."""

    @property
    def hint(self) -> str:
        """Return what to write."""
        return f"write {self.write}"

    @abstractmethod
    def constraints(self) -> dict[str, Any]:
        """Return the JSON Schema (draft 7) that accepts what :meth:`read` accepts."""

    def json_schema(self) -> dict[str, Any]:
        """Return the constraints with what editors show."""
        shown = {"description": self.description} if self.description else {}
        return {**self.constraints(), **shown, **({} if self.default is UNSET else {"default": self.default})}

    def mismatch(self, raw: Any, place: DocumentPath, problems: Problems) -> object:
        """Report a value of another type."""
        problems.add(place, _described(raw), self.hint)
        return WRONG

    def refuse(self, raw: Any, place: DocumentPath, problems: Problems) -> object:
        """Report a value of the right type that is not accepted."""
        problems.add(place, f"{_shown(raw)} is not accepted", self.hint)
        return WRONG


def _shown(raw: Any) -> str:
    """Return a value as people find it again; of a long one, the beginning and the end."""
    text = repr(raw)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}…{text[-_SHOWN // 2 :]}"


def _described(raw: Any) -> str:
    """Return in plain words what a value is."""
    if isinstance(raw, bool):
        return f"is {str(raw).lower()}"
    if isinstance(raw, str):
        return f"{_shown(raw)} is text" if raw else "is empty"
    if isinstance(raw, int | float):
        return f"{raw!r} is a {'whole number' if isinstance(raw, int) else 'number'}"
    return "is empty" if raw is None else "is a list" if isinstance(raw, list) else "is keys and values"


class Anything(Type):
    """Any value: another reader checks it later."""

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:  # noqa: ARG002 - nothing can be wrong
        """Return the value."""
        return raw

    def constraints(self) -> dict[str, Any]:
        """Return the schema that accepts everything."""
        return {}


class Boolean(Type):
    """``true`` or ``false``."""

    write: str = "true or false"

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the value."""
        return raw if isinstance(raw, bool) else self.mismatch(raw, place, problems)

    def constraints(self) -> dict[str, Any]:
        """Return the type's name."""
        return {"type": "boolean"}


class Integer(Type):
    """A whole number within bounds."""

    minimum: int | None = None
    maximum: int | None = None
    write: str = "a whole number"

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the number."""
        if type(raw) is not int:
            return self.mismatch(raw, place, problems)
        low, high = self.minimum, self.maximum
        if (low is not None and raw < low) or (high is not None and raw > high):
            return self.refuse(raw, place, problems)
        return raw

    @property
    def hint(self) -> str:
        """What to write."""
        return f"write {self.write}" + (f" from {self.minimum:,} to {self.maximum:,}" if self.maximum else "")

    def constraints(self) -> dict[str, Any]:
        """Return the bounds."""
        bounds = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": "integer", **{name: bound for name, bound in bounds.items() if bound is not None}}


class Text(Type):
    """A text that has some length, and fits a pattern where there is one."""

    write: str = "text"
    shortest: int = 1
    pattern: str = ""
    tolerant: bool = False
    """Whether a document that is in force already may have any value here."""

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the text."""
        if self.tolerant and not isinstance(raw, str):
            problems.tolerate(place, _described(raw), self.hint)
            return "" if raw is None else str(raw)
        if not isinstance(raw, str) or len(raw) < self.shortest:
            return self.mismatch(raw, place, problems)
        if self.pattern and not re.search(self.pattern, raw):
            return self.refuse(raw, place, problems)
        return raw

    def constraints(self) -> dict[str, Any]:
        """Return the length and the pattern."""
        shortest = {"minLength": self.shortest} if self.shortest else {}
        return {"type": "string", **shortest, **({"pattern": self.pattern} if self.pattern else {})}


class Choice(Type):
    """One of some texts."""

    values: tuple[str, ...]
    tolerated: Mapping[str, str] = MappingProxyType({})
    """Values that are only accepted in a document that is in force already, and why."""

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the text."""
        if raw in self.values:
            return raw
        if not isinstance(raw, str):
            return self.mismatch(raw, place, problems)
        if raw in self.tolerated:
            problems.tolerate(place, f"{raw!r} {self.tolerated[raw]}", self.hint)
            return raw
        hint = self.hint if len(self.values) <= _FEW else suggestion(raw, self.values)
        problems.add(place, f"{raw!r} is unknown", hint)
        return WRONG

    @property
    def hint(self) -> str:
        """What to write."""
        return f"write one of {', '.join(self.values)}"

    def constraints(self) -> dict[str, Any]:
        """Return the texts."""
        return {"enum": list(self.values)}


class Constant(Type):
    """One number that is written; a reader may accept others, of earlier releases."""

    value: int
    accepts: Callable[[Any], bool]

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the number."""
        if self.accepts(raw):
            return raw
        return (self.refuse if type(raw) is int else self.mismatch)(raw, place, problems)

    @property
    def hint(self) -> str:
        """What to write."""
        return f"write {self.value}"

    def constraints(self) -> dict[str, Any]:
        """Return the number that is written."""
        return {"const": self.value}


class Day(Type):
    """A day of the calendar."""

    write: str = "the last day as YYYY-MM-DD"

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the date; one without leading zeros is accepted only where it is in force already."""
        if not isinstance(raw, str):
            return self.mismatch(raw, place, problems)
        try:
            day = datetime.strptime(raw, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no time zone
        except ValueError:
            return self.refuse(raw, place, problems)
        if raw != f"{day}":
            problems.tolerate(place, f"{raw!r} is not written as YYYY-MM-DD", f"write {day}")
        return day

    def constraints(self) -> dict[str, Any]:
        """Return the format."""
        return {"type": "string", "format": "date"}
