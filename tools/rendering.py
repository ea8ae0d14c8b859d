"""Renders the template as CloudFormation would: SAM expanded, parameters filled in, conditions evaluated."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from samtranslator.translator.transform import transform

from sandbox.deploy.template import load

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = "template.yaml"
ACCOUNT = "123456789012"
NOTHING = object()
logging.getLogger("samtranslator").setLevel(logging.ERROR)  # it warns that its metrics are not used
NESTED = "AWS::CloudFormation::Stack"

Document = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """A partition and a region in it."""

    partition: str
    region: str
    suffix: str = "amazonaws.com"


PLACES = (
    Place("aws", "eu-west-1"),
    Place("aws-us-gov", "us-gov-west-1"),
    Place("aws-cn", "cn-north-1", "amazonaws.com.cn"),
)


class _NoManagedPolicies:
    """No managed policies: the template uses none, so SAM need not call AWS for their ARNs."""

    def load(self) -> dict[str, str]:
        """Return nothing."""
        return {}


def templates() -> list[str]:
    """Return the paths of the root template and of all nested ones, below the repository."""
    functions = ROOT / "functions"
    nested = [*sorted(functions.glob("system/*.yaml")), *sorted(functions.glob("controls/*/template.yaml"))]
    return [TEMPLATE, *(path.relative_to(ROOT).as_posix() for path in nested)]


def source(path: str = TEMPLATE) -> Document:
    """Return a template as it is written, with intrinsic functions in their long form."""
    return load(ROOT / path)


def expanded(place: Place = PLACES[0], path: str = TEMPLATE) -> Document:
    """Return a template after the SAM transform, in a region. It is shared: change a copy."""
    return _expanded(place, str(ROOT / path))  # the whole path, since tests render other repositories, too


@cache
def _expanded(place: Place, path: str) -> Document:
    template = source(path)
    for body in template["Resources"].values():
        if body["Type"] == "AWS::Serverless::LayerVersion":
            body["Properties"]["ContentUri"] = "s3://bucket/layer.zip"
        elif body["Type"] == "AWS::Serverless::Function":
            body["Properties"]["CodeUri"] = "s3://bucket/functions.zip"
    if "Globals" in template:
        template["Globals"]["Function"].pop("CodeUri", None)
    with mock.patch.dict(os.environ, {"AWS_DEFAULT_REGION": place.region}):
        result: Document = transform(template, {}, _NoManagedPolicies())
    return result


@dataclass
class Stack:
    """A stack as CloudFormation would create it: resources whose condition holds, functions resolved to text.

    A reference to a resource becomes ``<Name>``, an attribute ``<Name.Attribute>``. The resources of nested stacks are
    there, too; of a group's, ``KmsGroup``, its ``Queue`` as ``KmsQueue``.
    """

    place: Place = PLACES[0]
    name: str = "evenkeel"
    parameters: dict[str, str] = field(default_factory=dict)
    path: str = TEMPLATE
    prefix: str = ""
    """Prefix of the logical ids as seen from the root."""

    def __post_init__(self) -> None:
        """Resolve everything once."""
        self._template = expanded(self.place, self.path)
        given = self._template["Parameters"].items()
        defaults = {name: str(body["Default"]) for name, body in given if "Default" in body}
        self._values = (
            defaults
            | self.parameters
            | {
                "AWS::Partition": self.place.partition,
                "AWS::Region": self.place.region,
                "AWS::URLSuffix": self.place.suffix,
                "AWS::AccountId": ACCOUNT,
                "AWS::StackName": self.name,
            }
        )
        self._present = {
            name
            for name, body in self._template["Resources"].items()
            if "Condition" not in body or self.condition(body["Condition"])
        }
        self.resources: dict[str, Document] = {
            self._seen(name): self.resolve(body)
            for name, body in self._template["Resources"].items()
            if name in self._present
        }
        for name, body in list(self.of_type(NESTED).items()):
            values = {key: str(value) for key, value in body["Parameters"].items()}
            start = name.removesuffix("Group") if name.endswith("Group") else ""
            nested = Stack(self.place, f"{self.name}-{name}", values, body["TemplateURL"], start)
            self.resources |= {name: _tagged(each, body["Tags"]) for name, each in nested.resources.items()}
        if not self.prefix:
            self.resources = _with_references(self.resources, self._arns())
        self.outputs: dict[str, Any] = {
            name: self.resolve(body["Value"])
            for name, body in self._template.get("Outputs", {}).items()
            if "Condition" not in body or self.condition(body["Condition"])
        }

    def _arns(self) -> dict[str, str]:
        """Return the logical id of what has a name of its own, by its ARN."""
        where = f"{self.place.region}:{ACCOUNT}"
        forms = {
            "AWS::DynamoDB::Table": ("TableName", f"dynamodb:{where}:table/"),
            "AWS::SQS::Queue": ("QueueName", f"sqs:{where}:"),
            "AWS::Events::Rule": ("Name", f"events:{where}:rule/"),
            "AWS::IAM::Role": ("RoleName", f"iam::{ACCOUNT}:role/evenkeel/"),
        }
        return {
            f"arn:{self.place.partition}:{start}{body['Properties'][key]}": name
            for name, body in self.resources.items()
            for key, start in [forms.get(body["Type"], ("", ""))]
            if key in body.get("Properties", {})
        }

    def _seen(self, name: str) -> str:
        """Return a logical id as seen from the root."""
        return self.prefix + name.removeprefix(self.prefix)

    def of_type(self, *types: str) -> dict[str, Document]:
        """Return the properties of all resources of some types, by logical id."""
        return {name: body.get("Properties", {}) for name, body in self.resources.items() if body["Type"] in types}

    def condition(self, name: str) -> bool:
        """Return whether a condition holds."""
        return bool(self.resolve(self._template["Conditions"][name]))

    def resolve(self, value: Any) -> Any:
        """Return a value with its intrinsic functions resolved."""
        if isinstance(value, list):
            return [member for member in map(self.resolve, value) if member is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            handler = getattr(self, "_" + name.replace("Fn::", "").lower(), None)
            if handler is not None and (name.startswith("Fn::") or name in {"Ref", "Condition"}):
                return handler(argument)
        members = {key: self.resolve(member) for key, member in value.items()}
        return {key: member for key, member in members.items() if member is not NOTHING}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NOTHING
        return self._values[name] if name in self._values else self._reference(name)

    def _reference(self, name: str, attribute: str = "") -> str:
        if name not in self._present:
            raise KeyError(f"{name} is referenced but does not exist in this stack")
        seen = self._seen(name)
        return f"<{seen}.{attribute}>" if attribute else f"<{seen}>"

    def _findinmap(self, argument: list[Any]) -> Any:
        name, first, second = (self.resolve(part) for part in argument)
        return self._template["Mappings"][name][first][second]

    def _condition(self, argument: Any) -> Any:
        return self.condition(argument) if isinstance(argument, str) else {"Condition": self.resolve(argument)}

    def _getatt(self, argument: list[str] | str) -> str:
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else (argument[0], ".".join(argument[1:]))
        return self._reference(name, attribute)

    def _sub(self, argument: Any) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument
        known = {name: str(self.resolve(value)) for name, value in given.items()}

        def replace(found: re.Match[str]) -> str:
            name, _, attribute = found[1].partition(".")
            return known.get(found[1]) or str(self._getatt([name, attribute]) if attribute else self._ref(name))

        return re.sub(r"\$\{([^!}][^}]*)\}", replace, text)

    def _join(self, argument: list[Any]) -> str:
        return str(argument[0]).join(self.resolve(argument[1]))

    def _select(self, argument: list[Any]) -> Any:
        return self.resolve(argument[1])[int(argument[0])]

    def _split(self, argument: list[Any]) -> list[str]:
        return str(self.resolve(argument[1])).split(argument[0])

    def _if(self, argument: list[Any]) -> Any:
        return self.resolve(argument[1] if self.condition(argument[0]) else argument[2])

    def _equals(self, argument: list[Any]) -> bool:
        left, right = (str(self.resolve(side)) for side in argument)
        return left == right

    def _and(self, argument: list[Any]) -> bool:
        return all(self.resolve(side) for side in argument)

    def _not(self, argument: list[Any]) -> bool:
        return not self.resolve(argument[0])

    def _or(self, argument: list[Any]) -> bool:
        return any(self.resolve(side) for side in argument)


def _with_references(value: Any, arns: dict[str, str]) -> Any:
    """Return a value in which ARNs are written as ``<Name.Arn>``, as ``!GetAtt`` would have been."""
    if isinstance(value, dict):
        return {key: _with_references(member, arns) for key, member in value.items()}
    if isinstance(value, list):
        return [_with_references(member, arns) for member in value]
    for arn in sorted(arns, key=len, reverse=True) if isinstance(value, str) and value.startswith("arn:") else ():
        if value == arn or value.startswith(f"{arn}/"):
            return f"<{arns[arn]}.Arn>" + value.removeprefix(arn)
    return value


def _tagged(body: Document, tags: list[Document]) -> Document:
    """Return a resource with the tags that CloudFormation hands down to it from its stack."""
    if "Properties" not in body:
        return body
    own = body["Properties"].get("Tags", [])
    return {**body, "Properties": {**body["Properties"], "Tags": [*own, *tags]}}
