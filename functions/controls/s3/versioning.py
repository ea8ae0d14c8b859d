"""S3 buckets keep objects that are overwritten or deleted."""

from __future__ import annotations

from typing import Any

from evenkeel.control import (
    Aws,
    Call,
    Change,
    CloudTrail,
    Compliant,
    Config,
    Context,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    Severity,
    Stage,
    State,
)
from s3 import bucket

_ON, _OFF = "Enabled", "Suspended"
_RESIDUE = (
    "a bucket never becomes unversioned again: versioning is suspended, and existing versions stay and are billed"
)


class Versioning(bucket.BucketControl):
    """S3 buckets keep previous versions of objects.

    Why: objects that are overwritten or deleted, by mistake or by ransomware, can be restored.
    Blast radius: none for readers. A deletion leaves a delete marker, a lifecycle expiration keeps a previous version,
        and for up to 15 minutes after versioning is first enabled a new object may not be found.
    Cost: every previous version is billed as an object; give busy buckets a lifecycle rule that expires them.
    Undo: versioning is suspended; the versions kept so far stay.
    Mode: notify, since the cost depends on how the bucket is used, and a bucket never becomes unversioned again.
    Runbook: `aws s3api get-bucket-versioning --bucket BUCKET` shows the state. Ask the bucket's owner how often objects
        are overwritten; if often, add a lifecycle rule that expires previous versions. Then run the command in the
        alert; under MFA delete, the root user has to do it. Exempt buckets whose objects can be rebuilt, such as build
        caches.
    """

    severity = Severity.LOW
    default_mode = Mode.NOTIFY
    reference = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html"
    announces = True
    frameworks = Frameworks(
        security_hub=("S3.14",),
        nist_800_53=("AU-9(2)", "CP-10", "CP-6", "CP-6(1)", "CP-6(2)", "CP-9", "SC-5(2)", "SI-12", "SI-13(5)"),
        config_rule="s3-bucket-versioning-enabled",
    )
    triggers = (
        bucket.CREATED,
        CloudTrail(bucket.SOURCE, ("PutBucketVersioning",), at=bucket.AT),
        Config(bucket.BucketControl.resource_type),
    )
    permissions = (
        Grant(Stage.READ, ("s3:GetBucketVersioning",)),
        bucket.HOME_GRANT,
        Grant(Stage.APPLY, ("s3:PutBucketVersioning",)),
        Grant(Stage.UNDO, ("s3:PutBucketVersioning",)),
        bucket.DISCOVER_GRANT,
    )

    def read(self, aws: Aws, context: Context) -> State:
        """Read the versioning status; S3 leaves it out if versioning was never enabled."""
        found = bucket.ask(aws, context, "get_bucket_versioning") or {}
        state: State = {"Status": found.get("Status"), "MFADelete": found.get("MFADelete")}
        if state["Status"] != _ON:
            bucket.require_home(aws, context)
        return state

    def judge(self, state: State, context: Context) -> Judgement:
        """Find buckets that keep no previous versions."""
        if state["Status"] == _ON:
            return Compliant()
        reason = "versioning is suspended" if state["Status"] else "versioning was never enabled"
        if state["MFADelete"] == _ON:
            # S3 user guide, "Configuring MFA delete": only root with its device can change the bucket's versioning.
            return NonCompliant(f"{reason}, and under MFA delete only root with its device can change that")
        return NonCompliant(reason, Change((_set(context, _ON),), (_set(context, _OFF),), _RESIDUE))

    def essence(self, state: State) -> Any:
        """Compare whether versions are kept; never enabled and suspended are the same."""
        return [state["Status"] == _ON, state["MFADelete"] == _ON]


def _set(context: Context, status: str) -> Call:
    params = {**bucket.named(context), "VersioningConfiguration": {"Status": status}}
    return Call("s3", "put_bucket_versioning", params)
