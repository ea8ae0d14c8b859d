"""The types of lists, of tables whose keys people choose, and of objects with known keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.settings.schema_types import WRONG, Type
from evenkeel.suggestions import suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenkeel.settings.problems import DocumentPath, Problems


class List(Type):
    """A list of values of one type."""

    items: Type
    shortest: int = 0

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the values that can be read."""
        if not isinstance(raw, list):
            return self.mismatch(raw, place, problems)
        if len(raw) < self.shortest:
            problems.add(place, "is an empty list", self.hint)
            return WRONG
        read = [self.items.read(each, place / number, problems) for number, each in enumerate(raw)]
        return [each for each in read if each is not WRONG]

    @property
    def hint(self) -> str:
        """What to write."""
        return "write a list" if not self.shortest else "write a list with at least one item"

    def constraints(self) -> dict[str, Any]:
        """Return the items' schema and how many there are at least."""
        shortest = {"minItems": self.shortest} if self.shortest else {}
        return {"type": "array", "items": self.items.json_schema(), **shortest}


class OneOrMore(Type):
    """One text, or a list of texts."""

    items: Type

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the texts as a list."""
        if isinstance(raw, list):
            return self._list.read(raw, place, problems)
        text = self.items.read(raw, place, problems)
        return text if text is WRONG else [text]

    @property
    def _list(self) -> List:
        return List(items=self.items, shortest=1)

    @property
    def hint(self) -> str:
        """What to write."""
        return f"{self.items.hint}, or a list"

    def constraints(self) -> dict[str, Any]:
        """Return the schema of either."""
        return {"anyOf": [self.items.json_schema(), self._list.json_schema()]}


class Table(Type):
    """Keys that people choose, with values of one type."""

    write: str = "keys and values"
    values: Type

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the keys whose values can be read."""
        if not isinstance(raw, dict):
            return self.mismatch(raw, place, problems)
        read = {name: self.values.read(value, place / name, problems) for name, value in raw.items()}
        return {name: value for name, value in read.items() if value is not WRONG}

    def constraints(self) -> dict[str, Any]:
        """Return the values' schema."""
        return {"type": "object", "additionalProperties": self.values.json_schema()}


class Object(Type):
    """Known keys, each with a value of its type."""

    write: str = "keys and values"
    fields: Mapping[str, Type]
    required: tuple[str, ...] = ()
    some_of: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Groups of keys of which at least one has to be given, each with what is wrong without; an empty table is none."""
    build: Callable[[dict[str, Any], DocumentPath, Problems], Any] | None = None
    """Makes the value of the keys that can be read."""
    open: bool = False
    """Whether unknown keys are left for another reader to judge."""

    def read(self, raw: Any, place: DocumentPath, problems: Problems) -> Any:
        """Return the keys that can be read, or what is built of them."""
        if not isinstance(raw, dict):
            return self.mismatch(raw, place, problems)
        unknown = () if self.open else sorted(raw.keys() - self.fields.keys())
        for name in unknown:
            problems.add(place / name, "unknown key", suggestion(name, self.fields))
        for name in self.required:
            if name not in raw:
                problems.add(place / name, "is missing", self.fields[name].hint)
        for without, names in () if unknown else self.some_of:  # an unknown key may be a misspelt one of the group
            if not any(self._given(raw, name) for name in names):
                problems.add(place, without, f"give it {', '.join(names[:-1])} or {names[-1]}")
        read = {name: kind.read(raw[name], place / name, problems) for name, kind in self.fields.items() if name in raw}
        sound = {name: value for name, value in read.items() if value is not WRONG}
        return self.build(sound, place, problems) if self.build else sound

    def _given(self, raw: dict[str, Any], name: str) -> bool:
        return name in raw and not (isinstance(self.fields[name], Table) and raw[name] == {})

    def constraints(self) -> dict[str, Any]:
        """Return the keys' schemas, and which have to be given."""
        groups = [{"anyOf": [self._required(name) for name in names]} for _, names in self.some_of]
        return {
            "type": "object",
            "additionalProperties": self.open,
            "properties": {name: kind.json_schema() for name, kind in self.fields.items()},
            **({"required": list(self.required)} if self.required else {}),
            **({"allOf": groups} if groups else {}),
        }

    def _required(self, name: str) -> dict[str, Any]:
        table = isinstance(self.fields[name], Table)
        return {"required": [name], **({"properties": {name: {"minProperties": 1}}} if table else {})}
