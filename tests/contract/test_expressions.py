"""Every JMESPath expression of the registry means what it looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jmespath
import pytest

from evenkeel.control.triggers import CloudTrail
from tagging.types import TYPES
from tests.contract.registry import CONTROLS

if TYPE_CHECKING:
    from collections.abc import Iterator

_IN_TRIGGERS = {
    expression
    for control in CONTROLS
    for trigger in control.all_triggers
    if isinstance(trigger, CloudTrail)
    for expression in (trigger.at, trigger.unless)
}
_IN_TYPES = {path for kind in TYPES for path in (kind.listing.path, kind.look.path)}
EXPRESSIONS = sorted(filter(None, _IN_TRIGGERS | _IN_TYPES))


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("children", []):
        if isinstance(child, dict):
            yield from _nodes(child)


def _negates_only_the_first_part(expression: str) -> bool:
    """Say whether a ``!`` ends before a dot or ``[]``: ``!a.b`` is read as ``(!a).b``, which finds nothing."""
    goes_on = ("subexpression", "flatten", "projection", "value_projection")
    parsed = jmespath.compile(expression).parsed
    return any(
        node["type"] in goes_on and node["children"] and node["children"][0]["type"] == "not_expression"
        for node in _nodes(parsed)
    )


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_negation_covers_the_whole_path(expression: str) -> None:
    """If this fails, an ``unless`` with ``!`` never holds, or always, and nobody sees it."""
    assert not _negates_only_the_first_part(expression)


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("!a.b && 'x'", True),
        ("!a[0]", False),
        ("!a[].b", True),
        ("c || [d, !a.b]", True),
        ("!(a.b) && 'x'", False),
        ("[?!b].c", False),
        ("!a && b.c", False),
    ],
)
def test_negation_of_a_first_part_is_found(expression: str, wrong: bool) -> None:
    """If this fails, the test above sees nothing."""
    assert _negates_only_the_first_part(expression) is wrong
