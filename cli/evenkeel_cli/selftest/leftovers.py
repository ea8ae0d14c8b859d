"""Finds and deletes what earlier self-tests left, by the tag and the name that only self-tests use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel.control import fits
from evenkeel.runtime.tags import TAGGING
from evenkeel_cli.aws.session import explained
from evenkeel_cli.selftest import inbox, marks
from evenkeel_cli.selftest.kinds import KINDS, QUEUE, Target
from evenkeel_cli.selftest.provisioner import is_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from evenkeel_cli.selftest.kinds import Kind, Site
    from evenkeel_cli.selftest.provisioner import Provisioner


@dataclass(frozen=True, slots=True)
class Leftover:
    """A resource that an earlier run created."""

    kind: Kind
    target: Target

    @property
    def arn(self) -> str:
        """Return its ARN."""
        return self.kind.arn_of(self.target)

    def is_due(self, now: datetime) -> bool:
        """Return whether it is too old for a run to be still using it."""
        return now - marks.started(self.target.run) > marks.KEPT_FOR


@dataclass(slots=True)
class Found:
    """The leftovers, in an order in which they can be deleted, and why some may not have been found."""

    resources: list[Leftover] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def find(cloud: Callable[[str], Any], site: Site) -> Found:
    """Return everything that self-tests left in the account and region."""
    found = Found()
    for listing, what in ((_tagged, "list what earlier self-tests left"), (_roles, "list their IAM roles")):
        try:
            found.resources += _ours(listing(cloud), site)
        except (ClientError, BotoCoreError) as error:
            found.troubles.append(explained(what, error).message)
    found.resources = [each for each in found.resources if _lives(cloud, each, found.troubles)]
    found.resources.sort(key=lambda each: (KINDS.index(each.kind), each.target.name))
    return found


def _tagged(cloud: Callable[[str], Any]) -> Iterator[tuple[str, dict[str, str]]]:
    pages = cloud(TAGGING).get_paginator("get_resources").paginate(TagFilters=[{"Key": marks.TAG}])
    for page in pages:
        for item in page["ResourceTagMappingList"]:
            yield item["ResourceARN"].removesuffix(":*"), {tag["Key"]: tag["Value"] for tag in item["Tags"]}


def _roles(cloud: Callable[[str], Any]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the roles under the self-tests' path; the tagging API has no roles (its "Services that support")."""
    iam = cloud("iam")
    for page in iam.get_paginator("list_roles").paginate(PathPrefix=marks.ROLE_PATH):
        for role in page["Roles"]:
            tags = iam.list_role_tags(RoleName=role["RoleName"])["Tags"]
            yield role["Arn"], {tag["Key"]: tag["Value"] for tag in tags}


def _ours(listed: Iterable[tuple[str, Mapping[str, str]]], site: Site) -> Iterator[Leftover]:
    """Yield the resources with both the tag and the name of the same run; all others belong to somebody else."""
    for arn, tags in listed:
        kind = next((each for each in KINDS if fits(each.arn, arn)), None)
        if kind is None:
            continue
        an_id = arn.split(":", 5)[5].removeprefix(kind.arn.split(":", 5)[5].removesuffix("{id}"))
        name = an_id if kind.named else tags.get(marks.NAME, "")
        run = marks.owner(name, tags)
        leftover = Leftover(kind, Target(site, run, name, an_id))
        if run and leftover.arn == arn:
            yield leftover


def _lives(cloud: Callable[[str], Any], leftover: Leftover, troubles: list[str]) -> bool:
    """Return whether a resource is not being deleted yet; KMS keys stay listed until they are deleted."""
    try:
        return leftover.kind.removable(cloud, leftover.target)
    except (ClientError, BotoCoreError) as error:
        if is_gone(error):
            return False
        troubles.append(explained(f"read {leftover.arn}", error).message)
        return True


def remove(provisioner: Provisioner, leftover: Leftover) -> str:
    """Delete a leftover; return what happened to it.

    Raises:
        CommandError: AWS refused.
    """
    if leftover.kind is QUEUE:
        inbox.unsubscribe(provisioner.cloud, leftover.arn)
    return "deleted" if provisioner.remove(leftover.kind, leftover.target) else "was already deleted"
