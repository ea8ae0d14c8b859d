"""Buckets: the defaults, refusals, regions in a listing and the bucket owner condition that moto lacks.

A new bucket blocks public access and obeys no access control lists (S3 user guide, "Default settings for new S3 buckets
FAQ"). ``x-amz-expected-bucket-owner`` that is not the owner's account is 403 ("Verifying bucket ownership with bucket
owner condition"). BlockPublicPolicy refuses public policies (S3 API reference, PublicAccessBlockConfiguration), and a
policy of more than 20 KB is refused. ListBuckets with any parameter tells each bucket's region (there, Bucket), and the
tagging API knows the buckets of its own region only (its API reference, GetResources).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend
from moto.s3.exceptions import S3ClientError
from moto.s3.models import PublicAccessBlock, S3Backend, s3_backends
from moto.s3.responses import S3Response
from moto.s3.utils import bucket_policy_is_public

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

_PLAIN = "Access Denied"
_PARAMETERS = ("bucket-region", "max-buckets", "prefix")
_BLOCKED = "public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access."


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gaps until ``patch`` is undone."""
    patch.setattr(S3Backend, "create_bucket", _with_defaults(S3Backend.create_bucket))
    patch.setattr(S3Backend, "put_bucket_policy", _checked(S3Backend.put_bucket_policy))
    patch.setattr(S3Response, "_bucket_response", _owned(S3Response._bucket_response))
    patch.setattr(S3Response, "all_buckets", _with_regions(S3Response.all_buckets))
    tagged = ResourceGroupsTaggingAPIBackend._get_resources_generator
    patch.setattr(ResourceGroupsTaggingAPIBackend, "_get_resources_generator", _of_the_region(tagged))


def _with_defaults(real: Callable[..., Any]) -> Callable[..., Any]:
    def create(self: S3Backend, *args: Any, **kwargs: Any) -> Any:
        made = real(self, *args, **kwargs)
        made.public_access_block = PublicAccessBlock("true", "true", "true", "true")
        made.ownership_rule = "BucketOwnerEnforced"
        return made

    return create


def _checked(real: Callable[..., None]) -> Callable[..., None]:
    def put(self: S3Backend, bucket_name: str, policy: bytes) -> None:
        block = self.get_bucket(bucket_name).public_access_block
        if len(policy) > 20 * 1024:
            raise S3ClientError("MalformedPolicy", "Policy exceeds the maximum allowed document size")
        if block and block.block_public_policy == "true" and bucket_policy_is_public(policy):
            raise _denied(_BLOCKED)
        real(self, bucket_name, policy)

    return put


def _owned(real: Callable[..., Any]) -> Callable[..., Any]:
    def respond(self: S3Response, request: Any, full_url: str) -> Any:
        expected = request.headers.get("x-amz-expected-bucket-owner")
        name = self.parse_bucket_name_from_url(request, full_url)
        if expected and name and self.backend.get_bucket(name).account_id != expected:
            raise _denied(_PLAIN)
        return real(self, request, full_url)

    return respond


def _with_regions(real: Callable[..., Any]) -> Callable[..., Any]:
    def respond(self: S3Response) -> Any:
        status, headers, body = real(self)
        if not any(self._get_param(name) for name in _PARAMETERS):
            return status, headers, body

        def located(found: re.Match[str]) -> str:
            return f"{found[0]}<BucketRegion>{self.backend.get_bucket(found[1]).region_name}</BucketRegion>"

        return status, headers, re.sub("<Name>([^<]+)</Name>", located, body)

    return respond


def _of_the_region(real: Callable[..., Any]) -> Callable[..., Any]:
    def tagged(self: ResourceGroupsTaggingAPIBackend, *arguments: Any, **named: Any) -> Iterator[Any]:
        buckets = s3_backends[self.account_id][self.partition].buckets
        here = {bucket.arn for bucket in buckets.values() if bucket.region_name == self.region_name}
        found = real(self, *arguments, **named)
        return (each for each in found if each.resource_type != "s3:bucket" or each.arn in here)

    return tagged


def _denied(message: str) -> S3ClientError:
    error = S3ClientError("AccessDenied", message)
    error.status_code = 403
    return error
