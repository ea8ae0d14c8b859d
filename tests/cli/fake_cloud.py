"""A cloud of event source mappings that change their state as Lambda does: not at once, and not always."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError


def refusal(code: str, operation: str = "Operation") -> ClientError:
    """Return AWS's refusal with a code."""
    return ClientError({"Error": {"Code": code, "Message": f"{code} it is"}}, operation)


@dataclass
class Mapping:
    """An event source mapping; ``looks`` is how many looks a change takes, ``refuses`` are codes to answer first."""

    uuid: str
    source: str
    state: str = "Enabled"
    looks: int = 2
    refuses: list[str] = field(default_factory=list)
    left: int = 0
    wanted: str = ""

    @property
    def group(self) -> str:
        """The group that is fed."""
        return self.source.rpartition(":")[2].lower()

    def described(self) -> dict[str, Any]:
        """Return Lambda's answer; a change under way comes one look nearer."""
        if self.wanted:
            self.left -= 1
            self.state = (
                self.wanted if self.left <= 0 else {"Disabled": "Disabling", "Enabled": "Enabling"}[self.wanted]
            )
        function = f"arn:aws:lambda:eu-west-1:123456789012:function:{self.group}"
        return {"UUID": self.uuid, "EventSourceArn": self.source, "FunctionArn": function, "State": self.state}

    def change(self, *, enabled: bool) -> dict[str, Any]:
        """Begin a change, or refuse it."""
        if self.refuses:
            raise refusal(self.refuses.pop(0), "UpdateEventSourceMapping")
        self.wanted, self.left = ("Enabled" if enabled else "Disabled"), self.looks
        return self.described()


class FakeCloud:
    """CloudFormation, Lambda and SQS of one stack, with the few calls that pause and resume make."""

    def __init__(self, *mappings: Mapping) -> None:
        """Keep the stack's mappings."""
        self.mappings = {each.uuid: each for each in mappings}
        self.meta = SimpleNamespace(region_name="eu-west-1")

    def __call__(self, service: str) -> Any:
        """Return itself: one object plays all services."""
        return self

    def get_paginator(self, operation: str) -> Any:
        """Return what pages a listing."""
        return SimpleNamespace(paginate=getattr(self, operation))

    def describe_stacks(self, *, StackName: str = "") -> Any:  # noqa: N803 - boto3's names
        """Return one stack, or pages of the account's stacks, of which one is Evenkeel's."""
        if StackName == "gone":
            message = "Stack with id gone does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        if StackName:
            groups = [each.group for each in self.mappings.values() if ":sqs:" in each.source]
            outputs = [{"OutputKey": "Groups", "OutputValue": ",".join(groups)}]
            return {"Stacks": [{"StackName": StackName, "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}]}
        ours = {"StackName": "evenkeel-prod", "Description": "Evenkeel: repairs misconfigured AWS resources"}
        return [{"Stacks": [{"StackName": "shop"}, ours]}]

    def list_event_source_mappings(self, *, FunctionName: str) -> list[dict[str, Any]]:  # noqa: N803 - as above
        """Return a function's mappings, one a page."""
        found = [each for each in self.mappings.values() if FunctionName.endswith(f"-{each.group}")]
        return [{"EventSourceMappings": [each.described()]} for each in found]

    def get_event_source_mapping(self, *, UUID: str) -> dict[str, Any]:  # noqa: N803 - as above
        """Look at a mapping."""
        return self.mappings[UUID].described()

    def update_event_source_mapping(self, *, UUID: str, Enabled: bool) -> dict[str, Any]:  # noqa: N803 - as above
        """Switch a mapping."""
        return self.mappings[UUID].change(enabled=Enabled)
