"""Change sets with conditions, and of nested stacks (``IncludeNestedStacks``).

The engine lists every resource of a template. On AWS a change set shows what would be created or changed, and a
resource whose condition is false is not created (API reference, CreateChangeSet; template reference, "Condition
attribute").

A nested stack that exists gets a change set of its own, named in the root's change. A nested stack that would be added
gets none here, and a parameter that refers to a resource about to be replaced keeps that resource's present id.
"""

from __future__ import annotations

from copy import deepcopy
from html import escape
from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import Answer, module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Handler = Callable[[dict[str, Any]], Answer]
    Parameters = dict[str, Any]

NESTED = "AWS::CloudFormation::Stack"


def apply() -> None:
    """Patch the comparison of templates, and the three actions that change for nested stacks."""
    wrap(module("services.cloudformation.changesets"), "_resolve_props_for_diff", _admitted)
    handlers = module("services.cloudformation.handlers")._ACTION_HANDLERS
    for action, replacement in (
        ("CreateChangeSet", _create),
        ("DescribeChangeSet", _describe),
        ("DeleteChangeSet", _delete),
    ):
        handlers[action] = replacement(handlers[action])


def _admitted(original: Callable[..., Any], template: dict[str, Any], values: dict[str, Any], *stack: str) -> Any:
    """Return a template for comparison, without the resources whose condition is false."""
    found = original(template, values, *stack)
    if not found:
        return found
    conditions = module("services.cloudformation.changesets")._evaluate_conditions(template, values)
    resources = found["Resources"].items()
    return {"Resources": {name: body for name, body in resources if conditions.get(body.get("Condition"), True)}}


def _store() -> Any:
    return module("services.cloudformation")._change_sets


def _find(parameters: Parameters) -> dict[str, Any] | None:
    name, stack = (parameters.get(key, [""])[0] for key in ("ChangeSetName", "StackName"))
    return module("services.cloudformation.changesets")._find_change_set(name, stack)[1]  # type: ignore[no-any-return]


def _create(original: Handler) -> Handler:
    def create(parameters: Parameters) -> Answer:
        answer = original(parameters)
        if answer[0] == 200 and parameters.get("IncludeNestedStacks") == ["true"]:  # noqa: PLR2004 - the status code
            root = _find(parameters)
            if root is not None and root["ChangeSetType"] == "UPDATE":
                root["_nested"] = dict(_nested(original, parameters, root))
                _merge(root)
        return answer

    return create


def _nested(original: Handler, parameters: Parameters, root: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Create the change sets of the nested stacks that exist, and yield each with the stack's logical id."""
    engine = module("services.cloudformation.engine")
    stack = module("services.cloudformation")._stacks[root["StackName"]]
    template, values = root["_template"], root["_resolved_params"]
    conditions = engine._evaluate_conditions(template, values)
    for name, body in template["Resources"].items():
        known = stack["_resources"].get(name)
        if body["Type"] != NESTED or not known or not conditions.get(body.get("Condition"), True):
            continue
        properties = engine._resolve_refs(
            deepcopy(body["Properties"]), stack["_resources"], values, conditions, template.get("Mappings", {}),
            stack["StackName"], stack["StackId"],
        )  # fmt: skip
        child = module("services.cloudformation.provisioners")._nested_stack_lookup_name(known["PhysicalResourceId"])
        inner = {
            **{key: value for key, value in parameters.items() if key.startswith("Capabilities")},
            "StackName": [child],
            "ChangeSetName": [f"{root['ChangeSetName']}-{name}"],
            "TemplateURL": [properties["TemplateURL"]],
        }
        for number, (key, value) in enumerate(properties.get("Parameters", {}).items(), 1):
            inner[f"Parameters.member.{number}.ParameterKey"] = [key]
            inner[f"Parameters.member.{number}.ParameterValue"] = [str(value)]
        original(inner)
        found = _find(inner)
        if found:
            yield name, found


def _merge(root: dict[str, Any]) -> None:
    """Add the nested change sets to the root's changes."""
    changed = {each["ResourceChange"]["LogicalResourceId"] for each in root["Changes"]}
    for name, found in root["_nested"].items():
        if found["Changes"] and name not in changed:
            change = {"Action": "Modify", "LogicalResourceId": name, "ResourceType": NESTED, "Replacement": "False",
                      "PhysicalResourceId": found["StackId"], "Scope": ["Properties"], "Details": []}  # fmt: skip
            root["Changes"].append({"ResourceChange": change})
    if root["Changes"]:
        root.update(Status="CREATE_COMPLETE", ExecutionStatus="AVAILABLE", StatusReason="")


def _describe(original: Handler) -> Handler:
    def describe(parameters: Parameters) -> Answer:
        status, headers, body = original(parameters)
        text = body.decode() if isinstance(body, bytes) else body
        for name, found in ((_find(parameters) or {}).get("_nested") or {}).items():
            line = f"<LogicalResourceId>{escape(name)}</LogicalResourceId>"
            if found["Changes"]:
                text = text.replace(line, f"{line}<ChangeSetId>{escape(found['ChangeSetId'])}</ChangeSetId>")
        return status, headers, text.encode()

    return describe


def _delete(original: Handler) -> Handler:
    def delete(parameters: Parameters) -> Answer:
        found = _find(parameters) or {}
        answer = original(parameters)
        for nested in (found.get("_nested") or {}).values():
            _store().pop(nested["ChangeSetId"], None)
        return answer

    return delete
