"""What the engine's nested stacks lack.

A child's template goes through the SAM transform, and what an update leaves alone keeps its attributes. GetTemplate
shows a child's URL in the form that it has on AWS: ``sam delete`` takes no other.

Two departures remain: a child's own deletion policies are not read when its parent is deleted, and a child's resource
that cannot be deleted is logged and does not stop the parent.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import Answer, module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

_OWN_URL = re.compile(rb"http://127\.0\.0\.1:\d+/")
_nested: ContextVar[bool] = ContextVar("nested", default=False)


def apply() -> None:
    """Patch the provisioner of nested stacks and the parser that it asks."""
    wrap(module("services.cloudformation.provisioners"), "_cfn_nested_stack_deploy", _deploy)
    wrap(module("services.cloudformation.provisioners"), "_update_resource", _update)
    wrap(module("services.cloudformation.engine"), "_parse_template", _parse)
    handlers = module("services.cloudformation.handlers")._ACTION_HANDLERS
    handlers["GetTemplate"] = _get_template(handlers["GetTemplate"])


def _get_template(original: Callable[..., Answer]) -> Callable[..., Answer]:
    def get_template(*arguments: Any) -> Answer:
        status, headers, body = original(*arguments)
        region = module("core.responses").get_region()
        return status, headers, _OWN_URL.sub(f"https://s3.{region}.amazonaws.com/".encode(), body)

    return get_template


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
