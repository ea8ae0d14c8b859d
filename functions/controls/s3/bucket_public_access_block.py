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
    """S3 buckets block public access by policies and by access control lists.

    Why: one wrong policy or access control list does not lay a bucket open. An account's or organization's own block
      covers its buckets, too, but does not replace the bucket's in the standards, and it can be lifted for all at once.
      A bucket whose own access control list lets in AllUsers or AuthenticatedUsers is critical, since it is open now
      unless such a wider block covers it. Not heard: access control lists of single objects (PutObjectAcl is a data
      event); so a bucket that obeys such lists is never taken for closed.
    Blast radius: a bucket whose policy is public, or that obeys access control lists, may serve strangers on purpose;
      it is announced, not changed, while spare_public is true. Public policies of access points are not looked at.
    Cost: none.
    Undo: the former block is set again, or taken off where there was none.
    Mode: enforce, since it is done only where nobody is shut out by it, unless the settings say otherwise. A policy or
      access control list that opens a bucket is acted on at once, whoever set it. When infrastructure as code takes the
      block off, that waits for the settle time: such a tool makes a public website in three calls, and the policy that
      shows the purpose is the last; the block, put back before it, would have it refused.
    """

    severity = Severity.HIGH
    default_mode = Mode.ENFORCE
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
            # CloudTrail's names of PutPublicAccessBlock and DeletePublicAccessBlock (S3 user guide, "Amazon S3
            # CloudTrail events").
            ("PutBucketPublicAccessBlock",),
            at=bucket.AT,
            settles=True,
        ),
        CloudTrail(bucket.SOURCE, ("DeleteBucketPublicAccessBlock",), at=bucket.AT, settles=True, weakens=True),
        # How a bucket without the block becomes public.
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
        """Ask for the block; what is open, and who would be shut out, only where something is missing from it."""
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
            state["OpenByAcl"] = bucket.granted_to_strangers(aws, context)
        return state

    def judge(self, state: State, context: Context) -> Judgement:
        """Find buckets whose block lacks one of its four parts; those that are set stay set."""
        missing = _missing(state)
        if not missing:
            return Compliant()
        former = state["PublicAccessBlock"]
        back = _put(context, former) if former else Call("s3", "delete_public_access_block", bucket.named(context))
        change = Change((_put(context, dict.fromkeys(_FLAGS, True)),), (back,))
        told = ", ".join(flag for flag in _FLAGS if flag in missing)
        reason = f"its block of public access lacks {told}" if former else "it has no block of public access"
        strangers = state.get("OpenByAcl")
        if strangers:
            granted = " and ".join(f"{', '.join(strangers[group])} to {group}" for group in strangers)
            reason = f"{reason}, and its access control list grants {granted}"
        severity = Severity.CRITICAL if strangers else None
        kind, caution = _shut_out(state, context)
        return NonCompliant(reason, change, caution=caution, kind=kind, severity=severity)

    def essence(self, state: State) -> Any:
        """Compare the block; none is not the same as one with its four parts off."""
        return state["PublicAccessBlock"]

    def fault(self, state: State) -> Any:
        """Add what is open meanwhile, which no change of the block takes away or brings back."""
        return [state["PublicAccessBlock"], bool(state.get("PolicyIsPublic")), state.get("OpenByAcl") or {}]


def _missing(state: State) -> set[str]:
    block = state["PublicAccessBlock"] or {}
    return {flag for flag in _FLAGS if not block.get(flag)}


def _policy_is_public(aws: Aws, context: Context) -> bool:
    """Ask for S3's own verdict on the policy (S3 user guide, "The meaning of public"); none counts as public."""
    found = bucket.ask(aws, context, "get_bucket_policy_status", absent="NoSuchBucketPolicy")
    return found is not None and bool(found.get("PolicyStatus", {}).get("IsPublic", True))


def _shut_out(state: State, context: Context) -> tuple[str, str]:
    """Return whom the block would shut out, as a kind and a sentence; or two empty texts."""
    if not context.parameters["spare_public"]:
        return "", ""
    if state.get("PolicyIsPublic"):
        told = "its policy is public: whoever reads it as a stranger, such as a website's visitors, would be shut out"
        return "public policy", told
    if state.get("ObeysAcls"):
        told = "it obeys access control lists: objects may be public by their own, and would be shut off"
        return "obeys access control lists", told
    return "", ""


def _put(context: Context, block: dict[str, bool]) -> Call:
    params = {**bucket.named(context), "PublicAccessBlockConfiguration": block}
    return Call("s3", "put_public_access_block", params)
