"""The event sources of a stack's remediators: what has to stop when all acting has to stop."""

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
"""How the description of Evenkeel's template begins; by it the stacks of an account are recognised."""
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
    """Name of the function that is fed."""
    queue: str
    """Name of the queue it is fed from."""
    before: str
    """Lambda's state of the mapping when the command began: ``Enabled``, ``Disabled``, ``Enabling``, …"""
    state: str
    """The state it was last seen in."""
    waiting: int | None = None
    """Messages in the queue; None where they could not be counted."""
    keeps_days: int | None = None
    """How many days the queue keeps a message; None as above."""
    trouble: str = ""
    """Why the mapping could not be changed; empty when it could."""


def find(cloud: Cloud, stack: str) -> list[Source]:
    """Return the sources of a stack's remediators, by function.

    The notifier, fed by the audit table's stream, is none: it goes on telling people.

    Raises:
        CommandError: there is no such stack, it is none of Evenkeel's, or AWS refused.
    """
    with reaching(f"look at stack {stack}"):
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
    """Return the name of the only stack of Evenkeel's in the region.

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
            "no stack is named, and AWS does not let you list them", "Give --stack, or set EVENKEEL_STACK.", Exit.USAGE
        ) from error
    if len(names) == 1:
        return names[0]
    region = cloud("cloudformation").meta.region_name
    if not names:
        message = f"no stack is named, and there is no Evenkeel stack in {region}"
        raise CommandError(message, "Give --region, or --stack.", Exit.USAGE)
    message = f"which stack? {region} has {len(names)} Evenkeel stacks: {', '.join(names)}"
    raise CommandError(message, f"Give one: --stack {names[0]}", Exit.USAGE)


def _names(cloud: Cloud) -> list[str]:
    """Return the names of Evenkeel's stacks in the region; one inside another is none of them."""
    pages = cloud("cloudformation").get_paginator("describe_stacks").paginate()
    found = [each for page in pages for each in page["Stacks"] if not each.get("ParentId")]
    return sorted(each["StackName"] for each in found if each.get("Description", "").startswith(DESCRIPTION_START))


def suggestion(cloud: Cloud) -> str:
    """Return a sentence that names the stacks that could be meant."""
    try:
        names = _names(cloud)
    except ClientError:
        # A hint only: who may not list stacks is still told what is wrong.
        names = []
    if names:
        return f"Evenkeel stacks here: {', '.join(names)}."
    return "Check the stack's name, the account and the region (--region, AWS_REGION, AWS_PROFILE)."


def switch(cloud: Cloud, found: list[Source], *, enabled: bool, seconds: float,
           tick: Callable[[list[Source]], None] = lambda _: None) -> list[Source]:  # fmt: skip
    """Enable or disable all sources and wait until Lambda says that it is done; ``tick`` sees every look.

    Every source is asked before any is waited for, and one that is refused keeps no other from being asked. What is
    not done after ``seconds`` carries its ``trouble``.
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
    """Ask for the change once, then look how far it is."""
    if source.trouble or (source.state == wanted and source.uuid in asked):
        return source
    client = cloud("lambda")
    try:
        if source.uuid in asked:
            return replace(source, state=str(client.get_event_source_mapping(UUID=source.uuid)["State"]))
        # Asked for even where the state is right: a mapping may be on its way to the other one.
        answer = client.update_event_source_mapping(UUID=source.uuid, Enabled=wanted == "Enabled")
    except ClientError as error:
        if code(error) in _BUSY:
            return source  # Lambda is still busy with an earlier change: asked again at the next look
        return replace(source, trouble=f"{code(error)}: {error.response['Error'].get('Message', '')}")
    except BotoCoreError as error:
        return replace(source, trouble=f"no answer from AWS: {error}")
    asked.add(source.uuid)
    return replace(source, state=str(answer["State"]))


def count(cloud: Cloud, source: Source) -> Source:
    """Return the source with how many messages wait in its queue, where the caller may ask that."""
    client = cloud("sqs")
    try:
        url = client.get_queue_url(QueueName=source.queue)["QueueUrl"]
        names = [*_COUNTS, "MessageRetentionPeriod"]
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    except ClientError:
        # The count is a courtesy; a pause in an emergency must not depend on a permission for it.
        return source
    waiting = sum(int(attributes.get(name, 0)) for name in _COUNTS)
    return replace(source, waiting=waiting, keeps_days=int(attributes["MessageRetentionPeriod"]) // 86400)
