"""Conditions with ``Fn::Join`` and ``Fn::Split``, which the engine always evaluates as true.

CloudFormation evaluates ``Fn::Join`` and ``Fn::Split`` within the condition functions (template reference, "Condition
functions": supported functions). Without this patch, all groups of controls are deployed for any ``EnabledGroups``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

_EVALUATORS = ("engine", "stacks", "handlers", "changesets")
"""Modules of the engine that import the function by name."""


def apply() -> None:
    """Patch the evaluation of conditions."""
    for name in _EVALUATORS:
        wrap(module(f"services.cloudformation.{name}"), "_evaluate_conditions", _evaluate)


def _evaluate(original: Callable[..., Any], template: dict[str, Any], parameters: dict[str, Any]) -> Any:
    conditions = resolved(template.get("Conditions", {}), parameters)
    return original({**template, "Conditions": conditions}, parameters)


def resolved(value: Any, parameters: dict[str, Any]) -> Any:
    """Return a part of a condition with its ``Fn::Join`` and ``Fn::Split`` resolved."""
    if isinstance(value, list):
        return [resolved(each, parameters) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"} and value["Ref"] in parameters:
        return parameters[value["Ref"]]["Value"]
    inner = {name: resolved(each, parameters) for name, each in value.items()}
    if set(inner) == {"Fn::Join"}:
        between, parts = inner["Fn::Join"]
        return between.join(map(str, parts))
    if set(inner) == {"Fn::Split"}:
        between, text = inner["Fn::Split"]
        return text.split(between)
    return inner
