"""The tables of docs/alerts.md: filter attributes, the bus's events and all outcomes, read off the code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.model import Outcome
from notifier.event import ATTRIBUTES, FIELDS
from tools.pages import between

if TYPE_CHECKING:
    from collections.abc import Sequence

_JSON = {str: "text", int: "number", list: "list", dict: "object"}


def with_tables(text: str) -> str:
    """Return docs/alerts.md with its tables as the code has them."""
    attributes = [(f"`{name}`", meaning) for name, meaning in ATTRIBUTES.items()]
    fields = [
        (f"`{name}`", _JSON[field.kind], "always" if field.always else "sometimes", field.meaning)
        for name, field in FIELDS.items()
    ]
    text = between(text, "attributes", _table(("attribute", "what it holds"), attributes))
    text = between(text, "event", _table(("field", "JSON", "present", "what it holds"), fields))
    return between(text, "outcomes", _table(("outcome", "meaning", "audit record", "alert and event"), _outcomes()))


def _outcomes() -> list[tuple[str, ...]]:
    found = ((each, each.meaning) for each in Outcome)
    return [(f"`{each}`", meaning.says, _yes(meaning.audited), _yes(meaning.announced)) for each, meaning in found]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["", *(f"| {' | '.join(line)} |" for line in lines), ""]
