"""What a bucket's block of public access means (S3 user guide, "Blocking public access to your Amazon S3 storage")."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case
from tests.factories.s3 import obeying_bucket
from tests.world import ACCOUNT

OWN = {"Bucket": "orders", "ExpectedBucketOwner": ACCOUNT}
ALL = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
NONE = dict.fromkeys(ALL, False)


def put(**flags: bool) -> tuple[Call, ...]:
    """Return the call that sets a block; all four are on but for what differs."""
    return (Call("s3", "put_public_access_block", {**OWN, "PublicAccessBlockConfiguration": {**ALL, **flags}}),)


def blocked(**flags: bool) -> dict[str, Any]:
    """Return what is read of a block that is on but for what differs."""
    return {"PublicAccessBlock": {**ALL, **flags}}


def spared(policy: bool | None = False, acls: bool | None = False, **flags: bool) -> dict[str, Any]:
    """Return the state of a bucket whose block lacks something; None means that it was not asked."""
    asked = {"PolicyIsPublic": policy, "ObeysAcls": acls}
    return blocked(**flags) | {name: value for name, value in asked.items() if value is not None}


OPEN = {"PublicAccessBlock": None, "PolicyIsPublic": False, "ObeysAcls": False}
DELETE = (Call("s3", "delete_public_access_block", OWN),)
HALF = {"BlockPublicAcls": False, "IgnorePublicAcls": False}


MAKE = {"AWS::S3::Bucket": obeying_bucket}  # so that every question is asked: AWS's defaults block public access

PUBLIC, OBEYING = {**OPEN, "PolicyIsPublic": True}, {**OPEN, "ObeysAcls": True}
READABLE = {"AllUsers": ["READ"]}
NOT_SPARED = {"spare_public": False}

CASES = (
    Case("all four are on", blocked(), "Compliant"),
    Case("no block: all four are set, and undo takes the block off", OPEN, "NonCompliant", "no public", put(), DELETE),
    Case("all four off is a block that undo brings back", spared(**NONE), "NonCompliant", "BlockPublicAcls, Ignore",
         put(), put(**NONE)),
    Case("what is on stays on", spared(policy=None, **HALF), "NonCompliant", "lacks BlockPublicAcls, IgnorePublicAcls",
         put(), put(**HALF)),
    Case("one of four is enough", spared(acls=None, RestrictPublicBuckets=False), "NonCompliant",
         "lacks RestrictPublicBuckets", put(), put(RestrictPublicBuckets=False)),
    Case("a public policy may be a website's", PUBLIC, "NonCompliant", "no public", put(), DELETE,
         caution="policy is public"),
    Case("a public policy, and the next one would be refused", spared(policy=True, acls=None, BlockPublicPolicy=False),
         "NonCompliant", "lacks BlockPublicPolicy", put(), put(BlockPublicPolicy=False), caution="policy is public"),
    Case("a bucket that obeys access control lists may have public objects", OBEYING, "NonCompliant", "no public",
         put(), DELETE, caution="access control lists"),
    Case("of two reasons the policy is told", {**PUBLIC, "ObeysAcls": True}, "NonCompliant", "no public", put(), DELETE,
         caution="policy is public"),
    Case("what the access control list lets in is told, and critical", {**OBEYING, "OpenByAcl": READABLE},
         "NonCompliant", "no public access block, and its access control list grants READ to AllUsers", put(),
         DELETE, caution="access control lists", severity="CRITICAL"),
    Case("several groups and permissions are told", {**OBEYING, "OpenByAcl": {"AllUsers": ["READ", "WRITE"],
         "AuthenticatedUsers": ["READ_ACP"]}}, "NonCompliant", "READ, WRITE to AllUsers and READ_ACP to Authent", put(),
         DELETE, caution="access control lists", severity="CRITICAL"),
    Case("a list that lets in nobody clears no object of being public", {**OBEYING, "OpenByAcl": {}}, "NonCompliant",
         "no public access block", put(), DELETE, caution="objects with public lists of their own"),
    Case("what is open is critical even where it is closed at once", {**OBEYING, "OpenByAcl": READABLE}, "NonCompliant",
         "READ to AllUsers", put(), DELETE, parameters=NOT_SPARED, severity="CRITICAL"),
    Case("the settings may want public buckets closed, too", PUBLIC, "NonCompliant", "no public", put(), DELETE,
         parameters=NOT_SPARED),
    Case("the settings may want objects closed, too", OBEYING, "NonCompliant", "no public", put(), DELETE,
         parameters=NOT_SPARED),
    Case("a new bucket is like any other", PUBLIC, "NonCompliant", "no public", put(), DELETE,
         caution="policy is public", creates=True),
)  # fmt: skip

SETTINGS = {"parameters": NOT_SPARED}
"""With these, buckets that obey access control lists are changed, too."""
