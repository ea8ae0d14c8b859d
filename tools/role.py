"""A role and its policies: inline as far as IAM allows, and customer managed beyond that.

A second inline policy would not help: IAM counts all inline policies of a role together (IAM user guide, "IAM and STS
quotas").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evenkeel import names
from tools.aws_quotas import INLINE_POLICIES, MANAGED_POLICY, characters
from tools.cfn import Fn, plain, ref

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.statements import Statement


@dataclass(frozen=True, slots=True)
class Role:
    """A role of a group's template."""

    logical_id: str
    name: str
    """As the text of a ``!Sub``."""
    description: str
    trust: Statement
    policy: str
    statements: Sequence[Statement]
    condition: str = ""

    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the role, after the managed policies that it needs."""
        inline, *more = split(self.statements)
        managed = {f"{self.logical_id}Policy{number}": part for number, part in enumerate(more, start=2)}
        properties = {
            "RoleName": Fn("Sub", self.name),
            "Path": names.ROLE_PATH,
            "Description": self.description,
            "AssumeRolePolicyDocument": _document([self.trust]),
            "Policies": [{"PolicyName": self.policy, "PolicyDocument": _document(inline)}],
        }
        if managed:
            properties["ManagedPolicyArns"] = [ref(logical_id) for logical_id in managed]
        policies = {
            logical_id: self._resource("AWS::IAM::ManagedPolicy", self._managed(number, part))
            for number, (logical_id, part) in enumerate(managed.items(), start=2)
        }
        return {**policies, self.logical_id: self._resource("AWS::IAM::Role", properties)}

    def _managed(self, number: int, statements: list[Statement]) -> dict[str, Any]:
        return {
            "ManagedPolicyName": Fn("Sub", f"{self.name}-{number}"),
            "Path": names.ROLE_PATH,
            "Description": f"{self.description} (part {number})",
            "PolicyDocument": _document(statements),
        }

    def _resource(self, kind: str, properties: dict[str, Any]) -> dict[str, Any]:
        condition = {"Condition": self.condition} if self.condition else {}
        return {"Type": kind, **condition, "Properties": properties}


def split(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    """Yield the statements of the inline policy, then those of each managed policy, each as full as IAM allows."""
    limit, part = INLINE_POLICIES, list[Any]()
    for statement in statements:
        if part and characters(plain(_document([*part, statement]))) > limit.allowed:
            yield part
            limit, part = MANAGED_POLICY, []
        part.append(statement)
    yield part


def _document(statements: Sequence[Statement]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}
