"""Reads the tags of many resources with the operator's own credentials, and reports which cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel.plurals import plural
from evenkeel.runtime.tags import TAGGING
from evenkeel_cli.aws.session import explained

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evenkeel.settings.rules import Subject
    from evenkeel_cli.aws.stacks import Stack

BATCH = 100
"""ARNs that one call accepts (Resource Groups Tagging API reference, GetResources, ``ResourceARNList``)."""
ELSEWHERE = "it is in another account or region than the stack"


@dataclass(slots=True)
class Tags:
    """The current tags of resources by ARN, and why those of others are not known."""

    known: dict[str, dict[str, str]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)

    def of(self, subject: Subject) -> Subject:
        """Return a subject with its tags, if they are known."""
        return replace(subject, tags=self.known.get(subject.arn))

    @property
    def warning(self) -> str:
        """Return a sentence on the tags that could not be read; empty if all were."""
        if not self.unread:
            return ""
        reasons = "; ".join(dict.fromkeys(self.unread.values()))
        return f"The tags of {plural(len(self.unread), 'resource')} could not be read: {reasons}."


def read(stack: Stack, subjects: Iterable[Subject]) -> Tags:
    """Read the current tags of resources.

    AWS leaves out untagged and deleted resources; both count as untagged.
    """
    found = Tags()
    account = stack.output("AuditTableArn").split(":")[4]
    here: dict[str, None] = {}
    for subject in subjects:
        if subject.account in {"", account} and subject.region in {"", stack.region}:
            here[subject.arn] = None
        else:
            found.unread[subject.arn] = ELSEWHERE
    arns = list(here)
    for start in range(0, len(arns), BATCH):
        _read(stack, arns[start : start + BATCH], found)
    return found


def _read(stack: Stack, arns: Sequence[str], found: Tags) -> None:
    try:
        answer = stack.cloud(TAGGING).get_resources(ResourceARNList=list(arns))
    except (ClientError, BotoCoreError) as error:
        found.unread |= dict.fromkeys(arns, str(explained("read tags", error)))
        return
    tagged = {
        item["ResourceARN"].removesuffix(":*"): {tag["Key"]: tag["Value"] for tag in item["Tags"]}
        for item in answer["ResourceTagMappingList"]
    }
    found.known |= {arn: tagged.get(arn, {}) for arn in arns}
