"""The event sources of a stack's remediators, which `evenkeel pause` disables."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel import names
from evenkeel.errors import DENIED_CODES, code
from evenkeel_cli.aws.session import reaching
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel_cli.aws.session import Cloud

DESCRIPTION_START = "Evenkeel"
"""Prefix of the template's description, by which Evenkeel's stacks are recognized."""
POLL_SECONDS = 0.5
_BUSY = frozenset({"ResourceInUseException", "ResourceConflictException"})
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True)
class Source:
    """One event source mapping that feeds a remediator from its queue."""

    uuid: str
    function: str
    """Name of the function."""
    queue: str
    """Name of the queue."""
    before: str
    """Lambda's state of the mapping when the command began: ``Enabled``, ``Disabled``, ``Enabling``, …"""
    state: str
    """Its state when last read."""
    waiting: int | None = None
    """Number of messages in the queue; None if they could not be counted."""
    keeps_days: int | None = None
    """Days that the queue keeps a message; None as above."""
    trouble: str = ""
    """Why the mapping could not be changed; empty if it could."""


def find(cloud: Cloud, stack: str) -> list[Source]:
    """Return the sources of a stack's remediators, by function.

    The notifier is not among them: its source is the audit table's stream, and it keeps sending alerts.

    Raises:
        CommandError: there is no such stack, it is not an Evenkeel stack, or AWS refused.
    """
    with reaching(f"describe stack {stack}"):
        try:
            described = cloud("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        except ClientError as error:
            if code(error) != "ValidationError":
                raise
            raise no_stack(cloud, stack, error) from error
        outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
        groups = [group for group in outputs.get("Groups", "").split(",") if group]
        if not groups:
            message = f"stack {stack} has no remediators ({described['StackStatus']})"
            raise CommandError(message, suggestion(cloud), Exit.USAGE)
        pages = cloud("lambda").get_paginator("list_event_source_mappings")
        return [
            _source(each)
            for group in sorted(groups)
            for page in pages.paginate(FunctionName=names.function(stack, group))
            for each in page["EventSourceMappings"]
        ]


def _source(described: dict[str, Any]) -> Source:
    state = str(described["State"])
    return Source(
        uuid=str(described["UUID"]),
        function=str(described["FunctionArn"]).split(":function:")[-1],
        queue=str(described["EventSourceArn"]).rpartition(":")[2],
        before=state,
        state=state,
    )


def no_stack(cloud: Cloud, stack: str, error: ClientError) -> CommandError:
    """Return the error for a name that CloudFormation refuses."""
    message = str(error.response["Error"].get("Message", ""))
    if "does not exist" not in message:
        return CommandError(f"stack {stack}: {message}", "Give the name of the stack, e.g. evenkeel-prod.", Exit.USAGE)
    region = cloud("cloudformation").meta.region_name
    return CommandError(f"there is no stack {stack} in {region}", suggestion(cloud), Exit.USAGE)


def only(cloud: Cloud) -> str:
    """Return the name of the only Evenkeel stack in the region.

    Raises:
        CommandError: there is none, or there are several.
        ClientError: the caller may not list stacks.
    """
    try:
        names = _names(cloud)
    except ClientError as error:
        if code(error) not in DENIED_CODES:
            raise
        raise CommandError(
            "no stack is given, and you are not allowed to list stacks",
            "Give --stack, or set EVENKEEL_STACK.",
            Exit.USAGE,
        ) from error
    if len(names) == 1:
        return names[0]
    region = cloud("cloudformation").meta.region_name
    if not names:
        message = f"no stack is given, and there is no Evenkeel stack in {region}"
        raise CommandError(message, "Give --region, or --stack.", Exit.USAGE)
    message = f"no stack is given, and {region} has {len(names)} Evenkeel stacks: {', '.join(names)}"
    raise CommandError(message, f"Give one: --stack {names[0]}", Exit.USAGE)


def _names(cloud: Cloud) -> list[str]:
    """Return the names of the Evenkeel stacks in the region, without nested ones."""
    pages = cloud("cloudformation").get_paginator("describe_stacks").paginate()
    found = [each for page in pages for each in page["Stacks"] if not each.get("ParentId")]
    return sorted(each["StackName"] for each in found if each.get("Description", "").startswith(DESCRIPTION_START))


def suggestion(cloud: Cloud) -> str:
    """Return a sentence with the names of the stacks that could be meant."""
    try:
        names = _names(cloud)
    except ClientError:
        # A hint only: without the permission to list stacks, the error is still reported.
        names = []
    if names:
        return f"Evenkeel stacks here: {', '.join(names)}."
    return "Check the stack's name, the account and the region (--region, AWS_REGION, AWS_PROFILE)."


def switch(cloud: Cloud, found: list[Source], *, enabled: bool, seconds: float,
           tick: Callable[[list[Source]], None] = lambda _: None) -> list[Source]:  # fmt: skip
    """Enable or disable all sources and wait until Lambda reports them done; ``tick`` is called with every read.

    All sources are requested before any is waited for, and a refusal does not stop the others. A source that is not
    done after ``seconds`` has a ``trouble``.
    """
    wanted = "Enabled" if enabled else "Disabled"
    deadline = time.monotonic() + seconds
    asked: set[str] = set()
    sources = list(found)
    while True:
        sources = [_step(cloud, each, wanted, asked) for each in sources]
        tick(sources)
        if all(each.trouble or each.state == wanted for each in sources):
            return sources
        if time.monotonic() > deadline:
            late = f"still {{}} after {seconds:.0f} s"
            return [
                each if each.trouble or each.state == wanted else replace(each, trouble=late.format(each.state))
                for each in sources
            ]
        time.sleep(POLL_SECONDS)


def _step(cloud: Cloud, source: Source, wanted: str, asked: set[str]) -> Source:
    """Request the change once, then read its state; return the source."""
    if source.trouble or (source.state == wanted and source.uuid in asked):
        return source
    client = cloud("lambda")
    try:
        if source.uuid in asked:
            return replace(source, state=str(client.get_event_source_mapping(UUID=source.uuid)["State"]))
        # Requested even if the state is right: the mapping may be changing to the other one.
        answer = client.update_event_source_mapping(UUID=source.uuid, Enabled=wanted == "Enabled")
    except ClientError as error:
        if code(error) in _BUSY:
            return source  # Lambda is still busy with an earlier change: requested again at the next read
        return replace(source, trouble=f"{code(error)}: {error.response['Error'].get('Message', '')}")
    except BotoCoreError as error:
        return replace(source, trouble=f"no answer from AWS: {error}")
    asked.add(source.uuid)
    return replace(source, state=str(answer["State"]))


def count(cloud: Cloud, source: Source) -> Source:
    """Return the source with the number of messages in its queue, if the caller may read it."""
    client = cloud("sqs")
    try:
        url = client.get_queue_url(QueueName=source.queue)["QueueUrl"]
        names = [*_COUNTS, "MessageRetentionPeriod"]
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    except ClientError:
        # The count is optional; a pause in an emergency must not depend on the permission for it.
        return source
    waiting = sum(int(attributes.get(name, 0)) for name in _COUNTS)
    return replace(source, waiting=waiting, keeps_days=int(attributes["MessageRetentionPeriod"]) // 86400)
