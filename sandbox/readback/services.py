"""Clients and tags in one spelling, shared by all readers of resources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.client import Sandbox

Properties = dict[str, Any]


@dataclass
class World:
    """The clients that readers use, each created once."""

    sandbox: Sandbox
    clients: dict[str, Any] = field(default_factory=dict)

    def __call__(self, service: str) -> Any:
        """Return the client of a service."""
        if service not in self.clients:
            self.clients[service] = self.sandbox.client(service)
        return self.clients[service]

    def tags(self, arn: str) -> list[dict[str, str]]:
        """Return a resource's tags through the Tagging API, without CloudFormation's own."""
        found = self("resourcegroupstaggingapi").get_resources(ResourceARNList=[arn])["ResourceTagMappingList"]
        return own_tags(found[0]["Tags"] if found else [])


def own_tags(tags: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the tags without those that CloudFormation and SAM add."""
    return [each for each in tags if not each["Key"].startswith(("aws:", "lambda:createdBy"))]


def as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """Return a map of tags as a list, without CloudFormation's own."""
    return own_tags([{"Key": key, "Value": value} for key, value in tags.items()])
