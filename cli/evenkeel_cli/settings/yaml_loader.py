"""Reads YAML as people expect it, with the line of every part; only this module and error handling import the library.

It is YAML 1.2 with the scalars of JSON: ``off`` is a mode and not a boolean, a date is text, and 0123 is not octal.
Tags, anchors and merge keys are accepted if JSON can represent the result.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.resolver import VersionedResolver

if TYPE_CHECKING:
    from collections.abc import Callable

_TAG = "tag:yaml.org,2002:"
_DEEPEST = 60
"""Maximum nesting of lists and mappings; the settings have 7 levels."""
_PLAIN: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
"""Types of unquoted scalars by first character: the first pattern that matches; text if none does."""
for _name, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)", list("-+0123456789")),
    ("merge", r"<<", ["<"]),
):
    for _character in _first:
        _PLAIN.setdefault(_character, []).append((_TAG + _name, re.compile(rf"^(?:{_pattern})$")))


class DuplicateKeysError(YAMLError):
    """Keys occur twice in one mapping. ``keys`` has the line and the message of each."""

    def __init__(self, keys: list[tuple[int, str]]) -> None:
        """Keep the keys."""
        super().__init__()
        self.keys = keys


class _Resolver(VersionedResolver):
    """Recognizes the scalars of JSON, whatever YAML version a file declares."""

    @property
    def versioned_resolver(self) -> Any:
        return _PLAIN


class _Constructor(RoundTripConstructor):
    """Creates mappings and lists with line numbers, and scalars that JSON can represent; refuses other tags."""

    yaml_constructors: dict[Any, Any] = {}
    yaml_multi_constructors: dict[Any, Any] = {}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lines: dict[int, dict[str, int]] = {}
        self._duplicates: list[tuple[int, str]] = []

    def get_single_data(self) -> Any:
        document = super().get_single_data()
        if self._duplicates:
            raise DuplicateKeysError(self._duplicates)
        return document

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        if node in self.recursive_objects and node not in self.constructed_objects:
            raise ConstructorError(None, None, "this part contains itself, by an alias", node.start_mark)
        return super().construct_object(node, deep)

    def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:  # noqa: ARG002 - the library's own signature
        """Return whether a key is new in its mapping, and collect duplicates; keys are compared as JSON."""
        lines, line, name = self._lines.setdefault(id(mapping), {}), key_node.start_mark.line + 1, str(key_node.value)
        if name not in lines:
            lines[name] = line
            return True
        self._duplicates.append((line, f"{name} is a duplicate key; the first is in line {lines[name]}"))
        return False

    def scalar(self, node: Any) -> Any:
        """Return the value of a scalar.

        Raises:
            ConstructorError: it has none, or one that JSON cannot represent.
        """
        text = str(self.construct_scalar(node))
        try:
            return _SCALARS[str(node.tag).removeprefix(_TAG)](text)
        except (ValueError, KeyError) as error:
            raise ConstructorError(None, None, f"{text[:80]!r} cannot be read: {error}", node.start_mark) from error


def _text(text: str) -> str:
    text.encode()  # fails on half of a UTF-16 pair, which no encoding has
    return text


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("the number is too large")
    return number


_BOOLEANS = {"true": True, "false": False}
_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": _text,
    "int": int,
    "float": _number,
    "bool": _BOOLEANS.__getitem__,
    "null": lambda _: None,
}
for _name in _SCALARS:
    _Constructor.add_constructor(_TAG + _name, _Constructor.scalar)
_Constructor.add_constructor(f"{_TAG}map", _Constructor.construct_yaml_map)
_Constructor.add_constructor(f"{_TAG}seq", _Constructor.construct_yaml_seq)
_Constructor.add_constructor(None, _Constructor.construct_undefined)


def load(text: str) -> Any:
    """Return the document of a text; :func:`line` returns the lines of its parts.

    Raises:
        YAMLError, ValueError, RecursionError: it is not one document of YAML.
    """
    yaml = YAML(typ="rt", pure=True)
    yaml.Resolver, yaml.Constructor, yaml.max_depth = _Resolver, _Constructor, _DEEPEST
    return yaml.load(text)


def line(loaded: Any, part: str | int) -> int:
    """Return the line of a key or an item, counted from 1; 0 if it is absent or was merged in."""
    lines = getattr(getattr(loaded, "lc", None), "data", None) or {}
    return lines[part][0] + 1 if part in lines else 0
