"""Whether a resource of which the tagging API tells no tags is there, and takes any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jmespath

from evenkeel.errors import ResourceMissingError
from evenkeel.events import resource_arn
from evenkeel.model import Place

if TYPE_CHECKING:
    from evenkeel.aws import Aws
    from evenkeel.model import Resource
    from tagging.types import Taggable


def spared(aws: Aws, kind: Taggable, resource: Resource) -> str:
    """Say why a resource takes no tags here, in one call; nothing where it does.

    GetResources leaves out what was never tagged, what is gone and what another region has, all alike.

    Raises:
        ResourceMissingError: AWS answered without the resource.
        ClientError: as AWS answered; ``kind.look.gone`` means the same.
    """
    look = kind.look
    answer = aws(kind.listing.service, look.operation, **_filled(look.params, resource.arn, kind.name(resource.arn)))
    found = jmespath.search(look.path, answer)
    place = Place(resource.account, resource.region, resource.partition)
    for one in found if isinstance(found, list) else [found]:
        if one and one["id"] and resource_arn(kind.arn, one["id"], place) == resource.arn:
            elsewhere = one.get("region") or resource.region
            if elsewhere != resource.region:
                return f"it is in {elsewhere}; tags are read and set in a resource's own region only"
            return one.get("spared") or ""
    raise ResourceMissingError(f"{resource.arn}: {look.operation} of {kind.listing.service} answers without it")


def _filled(params: Any, arn: str, name: str) -> Any:
    """Return parameters with the resource's ARN and name in their places."""
    if isinstance(params, str):
        return params.format(arn=arn, id=name)
    if isinstance(params, list):
        return [_filled(each, arn, name) for each in params]
    return {key: _filled(value, arn, name) for key, value in params.items()} if isinstance(params, dict) else params
