"""A deployed stack: its outputs and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from evenkeel import names
from evenkeel.cli_lines import own_line
from evenkeel.errors import code
from evenkeel_cli.aws import event_sources
from evenkeel_cli.aws.session import Cloud, reaching
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed Evenkeel stack, with the clients of its region."""

    name: str
    cloud: Cloud
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]

    @property
    def region(self) -> str:
        """Return the stack's region."""
        return str(self.cloud("cloudformation").meta.region_name)

    @property
    def queues(self) -> dict[str, str]:
        """Return the URL of each deployed group's queue, by group."""
        return names.queue_urls(self.name, self.groups, self.output("DeadLetterQueueUrl"))

    @property
    def groups(self) -> list[str]:
        """Return the deployed groups."""
        return [group for group in self.output("Groups").split(",") if group]

    def line(self, *words: str, **options: str | bool | tuple[str, ...]) -> str:
        """Return an ``evenkeel`` command for this stack, to be pasted; see :func:`evenkeel.cli_lines.own_line`."""
        return own_line(self.name, self.region, *words, **options)

    def output(self, name: str) -> str:
        """Return an output that every stack has.

        Raises:
            CommandError: it is missing, so the stack is older than this command.
        """
        if name not in self.outputs:
            raise CommandError(
                f"stack {self.name} has no output {name}: it is older than this command", "Deploy the stack again."
            )
        return self.outputs[name]


def find(name: str, region: str | None, what: str) -> Stack:
    """Return a stack; ``what`` describes the action, e.g. ``list the audit records of stack prod``.

    Without a name, it is the only Evenkeel stack in the region.

    Raises:
        CommandError: there is no such stack, it is not an Evenkeel stack, there are several, or AWS refused.
    """
    with reaching(what):
        cloud = Cloud(region)
        name = name or event_sources.only(cloud)
        try:
            described = cloud("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
        except ClientError as error:
            if code(error) != "ValidationError":
                raise
            raise event_sources.no_stack(cloud, name, error) from error
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
    parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in described.get("Parameters", [])}
    if "AuditTableName" not in outputs:
        message = f"stack {name} is not an Evenkeel stack: it has no audit table ({described['StackStatus']})"
        raise CommandError(message, event_sources.suggestion(cloud), Exit.USAGE)
    return Stack(name, cloud, outputs, parameters)
