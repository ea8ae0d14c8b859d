"""Shared by the controls of buckets: which buckets they cover, reading one, and listing all.

Bucket names are global, so an event may name another account's bucket. Every call therefore carries
``ExpectedBucketOwner``: S3 answers 403 if another account owns the bucket (S3 user guide, "Verifying bucket ownership
with bucket owner condition"). boto3 follows S3's redirects into other regions, so a bucket is changed only if it is
listed among those of this account and region.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.control import Aws, CloudTrail, Context, Control, Grant, Place, ResourceMissingError, Stage, code

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = "s3.amazonaws.com"
"""The event source of general purpose buckets; others have ``s3express`` (directory) or ``s3tables`` (table)."""
AT = "requestParameters.bucketName"
CREATED = CloudTrail(SOURCE, ("CreateBucket",), at=AT, creates=True)
"""In us-east-1 it also succeeds on a bucket that the caller owns already (S3 API reference, CreateBucket)."""
HOME_GRANT = Grant(
    Stage.READ,
    ("s3:ListAllMyBuckets",),
    on=("*",),
    why="s3:ListAllMyBuckets lists buckets and cannot be limited to one",
)
DISCOVER_GRANT = Grant(Stage.DISCOVER, HOME_GRANT.actions, on=HOME_GRANT.on, why=HOME_GRANT.why)

# Old buckets in us-east-1 may have long names with capital letters.
_ARN = re.compile(r"arn:[a-z0-9\-]+:s3:::[A-Za-z0-9._\-]{1,255}")
# S3 user guide, "General purpose bucket naming rules": suffixes of directory and table buckets, and of aliases.
_OTHER_KINDS = ("--x-s3", "--table-s3", "-s3alias", "--ol-s3", ".mrap")
_MAYBE_ELSEWHERE = frozenset({"AccessDenied", "MethodNotAllowed"})
# S3 user guide, "Access control list (ACL) overview", predefined groups: everybody, and everybody with an AWS account.
_PUBLIC_GROUPS = {
    "http://acs.amazonaws.com/groups/global/AllUsers": "AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers": "AuthenticatedUsers",
}
_PAGE = 1000  # an account with a raised quota must request pages (S3 user guide, "General purpose bucket quotas")


class BucketControl(Control):
    """A control of general purpose buckets."""

    resource_type = "AWS::S3::Bucket"
    arn = "arn:{partition}:s3:::{id}"

    def applies_to(self, arn: str) -> bool:
        """Return whether an ARN is that of a general purpose bucket, not of an object or another kind of bucket."""
        return bool(_ARN.fullmatch(arn)) and not arn.endswith(_OTHER_KINDS)

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List the account's buckets in the region."""
        size = {"PageSize": _PAGE}
        for page in aws.pages("s3", "list_buckets", BucketRegion=place.region, PaginationConfig=size):
            yield from (place.arn(self.arn, bucket["Name"]) for bucket in page.get("Buckets", []))


def named(context: Context) -> dict[str, str]:
    """Return the parameters that name the requested bucket and the account that must own it."""
    return {"Bucket": context.resource.name, "ExpectedBucketOwner": context.resource.account}


def ask(aws: Aws, context: Context, operation: str, absent: str = "") -> dict[str, Any] | None:
    """Call S3 about the bucket and return the answer; None if it has no such configuration (error code ``absent``).

    Raises:
        ResourceMissingError: the bucket belongs to another account or region.
        ClientError: S3 refused.
    """
    try:
        return aws("s3", operation, **named(context))
    except ClientError as error:
        if absent and code(error) == absent:
            return None
        if code(error) in _MAYBE_ELSEWHERE:
            require_home(aws, context)
        raise


def require_home(aws: Aws, context: Context) -> None:
    """Check that the bucket belongs to this account and region.

    Raises:
        ResourceMissingError: it does not.
    """
    name, region = context.resource.name, context.resource.region
    listed = aws("s3", "list_buckets", Prefix=name, BucketRegion=region, MaxBuckets=_PAGE).get("Buckets", [])
    if not any(bucket["Name"] == name for bucket in listed):
        raise ResourceMissingError(
            f"{context.resource.arn}: account {context.resource.account} has no such bucket in {region}"
        )


def obeys_acls(aws: Aws, context: Context) -> bool:
    """Return whether access control lists are in effect in the bucket, so that objects may have public ones.

    They are not under ``BucketOwnerEnforced``, the default for buckets created since April 2023; older buckets have no
    such configuration (S3 user guide, "Controlling ownership of objects and disabling ACLs").
    """
    found = ask(aws, context, "get_bucket_ownership_controls", absent="OwnershipControlsNotFoundError")
    rules = found["OwnershipControls"]["Rules"] if found else []
    return not any(rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in rules)


def public_grants(aws: Aws, context: Context) -> dict[str, list[str]]:
    """Return what the bucket's own access control list grants to ``AllUsers`` and ``AuthenticatedUsers``."""
    found = ask(aws, context, "get_bucket_acl") or {}
    granted: dict[str, list[str]] = {}
    for grant in found.get("Grants", []):
        group = _PUBLIC_GROUPS.get(grant["Grantee"].get("URI", ""))
        if group:
            granted[group] = sorted({*granted.get(group, []), grant["Permission"]})
    return dict(sorted(granted.items()))
