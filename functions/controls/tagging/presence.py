"""Whether a resource for which the tagging API returns no tags exists, and can be tagged."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jmespath

from evenkeel.control import Aws, Place, Resource, ResourceMissingError, resource_arn

if TYPE_CHECKING:
    from tagging.types import Taggable

_SUFFIXED = re.compile(r".+-[A-Za-z0-9]{6}")


def obstacle(aws: Aws, kind: Taggable, resource: Resource) -> dict[str, str]:
    """Return why a resource cannot be tagged (``Spared``) or not yet (``Busy``), by one call; an empty dict if it can.

    GetResources leaves out resources that were never tagged, were deleted or are in another region, all alike.

    Raises:
        ResourceMissingError: there is no such resource.
        ClientError: AWS refused; the code ``kind.look.gone`` also means that there is no such resource.
    """
    look = kind.look
    answer = aws(kind.listing.service, look.operation, **_filled(look.params, resource.arn, kind.name(resource.arn)))
    found = jmespath.search(look.path, answer)
    place = Place(resource.account, resource.region, resource.partition)
    for one in found if isinstance(found, list) else [found]:
        if one and one["id"] and resource_arn(kind.arn, one["id"], place) == resource.arn:
            elsewhere = one.get("region") or resource.region
            if elsewhere != resource.region:
                return {"Spared": f"it is in {elsewhere}; tags are read and set only in a resource's own region"}
            return {key: one[name] for key, name in (("Spared", "spared"), ("Busy", "busy")) if one.get(name)}
    raise ResourceMissingError(f"{resource.arn}: {look.operation} of {kind.listing.service} does not return it")


def own_name(aws: Aws, kind: Taggable, resource: Resource) -> Resource:
    """Return a resource under its own ARN. UntagResource may give a secret's name, which is only part of its ARN.

    The ARN ends in a hyphen and six characters that AWS adds (Secrets Manager API reference, CreateSecret, which
    advises against names that end like that).

    Raises:
        ClientError: AWS refused.
    """
    name = kind.name(resource.arn)
    if not kind.replicates or _SUFFIXED.fullmatch(name):
        return resource
    return replace(resource, arn=aws(kind.listing.service, kind.look.operation, SecretId=name)["ARN"])


def _filled(params: Any, arn: str, name: str) -> Any:
    """Return parameters with the resource's ARN and name filled in."""
    if isinstance(params, str):
        return params.format(arn=arn, id=name)
    if isinstance(params, list):
        return [_filled(each, arn, name) for each in params]
    return {key: _filled(value, arn, name) for key, value in params.items()} if isinstance(params, dict) else params
