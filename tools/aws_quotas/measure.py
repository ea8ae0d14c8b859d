"""The AWS quotas that apply to the stack, and how much of each it uses.

Sizes are those of the longest names: of a stack, a region, a partition, and of what a reference resolves to.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evenkeel.events.eventbridge import MAX_PATTERN_CHARACTERS
from evenkeel.names import STACK_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Document = Mapping[str, Any]

_CFN = "CloudFormation user guide, quotas"
_IAM = "IAM user guide, IAM and STS quotas"
_EVENTS = "EventBridge user guide, quotas"


@dataclass(frozen=True, slots=True)
class Limit:
    """An AWS quota, and the share of it that Evenkeel may use."""

    name: str
    most: int
    share: float
    source: str

    @property
    def allowed(self) -> int:
        """Return the most that Evenkeel may use."""
        return int(self.most * self.share)


RESOURCES = Limit("resources of a template", 500, 0.7, _CFN)
TREE = Limit("resources of all nested stacks in one operation", 2_500, 0.7, _CFN)
BYTES = Limit("bytes of a template", 1_000_000, 0.7, f"{_CFN}: 1 MB in S3")
OUTPUTS = Limit("outputs of a template", 200, 0.7, _CFN)
PARAMETERS = Limit("parameters of a template", 200, 0.7, _CFN)
PARAMETER_VALUE = Limit("bytes of a parameter's value", 4_096, 0.7, _CFN)
VARIABLES = Limit("bytes of a function's variables", 4_096, 0.7, "Lambda developer guide, quotas")
RULES = Limit("rules of the default bus", 300, 0.4, f"{_EVENTS}: 300, or 100 in af-south-1 and eu-south-1; adjustable")
WILDCARDS = Limit("rules with a wildcard", 30, 0.7, f"{_EVENTS}; not adjustable")
PATTERN = Limit("characters of a pattern", MAX_PATTERN_CHARACTERS, 0.95, _EVENTS)
INLINE_POLICIES = Limit("characters of a role's inline policies", 10_240, 0.95, f"{_IAM}; white space is not counted")
MANAGED_POLICY = Limit("characters of a managed policy", 6_144, 0.95, f"{_IAM}; white space is not counted")
MANAGED_POLICIES = Limit("managed policies of a role", 10, 0.7, f"{_IAM}; adjustable")
TRUST_POLICY = Limit("characters of a role's trust policy", 2_048, 0.7, _IAM)
ROLES = Limit("roles of an account", 1_000, 0.7, f"{_IAM}; adjustable; each region's stack has its own")


@dataclass(frozen=True, slots=True)
class Measure:
    """How much of a quota one part uses."""

    limit: Limit
    where: str
    value: int

    @property
    def exceeded(self) -> bool:
        """Return whether it is more than Evenkeel may use."""
        return self.value > self.limit.allowed

    def __str__(self) -> str:
        """Return part, quota, usage and source in one line."""
        used = f"{self.value:,} of {self.limit.most:,}, {self.value / self.limit.most:.0%}"
        return f"{self.where}: {self.limit.name}: {used} (at most {self.limit.share:.0%}); {self.limit.source}"


def measured(root: Document, groups: Mapping[str, Document]) -> list[Measure]:
    """Return the measures of a root template and its groups' nested ones, in long form, every condition true."""
    templates = {"root": root, **groups}
    ids = {name: _ID for name, body in root["Resources"].items() if body["Type"].startswith("AWS::AppConfig::")}
    own = {name: _size(body) for name, body in root.get("Parameters", {}).items()} | ids
    stacks = [body["Properties"]["Parameters"] for body in root["Resources"].values() if body["Type"] in _NESTED]
    handed = {name: longest(value, own) for parameters in stacks for name, value in parameters.items()}
    whole = [resource for template in templates.values() for resource in template["Resources"].values()]
    rules = [each["Properties"].get("EventPattern", {}) for each in whole if each["Type"] == "AWS::Events::Rule"]
    found = [each for where, template in templates.items() for each in _of_template(where, template, {**handed, **own})]
    return [
        *found,
        Measure(TREE, "stack", len(whole)),
        Measure(RULES, "stack", len(rules)),
        Measure(WILDCARDS, "stack", sum('"wildcard"' in json.dumps(pattern) for pattern in rules)),
        Measure(ROLES, "stack", sum(each["Type"] == "AWS::IAM::Role" for each in whole)),
    ]


def worst(measures: Iterable[Measure]) -> list[Measure]:
    """Return the largest measure of each limit, and of the root's separately."""
    found: dict[tuple[str, bool], Measure] = {}
    for each in measures:
        key = (each.limit.name, each.where == "root")
        if key not in found or each.value > found[key].value:
            found[key] = each
    return list(found.values())


def _of_template(where: str, template: Document, known: Mapping[str, int]) -> Iterator[Measure]:
    yield Measure(RESOURCES, where, len(template["Resources"]))
    yield Measure(BYTES, where, len(json.dumps(template).encode()))
    yield Measure(OUTPUTS, where, len(template.get("Outputs", {})))
    yield Measure(PARAMETERS, where, len(template.get("Parameters", {})))
    shared = template.get("Globals", {}).get("Function", {}).get("Environment", {}).get("Variables", {})
    for name, body in template["Resources"].items():
        yield from _of_resource(f"{where} {name}", body["Type"], body.get("Properties", {}), known, shared)


def _size(parameter: Document) -> int:
    """Return how many characters a parameter's value may have; 0 where nothing says so."""
    ends = [str(value) for value in (*parameter.get("AllowedValues", ()), parameter.get("MaxValue", ""))]
    return int(parameter.get("MaxLength", 0)) or max(map(len, ends))


def _of_resource(
    where: str, kind: str, properties: Document, known: Mapping[str, int], shared: Document
) -> Iterator[Measure]:
    if kind in _NESTED:
        values = properties.get("Parameters", {}).values()
        yield Measure(PARAMETER_VALUE, where, max((longest(value, known) for value in values), default=0))
    elif kind in {"AWS::Serverless::Function", "AWS::Lambda::Function"}:
        variables = {**shared, **properties.get("Environment", {}).get("Variables", {})}
        yield Measure(VARIABLES, where, sum(len(name) + longest(value, known) for name, value in variables.items()))
    elif kind == "AWS::Events::Rule" and "EventPattern" in properties:
        yield Measure(PATTERN, where, characters(properties["EventPattern"]))
    elif kind == "AWS::IAM::Role":
        inline = properties.get("Policies", [])
        yield Measure(INLINE_POLICIES, where, sum(characters(policy["PolicyDocument"]) for policy in inline))
        yield Measure(MANAGED_POLICIES, where, len(properties.get("ManagedPolicyArns", [])))
        yield Measure(TRUST_POLICY, where, characters(properties["AssumeRolePolicyDocument"]))
    elif kind == "AWS::IAM::ManagedPolicy":
        yield Measure(MANAGED_POLICY, where, characters(properties["PolicyDocument"]))


_NESTED = frozenset({"AWS::Serverless::Application", "AWS::CloudFormation::Stack"})
_LONGEST = {
    "AWS::Partition": len("aws-us-gov"),
    "AWS::Region": len("ap-southeast-1"),
    "AWS::AccountId": 12,
    "AWS::URLSuffix": len("amazonaws.com.cn"),
    "AWS::StackName": STACK_CHARACTERS,
    "AWS::NoValue": 0,
    "Stack": STACK_CHARACTERS,
}
_ID = 7  # characters of AppConfig's ids (AppConfig API reference, Application, ``Id``)
_REFERENCE = 150  # characters of an ARN or a queue's URL: 80 of its name, and what is before that


def characters(document: Any) -> int:
    """Return the size of a document in long form as compact JSON, as long as its functions can make it."""
    return len(json.dumps(_filled(document), separators=(",", ":")))


def _filled(value: Any) -> Any:
    """Return the value with an ``x`` for each character that a function can resolve to."""
    if isinstance(value, list):
        return [_filled(member) for member in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (next(iter(value)) == "Ref" or next(iter(value)).startswith("Fn::")):
        return "x" * longest(value)
    return {key: _filled(member) for key, member in value.items()}


def longest(value: Any, known: Mapping[str, int] | None = None) -> int:
    """Return how many characters a text can have; ``known`` has those of parameters, 0 where they are not declared."""
    if not isinstance(value, dict):
        return len(str(value))
    ((function, argument),) = value.items()
    if function == "Fn::Join":
        members = [longest(member, known) for member in argument[1]] if isinstance(argument[1], list) else []
        return sum(members) + len(argument[0]) * max(len(members) - 1, 0)
    if function == "Fn::If":
        return max(longest(side, known) for side in argument[1:])
    if function == "Fn::Select":
        number, among = argument
        return longest(among[int(number)], known) if isinstance(among, list) else _REFERENCE
    if function == "Fn::Sub":
        text, given = argument if isinstance(argument, list) else (argument, {})
        sizes = {name: longest(each, known) for name, each in given.items()}
        names = re.findall(r"\$\{([^!}][^}]*)\}", text)
        return len(re.sub(r"\$\{[^!}][^}]*\}", "", text)) + sum(
            sizes.get(name) or _referred(name, known) for name in names
        )
    return _referred(argument, known) if function == "Ref" else _REFERENCE


def _referred(name: str, known: Mapping[str, int] | None) -> int:
    return _LONGEST[name] if name in _LONGEST else (known or {}).get(name) or _REFERENCE
