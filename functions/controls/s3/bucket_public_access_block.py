"""S3 buckets block public access."""

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

_IGNORE = "IgnorePublicAcls"
_OF_ACLS = ("BlockPublicAcls", _IGNORE)
_OF_POLICIES = ("BlockPublicPolicy", "RestrictPublicBuckets")
_FLAGS = (*_OF_ACLS, *_OF_POLICIES)


class BucketPublicAccessBlock(bucket.BucketControl):
    """S3 buckets block public access through policies and access control lists.

    Why: with the block on, one wrong policy or access control list does not make a bucket public. An account's or
        organization's own block covers its buckets as well, but the standards still require the bucket's, and the wider
        block can be lifted for all buckets at once. A bucket whose own access control list admits AllUsers or
        AuthenticatedUsers is critical, since it is public now unless a wider block covers it. Not detected: access
        control lists of single objects (PutObjectAcl is a data event), so a bucket with access control lists in effect
        is never assumed to be private.
    Blast radius: a bucket with a public policy, or with access control lists in effect, may be public on purpose; while
        `spare_public` is true it is announced, not changed. Public policies of access points are not checked.
    Cost: none.
    Undo: the former block is set again, or removed if there was none.
    Mode: enforce, since it acts only if nobody loses access, unless the settings say otherwise. A policy or access
        control list that makes a bucket public is acted on at once, whoever set it. If infrastructure as code removes
        the block, Evenkeel waits for the settle time: such tools create a public website in three calls, and the policy
        that shows the purpose comes last; if the block were restored before it, S3 would refuse the policy.
    Runbook: ask the bucket's owner whether it is public on purpose. `aws s3api get-public-access-block --bucket BUCKET`
        and `aws s3api get-bucket-policy-status --bucket BUCKET` show what is open. If it is not on purpose, run the
        command in the alert, and look for anonymous access in the logs. If it is, serve the content through CloudFront,
        or exempt the bucket.
    """

    severity = Severity.HIGH
    default_mode = Mode.ENFORCE
    reference = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html"
    announces = True
    frameworks = Frameworks(
        security_hub=("S3.8",),
        cis_3_0="2.1.4",
        nist_800_53=(
            *("AC-21", "AC-3", "AC-3(7)", "AC-4", "AC-4(21)", "AC-6", "SC-7", "SC-7(3)", "SC-7(4)", "SC-7(9)"),
            *("SC-7(11)", "SC-7(16)", "SC-7(20)", "SC-7(21)"),
        ),
        config_rule="s3-bucket-level-public-access-prohibited",
    )
    triggers = (
        bucket.CREATED,
        CloudTrail(
            bucket.SOURCE,
            # CloudTrail's names for PutPublicAccessBlock and DeletePublicAccessBlock (S3 user guide, "Amazon S3
            # CloudTrail events").
            ("PutBucketPublicAccessBlock",),
            at=bucket.AT,
            settles=True,
        ),
        CloudTrail(bucket.SOURCE, ("DeleteBucketPublicAccessBlock",), at=bucket.AT, settles=True, weakens=True),
        # Calls that make a bucket without the block public.
        CloudTrail(bucket.SOURCE, ("PutBucketAcl", "PutBucketPolicy"), at=bucket.AT),
        Config(bucket.BucketControl.resource_type),
    )
    permissions = (
        Grant(
            Stage.READ,
            (
                *("s3:GetBucketPublicAccessBlock", "s3:GetBucketPolicyStatus"),
                *("s3:GetBucketOwnershipControls", "s3:GetBucketAcl"),
            ),
        ),
        bucket.HOME_GRANT,
        Grant(Stage.APPLY, ("s3:PutBucketPublicAccessBlock",)),
        Grant(Stage.UNDO, ("s3:PutBucketPublicAccessBlock",)),
        bucket.DISCOVER_GRANT,
    )
    urgent = True
    parameters = {"spare_public": True}

    def read(self, aws: Aws, context: Context) -> State:
        """Read the block, and what is public or would lose access only if part of the block is missing."""
        found = bucket.ask(aws, context, "get_public_access_block", absent="NoSuchPublicAccessBlockConfiguration")
        block = found and {flag: bool(found["PublicAccessBlockConfiguration"].get(flag)) for flag in _FLAGS}
        state: State = {"PublicAccessBlock": block}
        missing = _missing(state)
        if not missing:
            return state
        bucket.require_home(aws, context)
        if missing & {*_OF_POLICIES}:
            state["PolicyIsPublic"] = _policy_is_public(aws, context)
        if missing & {*_OF_ACLS}:
            state["ObeysAcls"] = bucket.obeys_acls(aws, context)
        if state.get("ObeysAcls") and _IGNORE in missing:
            state["OpenByAcl"] = bucket.public_grants(aws, context)
        return state

    def judge(self, state: State, context: Context) -> Judgement:
        """Find buckets whose block lacks one of its four parts; parts that are set stay set."""
        missing = _missing(state)
        if not missing:
            return Compliant()
        former = state["PublicAccessBlock"]
        back = _put(context, former) if former else Call("s3", "delete_public_access_block", bucket.named(context))
        change = Change((_put(context, dict.fromkeys(_FLAGS, True)),), (back,))
        parts = ", ".join(flag for flag in _FLAGS if flag in missing)
        reason = f"its public access block lacks {parts}" if former else "it has no public access block"
        public = state.get("OpenByAcl")
        if public:
            granted = " and ".join(f"{', '.join(public[group])} to {group}" for group in public)
            reason = f"{reason}, and its access control list grants {granted}"
        severity = Severity.CRITICAL if public else None
        kind, caution = _who_loses_access(state, context)
        return NonCompliant(reason, change, caution=caution, kind=kind, severity=severity)

    def essence(self, state: State) -> Any:
        """Compare the block; no block differs from a block with its four parts off."""
        return state["PublicAccessBlock"]

    def fault(self, state: State) -> Any:
        """Add what is public, which does not change with the block."""
        return [state["PublicAccessBlock"], bool(state.get("PolicyIsPublic")), state.get("OpenByAcl") or {}]


def _missing(state: State) -> set[str]:
    block = state["PublicAccessBlock"] or {}
    return {flag for flag in _FLAGS if not block.get(flag)}


def _policy_is_public(aws: Aws, context: Context) -> bool:
    """Return S3's own verdict on the policy (S3 user guide, "The meaning of public"); no verdict counts as public."""
    found = bucket.ask(aws, context, "get_bucket_policy_status", absent="NoSuchBucketPolicy")
    return found is not None and bool(found.get("PolicyStatus", {}).get("IsPublic", True))


def _who_loses_access(state: State, context: Context) -> tuple[str, str]:
    """Return who would lose access under the block, as a kind and a sentence; or two empty strings."""
    if not context.parameters["spare_public"]:
        return "", ""
    if state.get("PolicyIsPublic"):
        caution = "its policy is public: anonymous readers, such as a website's visitors, would lose access"
        return "public policy", caution
    if state.get("ObeysAcls"):
        caution = "access control lists are in effect: objects with public lists of their own would become private"
        return "obeys access control lists", caution
    return "", ""


def _put(context: Context, block: dict[str, bool]) -> Call:
    params = {**bucket.named(context), "PublicAccessBlockConfiguration": block}
    return Call("s3", "put_public_access_block", params)
