"""What a bucket's versioning means (S3 user guide, "How S3 Versioning works", "Configuring MFA delete")."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case
from tests.world import ACCOUNT


def versioned(status: str | None, mfa: str | None = None) -> dict[str, Any]:
    """Return the state of a bucket."""
    return {"Status": status, "MFADelete": mfa}


def put(status: str, name: str = "orders") -> tuple[Call, ...]:
    """Return the call that sets a bucket's versioning."""
    params = {
        "Bucket": name,
        "ExpectedBucketOwner": ACCOUNT,
        "VersioningConfiguration": {"Status": status},
    }
    return (Call("s3", "put_bucket_versioning", params),)


ON, OFF = put("Enabled"), put("Suspended")

CASES = (
    Case("versions are kept", versioned("Enabled"), "Compliant"),
    Case("versions are kept, and only root with its device removes them", versioned("Enabled", "Enabled"), "Compliant"),
    Case("MFA delete that was switched off changes nothing", versioned("Enabled", "Disabled"), "Compliant"),
    Case("never switched on: S3 says nothing", versioned(None), "NonCompliant", "never", ON, OFF, residue=True),
    Case("suspended", versioned("Suspended"), "NonCompliant", "suspended", ON, OFF, residue=True),
    Case("suspended, with MFA delete switched off", versioned("Suspended", "Disabled"), "NonCompliant", "suspended",
         ON, OFF, residue=True),
    Case("suspended under MFA delete: root must do it", versioned("Suspended", "Enabled"), "NonCompliant", "only root"),
    Case("never switched on under MFA delete", versioned(None, "Enabled"), "NonCompliant", "only root"),
    Case("a new bucket is like any other", versioned(None), "NonCompliant", "never", ON, OFF, residue=True,
         creates=True),
    Case("the calls name the bucket that was asked about", versioned(None), "NonCompliant", "never",
         put("Enabled", "my.site-1"), put("Suspended", "my.site-1"), residue=True, arn="arn:aws:s3:::my.site-1"),
)  # fmt: skip
