"""Limits of AWS that a generated block must keep."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel.names import STACK_CHARACTERS
from evenkeel.patterns import MAX_PATTERN_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_INLINE_CHARACTERS = 10_240
"""All inline policies of a role together, white space aside (IAM user guide, "IAM and STS quotas")."""
MAX_STACK_RESOURCES = 500
"""Resources of a stack (CloudFormation user guide, "quotas")."""
MAX_WILDCARD_RULES = 30
"""Rules of a bus whose pattern contains a wildcard (EventBridge user guide, "quotas"; not adjustable)."""
_LONGEST = {
    "${AWS::Partition}": "aws-us-gov",
    "${AWS::Region}": "ap-southeast-2",
    "${AWS::AccountId}": "123456789012",
    "${AWS::URLSuffix}": "amazonaws.com.cn",
    "${AWS::StackName}": "x" * STACK_CHARACTERS,
    "${Stack}": "x" * STACK_CHARACTERS,
}
_ARN_CHARACTERS = 120  # of what !GetAtt and !Ref stand for


def exceeded(resources: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which limit the generated resources exceed and what to do about it."""
    wildcards = 0
    for name, body in resources.items():
        if body["Type"] == "AWS::Events::Rule":
            size = characters(body["Properties"]["EventPattern"])
            wildcards += '"wildcard"' in json.dumps(body["Properties"]["EventPattern"], default=str)
            if size > MAX_PATTERN_CHARACTERS:
                yield f"{name}: pattern of {size} characters, EventBridge takes {MAX_PATTERN_CHARACTERS}; split it"
        if body["Type"] == "AWS::IAM::Role":
            size = sum(characters(policy["PolicyDocument"]) for policy in body["Properties"]["Policies"])
            if size > MAX_INLINE_CHARACTERS:
                yield f"{name}: {size} characters of inline policy, IAM takes {MAX_INLINE_CHARACTERS}; split the group"
    if wildcards > MAX_WILDCARD_RULES:
        yield f"{wildcards} rules with a wildcard, a bus takes {MAX_WILDCARD_RULES}; use prefixes"
    if len(resources) > MAX_STACK_RESOURCES:
        yield f"{len(resources)} generated resources, a stack takes {MAX_STACK_RESOURCES}; split the stack"


def characters(document: Any) -> int:
    """Return the document's size as compact JSON with the longest values that pseudo parameters take."""
    text = json.dumps(document, default=_as_long_as_can_be, separators=(",", ":"))
    for pseudo, value in _LONGEST.items():
        text = text.replace(pseudo, value)
    return len(text)


def _as_long_as_can_be(value: Any) -> str:
    """Stand in for an intrinsic function: a substituted text is itself, any other is as long as an ARN."""
    if getattr(value, "name", "") == "Sub" and isinstance(value.value, str):
        return str(value.value)
    return "*" if hasattr(value, "reason") else "x" * _ARN_CHARACTERS
