"""Nested stacks: SAM's transform, kept attributes, failed deletions.

A child's template goes through the SAM transform, and resources that an update does not change keep their attributes.
GetTemplate shows a child's URL in AWS's form, the only one that ``sam delete`` accepts. A child's resource that cannot
be deleted leaves child and parent in DELETE_FAILED (CloudFormation user guide, "Stack status codes").

One departure remains: a child's own deletion policies are not read when its parent is deleted.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import Answer, module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

_OWN_URL = re.compile(rb"http://127\.0\.0\.1:\d+/")
_nested: ContextVar[bool] = ContextVar("nested", default=False)
_failed: ContextVar[list[str] | None] = ContextVar("failed", default=None)
"""The logical ids that could not be deleted, while a nested stack is being deleted."""


class NestedStackError(RuntimeError):
    """A nested stack was not deleted."""


def apply() -> None:
    """Patch the provisioner of nested stacks and its template parser."""
    provisioners = module("services.cloudformation.provisioners")
    wrap(provisioners, "_cfn_nested_stack_deploy", _deploy)
    wrap(provisioners, "_update_resource", _update)
    wrap(provisioners, "_delete_resource", _delete_resource)
    handler = provisioners._RESOURCE_HANDLERS["AWS::CloudFormation::Stack"]
    handler["delete"] = partial(_delete, handler["delete"])
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


def _delete(original: Callable[..., Any], identifier: str, properties: dict[str, Any]) -> None:
    """Delete a child; raise NestedStackError where a resource could not be deleted, which stays in the child."""
    name = module("services.cloudformation.provisioners")._nested_stack_lookup_name(identifier)
    child = module("services.cloudformation")._stacks.get(name) or {}
    held = dict(child.get("_resources") or {})
    failed: list[str] = []
    token = _failed.set(failed)
    try:
        original(identifier, properties)
    finally:
        _failed.reset(token)
    if failed:
        left = {each: held[each] | {"ResourceStatus": "DELETE_FAILED"} for each in failed}
        child.update(StackStatus="DELETE_FAILED", _resources=left)
        raise NestedStackError(f"The following resource(s) failed to delete: [{', '.join(sorted(failed))}].")


def _delete_resource(original: Callable[..., Any], *arguments: Any) -> None:
    """Delete a resource; record a failure in a nested stack, which the engine only logs."""
    try:
        original(*arguments)
    except Exception:  # recorded and raised again: nothing is hidden
        failed = _failed.get()
        if failed is not None:
            failed.append(arguments[-1])
        raise
