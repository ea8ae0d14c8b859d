"""What the engine's nested stacks lack.

A child's template goes through the SAM transform, and what an update leaves alone keeps its attributes.

Two departures remain: a child's own deletion policies are not read when its parent is deleted, and a child's resource
that cannot be deleted is logged and does not stop the parent.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

_nested: ContextVar[bool] = ContextVar("nested", default=False)


def apply() -> None:
    """Patch the provisioner of nested stacks and the parser that it asks."""
    wrap(module("services.cloudformation.provisioners"), "_cfn_nested_stack_deploy", _deploy)
    wrap(module("services.cloudformation.provisioners"), "_update_resource", _update)
    wrap(module("services.cloudformation.engine"), "_parse_template", _parse)


def _deploy(original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    token = _nested.set(True)
    try:
        return original(*arguments, **named)
    finally:
        _nested.reset(token)


def _update(original: Callable[..., Any], *arguments: Any) -> Any:
    identifier, attributes = original(*arguments)
    if not _nested.get():
        return identifier, attributes
    *_, stack, logical = arguments
    before = module("services.cloudformation")._stacks[stack]["_resources"].get(logical, {})
    return identifier, {**(before.get("Attributes") or {}), **(attributes or {})}


def _parse(original: Callable[..., Any], *arguments: Any) -> Any:
    template = original(*arguments)
    return module("services.cloudformation.engine")._apply_transforms(template) if _nested.get() else template
