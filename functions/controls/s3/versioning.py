"""S3 buckets keep what is overwritten or deleted."""

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
_RESIDUE = "a bucket never returns to unversioned: it is suspended, and the versions kept so far stay and are billed"


class Versioning(bucket.BucketControl):
    """S3 buckets keep the former versions of objects.

    Why: what is overwritten or deleted, by mistake or by ransom, can be brought back.
    Blast radius: none for readers; a deletion leaves a marker, an expiration by lifecycle keeps a former version, and
      for up to 15 minutes after it is first switched on a new object may not be found.
    Cost: every former version is billed as an object; give busy buckets a lifecycle rule that expires them.
    Undo: versioning is suspended; the versions kept so far stay.
    Mode: notify, since its cost depends on how the bucket is used, and a bucket never becomes unversioned again.
    """

    severity = Severity.LOW
    default_mode = Mode.NOTIFY
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
        """Ask for the versioning; S3 leaves the status out where it was never switched on."""
        found = bucket.ask(aws, context, "get_bucket_versioning") or {}
        state: State = {"Status": found.get("Status"), "MFADelete": found.get("MFADelete")}
        if state["Status"] != _ON:
            bucket.require_home(aws, context)
        return state

    def judge(self, state: State, context: Context) -> Judgement:
        """Find buckets that keep no versions."""
        if state["Status"] == _ON:
            return Compliant()
        reason = "versioning is suspended" if state["Status"] else "versioning was never switched on"
        if state["MFADelete"] == _ON:
            # S3 user guide, "Configuring MFA delete": only root with its device changes the bucket's versioning.
            return NonCompliant(f"{reason}, and MFA delete lets only root with its device change that")
        return NonCompliant(reason, Change((_set(context, _ON),), (_set(context, _OFF),), _RESIDUE))

    def essence(self, state: State) -> Any:
        """Compare whether versions are kept; never switched on and suspended are one."""
        return [state["Status"] == _ON, state["MFADelete"] == _ON]


def _set(context: Context, status: str) -> Call:
    params = {**bucket.named(context), "VersioningConfiguration": {"Status": status}}
    return Call("s3", "put_bucket_versioning", params)
