"""What all controls of buckets share: which buckets are theirs, how one is asked, and how all are listed.

A bucket's name is global, so an event may name somebody else's bucket. Every call therefore carries
``ExpectedBucketOwner``: S3 answers 403 where another account owns the bucket (S3 user guide, "Verifying bucket
ownership with bucket owner condition"). boto3 follows S3's redirects into other regions; a bucket that is to be changed
must therefore be listed among those of this account and region.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.control import Aws, CloudTrail, Context, Control, Grant, Place, ResourceMissingError, Stage, code

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = "s3.amazonaws.com"
"""Directory buckets tell of themselves as ``s3express.amazonaws.com``, table buckets as ``s3tables.amazonaws.com``."""
AT = "requestParameters.bucketName"
CREATED = CloudTrail(SOURCE, ("CreateBucket",), at=AT, creates=True)
"""In us-east-1 it succeeds on a bucket that one owns already (S3 API reference, CreateBucket): it proves no age."""
HOME_GRANT = Grant(
    Stage.READ, ("s3:ListAllMyBuckets",), on=("*",), why="s3:ListAllMyBuckets lists; one bucket cannot be named"
)
DISCOVER_GRANT = Grant(Stage.DISCOVER, HOME_GRANT.actions, on=HOME_GRANT.on, why=HOME_GRANT.why)

# Old buckets of us-east-1 may have long names with capitals.
_ARN = re.compile(r"arn:[a-z0-9\-]+:s3:::[A-Za-z0-9._\-]{1,255}")
# S3 user guide, "General purpose bucket naming rules": suffixes of directory and table buckets, and of aliases.
_OTHER_KINDS = ("--x-s3", "--table-s3", "-s3alias", "--ol-s3", ".mrap")
_MAYBE_FOREIGN = frozenset({"AccessDenied", "MethodNotAllowed"})
# S3 user guide, "Access control list (ACL) overview", predefined groups: anybody, and anybody with an AWS account.
_STRANGERS = {
    "http://acs.amazonaws.com/groups/global/AllUsers": "AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers": "AuthenticatedUsers",
}
_PAGE = 1000  # an account with a raised quota must ask for pages (S3 user guide, "General purpose bucket quotas")


class BucketControl(Control):
    """A control of general purpose buckets."""

    resource_type = "AWS::S3::Bucket"
    arn = "arn:{partition}:s3:::{id}"

    def applies_to(self, arn: str) -> bool:
        """Say whether an ARN is a general purpose bucket's: not an object's, not a bucket of another kind."""
        return bool(_ARN.fullmatch(arn)) and not arn.endswith(_OTHER_KINDS)

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List the account's buckets of the region."""
        size = {"PageSize": _PAGE}
        for page in aws.pages("s3", "list_buckets", BucketRegion=place.region, PaginationConfig=size):
            yield from (place.arn(self.arn, bucket["Name"]) for bucket in page.get("Buckets", []))


def named(context: Context) -> dict[str, str]:
    """Return the parameters that name the bucket that was asked about, and the account that must own it."""
    return {"Bucket": context.resource.name, "ExpectedBucketOwner": context.resource.account}


def ask(aws: Aws, context: Context, operation: str, absent: str = "") -> dict[str, Any] | None:
    """Ask S3 about the bucket; None where it answers with the error code ``absent``: it has no such configuration.

    Raises:
        ResourceMissingError: the bucket is another account's.
        ClientError: as S3 answered.
    """
    try:
        return aws("s3", operation, **named(context))
    except ClientError as error:
        if absent and code(error) == absent:
            return None
        if code(error) in _MAYBE_FOREIGN:
            require_home(aws, context)
        raise


def require_home(aws: Aws, context: Context) -> None:
    """See that the bucket is one of this account and region.

    Raises:
        ResourceMissingError: it is not.
    """
    name, region = context.resource.name, context.resource.region
    listed = aws("s3", "list_buckets", Prefix=name, BucketRegion=region, MaxBuckets=_PAGE).get("Buckets", [])
    if not any(bucket["Name"] == name for bucket in listed):
        raise ResourceMissingError(f"{context.resource.arn}: account {context.resource.account} has none in {region}")


def obeys_acls(aws: Aws, context: Context) -> bool:
    """Say whether access control lists count in the bucket, so that objects may be public by their own.

    They do not under ``BucketOwnerEnforced``, the default of buckets made since April 2023; older ones have no such
    configuration (S3 user guide, "Controlling ownership of objects and disabling ACLs").
    """
    found = ask(aws, context, "get_bucket_ownership_controls", absent="OwnershipControlsNotFoundError")
    rules = found["OwnershipControls"]["Rules"] if found else []
    return not any(rule["ObjectOwnership"] == "BucketOwnerEnforced" for rule in rules)


def granted_to_strangers(aws: Aws, context: Context) -> dict[str, list[str]]:
    """Return what the bucket's own access control list grants to ``AllUsers`` and ``AuthenticatedUsers``."""
    found = ask(aws, context, "get_bucket_acl") or {}
    granted: dict[str, list[str]] = {}
    for grant in found.get("Grants", []):
        group = _STRANGERS.get(grant["Grantee"].get("URI", ""))
        if group:
            granted[group] = sorted({*granted.get(group, []), grant["Permission"]})
    return dict(sorted(granted.items()))
