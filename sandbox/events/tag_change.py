"""``Tag Change on Resource`` events, whichever API changed the tags."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.events import cloudtrail, tag_store

if TYPE_CHECKING:
    from collections.abc import Iterable

Tags = dict[str, str]
DETAIL_TYPE = "Tag Change on Resource"


def snapshot(arns: Iterable[str]) -> dict[str, Tags]:
    """Return the tags of the resources that exist, by ARN."""
    found = {arn: tag_store.read(arn) for arn in arns}
    return {arn: each for arn, each in found.items() if each is not None}


@dataclass
class TagChanges:
    """The version of each resource's tag set."""

    versions: Counter[str] = field(default_factory=Counter)

    def events(
        self, before: dict[str, Tags], after: dict[str, Tags], account: str, region: str
    ) -> list[dict[str, Any]]:
        """Return an event for each resource whose tags differ; none for deleted resources."""
        found = []
        for arn, now in after.items():
            was = before.get(arn, {})
            changed = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
            if changed:
                found.append(self._event(arn, changed, now, account, region))
        return found

    def _event(self, arn: str, changed: list[str], now: Tags, account: str, region: str) -> dict[str, Any]:
        self.versions[arn] += 1
        service = arn.split(":")[2]
        detail = {
            "changed-tag-keys": changed,
            "tags": now,
            "service": service,
            "resource-type": tag_store.resource_type(arn),
            "version": self.versions[arn],
        }
        event = cloudtrail.wrap("aws.tag", DETAIL_TYPE, detail, account=account, region=region)
        return event | {"resources": [arn]}
