"""Creates, reads and deletes a change set of a stack and its nested stacks.

The API is CloudFormation's (API reference, CreateChangeSet, DescribeChangeSet, DeleteChangeSet): a root change set with
``IncludeNestedStacks`` names, in each nested stack's ``ResourceChange``, the change set of that stack.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, WaiterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NESTED = "AWS::CloudFormation::Stack"
DELAY_SECONDS = 2.0
PERMISSIONS = frozenset({"AWS::Lambda::Permission", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"})
"""Types that grant permissions, besides IAM's; other types have a property for it (``_POLICIES``)."""
HOLDERS = frozenset({
    "AWS::AppConfig::Application", "AWS::AppConfig::ConfigurationProfile", "AWS::AppConfig::Environment",
    "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::SNS::Topic", "AWS::SQS::Queue",
})  # fmt: skip
"""Types that hold data, or whose ids are used elsewhere: replacing or removing one is a loss."""
_POLICIES = frozenset({"KeyPolicy", "ResourcePolicy"})
_NOTHING = ("didn't contain changes", "No updates are to be performed")
"""CloudFormation's reasons for an empty change set, whose status is FAILED."""
_REVIEW = "REVIEW_IN_PROGRESS"
"""The status of a stack that has only change sets."""
_CHANGE_SET = re.compile(r"arn:\S+:changeSet/[-\w/]+")


class RefusedError(RuntimeError):
    """CloudFormation did not create the change set; the message has its reason and what to do."""


@dataclass(frozen=True)
class Property:
    """A property that changes; values are present if CloudFormation knows them in advance."""

    name: str
    path: str = ""
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True)
class Change:
    """The change of one resource."""

    stack: str
    """Logical id of the nested stack, or empty in the root."""
    action: str
    """Add, Modify, Remove, Import or Dynamic (it depends on values that are not known yet)."""
    logical_id: str
    resource_type: str
    physical_id: str = ""
    replacement: str = "False"
    """True, False or Conditional."""
    properties: tuple[Property, ...] = ()
    hooks: int = 0
    """Number of CloudFormation Hooks that will check it."""

    @property
    def grants(self) -> bool:
        """Return whether it changes permissions."""
        named = {each.name for each in self.properties}
        return (
            self.resource_type.startswith("AWS::IAM::")
            or self.resource_type in PERMISSIONS
            or (self.action == "Modify" and bool(named & _POLICIES))
        )

    @property
    def ends(self) -> bool:
        """Return whether the existing resource may be deleted."""
        return self.action in {"Remove", "Dynamic"} or self.replacement != "False"

    @property
    def loses(self) -> bool:
        """Return whether data, or an id that is used elsewhere, would be lost."""
        return self.resource_type in HOLDERS and (self.action == "Remove" or self.replacement == "True")

    @property
    def rank(self) -> tuple[bool, bool, bool, str, str]:
        """Return the sort key: permissions first, then deletions, then the rest; nested stacks themselves last."""
        return (not self.grants, not self.ends, self.resource_type == NESTED, self.stack, self.logical_id)


@dataclass(frozen=True)
class Wanted:
    """The arguments that ``sam deploy`` would give CloudFormation."""

    stack: str
    template_url: str
    parameters: Mapping[str, str]
    """The given values; other parameters keep theirs, or get the template's default in a new stack."""
    names: Sequence[str]
    """All parameters of the template."""
    capabilities: Sequence[str]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class ChangeSet:
    """A created change set."""

    identifier: str
    stack_id: str
    creates: bool
    """True if the stack does not exist yet."""
    made_stack: bool = False
    """True if an empty stack was created for this change set."""
    changes: tuple[Change, ...] = ()

    @property
    def asked(self) -> dict[str, str]:
        """Return the parameters that identify it in requests, with the stack's ARN, which policies name."""
        return {"ChangeSetName": self.identifier, "StackName": self.stack_id}


def status(client: Any, stack: str) -> str:
    """Return a stack's status; empty if it does not exist."""
    try:
        return str(client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
    except ClientError as error:
        if "does not exist" in str(error):
            return ""
        raise


def make(client: Any, wanted: Wanted, seconds: float = 600.0) -> ChangeSet:
    """Create the change set of a stack and its nested stacks, wait for it, and return it.

    Raises:
        RefusedError: CloudFormation refuses, or takes too long; nothing is left behind.
    """
    found = status(client, wanted.stack)
    if found == "ROLLBACK_COMPLETE":
        raise RefusedError(f"{wanted.stack} is left over from a failed creation; delete it, then create it again")
    creates = found in {"", _REVIEW}
    known = set() if creates else _parameters(client, wanted.stack)
    try:
        answer = client.create_change_set(
            StackName=wanted.stack,
            ChangeSetName=f"changes-{time.time_ns()}",
            ChangeSetType="CREATE" if creates else "UPDATE",
            TemplateURL=wanted.template_url,
            IncludeNestedStacks=True,
            Parameters=list(_given(wanted, known)),
            Capabilities=list(wanted.capabilities),
            Tags=[{"Key": key, "Value": value} for key, value in wanted.tags.items()],
        )
    except ClientError as error:
        raise RefusedError(str(error)) from error
    made = ChangeSet(answer["Id"], answer["StackId"], creates, made_stack=not found)
    try:
        changes = list(_changes(client, made.asked)) if _has_changes(client, made, seconds) else []
        return replace(made, changes=tuple(sorted(changes, key=lambda each: each.rank)))
    except BaseException:  # also after Ctrl-C: nothing may be left behind
        with suppress(client.exceptions.InvalidChangeSetStatusException):  # still being created: the error names it
            delete(client, made)
        raise


def _parameters(client: Any, stack: str) -> set[str]:
    return {each["ParameterKey"] for each in client.describe_stacks(StackName=stack)["Stacks"][0].get("Parameters", [])}


def _given(wanted: Wanted, known: set[str]) -> Iterator[dict[str, Any]]:
    """Yield parameters as ``sam deploy`` does: those that are not given keep their value."""
    for name in wanted.names:
        if name in wanted.parameters:
            yield {"ParameterKey": name, "ParameterValue": wanted.parameters[name]}
        elif name in known:
            yield {"ParameterKey": name, "UsePreviousValue": True}


def _has_changes(client: Any, made: ChangeSet, seconds: float) -> bool:
    """Wait until the change set is created; return whether it has changes."""
    waiter = client.get_waiter("change_set_create_complete")
    rounds = {"Delay": DELAY_SECONDS, "MaxAttempts": max(1, int(seconds / DELAY_SECONDS))}
    try:
        waiter.wait(**made.asked, WaiterConfig=rounds)
    except WaiterError as error:
        answer = error.last_response
        if any(words in answer.get("StatusReason", "") for words in _NOTHING):
            return False
        if answer.get("Status") == "FAILED":
            raise RefusedError(_reason(client, **made.asked)) from error
        if "Error" in answer:
            raise RefusedError(answer["Error"]["Message"]) from error
        raise RefusedError(f"{made.identifier} was not created within {seconds:.0f} s; delete it by hand") from error
    return True


def _reason(client: Any, **asked: str) -> str:
    """Return why a change set failed; if the root's reason only names a nested change set, return that one's."""
    text = client.describe_change_set(**asked).get("StatusReason", "no reason given")
    return "\n".join([text, *(_reason(client, ChangeSetName=nested) for nested in _CHANGE_SET.findall(text))])


def _changes(client: Any, asked: Mapping[str, str], stack: str = "") -> Iterator[Change]:
    """Yield the changes of a stack, then those of each stack nested in it."""
    pages = client.get_paginator("describe_change_set").paginate(**asked, IncludePropertyValues=True)
    for each in (change for page in pages for change in page.get("Changes", [])):
        found = each["ResourceChange"]
        change = Change(
            stack,
            found["Action"],
            found["LogicalResourceId"],
            found["ResourceType"],
            found.get("PhysicalResourceId", ""),
            found.get("Replacement", "False"),
            tuple(_properties(found.get("Details", []))),
            each.get("HookInvocationCount", 0),
        )
        yield change
        if "ChangeSetId" in found:
            nested = {"ChangeSetName": found["ChangeSetId"]}
            if change.physical_id:
                nested["StackName"] = change.physical_id
            yield from _changes(client, nested, change.logical_id)
        elif change.resource_type == NESTED and change.action == "Remove":
            yield from _removed(client, change)


def _properties(details: Sequence[Mapping[str, Any]]) -> Iterator[Property]:
    """Yield the properties that change, each once, however many references cause it."""
    seen = set()
    for detail in details:
        target = detail["Target"]
        name = target.get("Name") or target["Attribute"]
        part = Property(name, target.get("Path", ""), target.get("BeforeValue"), target.get("AfterValue"))
        if part not in seen:
            yield part
        seen.add(part)


def _removed(client: Any, nested: Change) -> Iterator[Change]:
    """Yield the resources of a nested stack that is removed, which has no change set of its own."""
    for page in client.get_paginator("list_stack_resources").paginate(StackName=nested.physical_id):
        for each in page["StackResourceSummaries"]:
            yield Change(
                nested.logical_id,
                "Remove",
                each["LogicalResourceId"],
                each["ResourceType"],
                each.get("PhysicalResourceId", ""),
            )


def delete(client: Any, made: ChangeSet) -> None:
    """Delete a change set with its nested ones, and the empty stack that was created for it.

    The change sets of nested stacks, and nested stacks created for them, are deleted with the root's (CloudFormation
    user guide, "Delete a change set"); a root stack that did not exist stays in REVIEW_IN_PROGRESS.
    """
    client.delete_change_set(**made.asked)
    if made.made_stack:
        client.delete_stack(StackName=made.stack_id)
