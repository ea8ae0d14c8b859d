"""Repositories: moto's tagging API does not know them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.core.resource_tagging import TaggableResourcesMixin, TaggedResource, iter_taggable_backends
from moto.ecr.models import ECRBackend, ecr_backends

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


class _Repositories(TaggableResourcesMixin):
    """One account's repositories in one region, as the tagging API asks for them."""

    SERVICE_NAMESPACE = "ecr"

    def __init__(self, backend: ECRBackend) -> None:
        self.partition = backend.partition
        self._backend = backend

    def iter_tagged_resources(self) -> Iterator[TaggedResource]:
        for repository in self._backend.repositories.values():
            tags = self._backend.tagger.get_tag_dict_for_resource(repository.arn)
            yield TaggedResource(arn=repository.arn, tags=tags, resource_type="ecr:repository")

    def tag_resource(self, arn: str, tags: dict[str, str]) -> None:
        self._backend.tag_resource(arn, [{"Key": key, "Value": value} for key, value in tags.items()])

    def untag_resource(self, arn: str, tag_keys: list[str]) -> None:
        self._backend.untag_resource(arn, tag_keys)


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gap until ``patch`` is undone."""
    patch.setattr("moto.resourcegroupstaggingapi.models.iter_taggable_backends", _with_repositories)


def _with_repositories(account: str, region: str) -> Iterator[TaggableResourcesMixin]:
    yield from iter_taggable_backends(account, region)
    yield _Repositories(ecr_backends[account][region])
