"""Predicts what CloudFormation does to each resource when a parameter or a tag of the stack changes.

Its resource schemas, which cfn-lint ships, name the properties that only a new resource can have
(``createOnlyProperties``; ``conditionalCreateOnlyProperties`` for those that sometimes need one). A change of any other
updates the resource in place. Whether an update interrupts is not in them, but in AWS's template reference.
"""

from __future__ import annotations

import json
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    Resources = Mapping[str, Mapping[str, Any]]


class Effect(StrEnum):
    """The effect on a resource."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"
    MAY_REPLACE = "may replace"
    UPDATE = "update"


_CREATE_ONLY = {"createOnlyProperties": Effect.REPLACE, "conditionalCreateOnlyProperties": Effect.MAY_REPLACE}


@cache
def schema(kind: str, region: str = "eu-west-1") -> Mapping[str, Any]:
    """Return CloudFormation's schema of a resource type in a region."""
    found: Mapping[str, Any] = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, kind).schema
    return found


def effects(before: Resources, after: Resources) -> dict[str, Effect]:
    """Return the effect of a change on each affected resource, by logical id.

    Resources are rendered: a reference is ``<Name>`` or ``<Name.Attribute>``. What refers to a replaced resource
    changes, too, and may be replaced for it.
    """
    found: dict[str, Effect] = {}
    while True:
        replaced = {name for name, effect in found.items() if effect in {Effect.REPLACE, Effect.MAY_REPLACE}}
        renewed = _with_new_ids(after, replaced)
        again = {
            name: effect for name in {**before, **after} if (effect := _effect(before.get(name), renewed.get(name)))
        }
        if again == found:
            return found
        found = again


def _with_new_ids(resources: Resources, replaced: set[str]) -> Resources:
    text = json.dumps(resources)
    for name in replaced:
        text = text.replace(f"<{name}>", f"<{name}, new>").replace(f"<{name}.", f"<{name}, new.")
    renewed: Resources = json.loads(text)
    return renewed


def _effect(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> Effect | None:
    if before is None or after is None:
        return Effect.ADD if before is None else Effect.REMOVE
    if before["Type"] != after["Type"]:
        return Effect.REPLACE
    rules = schema(after["Type"])
    for key, effect in _CREATE_ONLY.items():
        if any(_at(before, path) != _at(after, path) for path in rules.get(key, [])):
            return effect
    return Effect.UPDATE if _properties(before, rules) != _properties(after, rules) else None


def _properties(body: Mapping[str, Any], rules: Mapping[str, Any]) -> dict[str, Any]:
    """Return a resource's properties; a nested stack's tags are handed to it only if its type has tags."""
    without = set() if rules.get("tagging", {}).get("taggable") else {"Tags"}
    return {key: value for key, value in body.get("Properties", {}).items() if key not in without}


def _at(body: Mapping[str, Any], pointer: str) -> Any:
    """Return the value at ``/properties/A/B``, or nothing."""
    value: Any = body.get("Properties", {})
    for step in pointer.split("/")[2:]:
        value = value.get(step) if isinstance(value, dict) else None
    return value


def tagged(resources: Resources) -> dict[str, Effect]:
    """Return the effect of a changed tag of the stack, which CloudFormation hands to every resource that has tags."""
    return {
        name: Effect.UPDATE if rules.get("tagUpdatable", True) else Effect.REPLACE
        for name, body in resources.items()
        if (rules := schema(body["Type"]).get("tagging", {})).get("taggable")
    }
