"""The tables of docs/alerts.md: filter attributes, the bus's events and all outcomes, read off the code."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

from evenkeel.model import Outcome
from notifier.event import ATTRIBUTES, FIELDS, UNANNOUNCED
from tools.pages import between

if TYPE_CHECKING:
    from collections.abc import Sequence

_JSON = {str: "text", int: "number", list: "list", dict: "object"}
_AUDITED = frozenset(takewhile(lambda each: each is not Outcome.COMPLIANT, Outcome))


def with_tables(text: str) -> str:
    """Return docs/alerts.md with its tables as the code has them."""
    attributes = [(f"`{name}`", meaning) for name, meaning in ATTRIBUTES.items()]
    fields = [
        (f"`{name}`", _JSON[field.kind], "always" if field.always else "where there is one", field.meaning)
        for name, field in FIELDS.items()
    ]
    text = between(text, "attributes", _table(("attribute", "what it holds"), attributes))
    text = between(text, "event", _table(("field", "JSON", "there", "what it holds"), fields))
    return between(text, "outcomes", _table(("outcome", "meaning", "audit record", "alert and event"), _outcomes()))


def _outcomes() -> list[tuple[str, ...]]:
    said = meanings()
    return [
        (
            f"`{each}`",
            said[each.name],
            "yes" if each in _AUDITED else "no",
            "yes" if each in _AUDITED - UNANNOUNCED else "no",
        )
        for each in Outcome
    ]


def meanings() -> dict[str, str]:
    """Return what the code says of each outcome, by its name.

    Raises:
        ValueError: of one it says nothing.
    """
    (whole,) = ast.parse(inspect.getsource(Outcome)).body
    body = whole.body if isinstance(whole, ast.ClassDef) else []
    found = {
        target.id: " ".join(str(text.value.value).split())
        for one, text in pairwise(body)
        if isinstance(one, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        for target in one.targets
        if isinstance(target, ast.Name)
    }
    if missing := [each.name for each in Outcome if each.name not in found]:
        raise ValueError(f"model.py says nothing of {', '.join(missing)}; write a docstring below each")
    return found


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["", *(f"| {' | '.join(line)} |" for line in lines), ""]
