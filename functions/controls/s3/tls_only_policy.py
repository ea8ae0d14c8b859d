"""S3 buckets refuse plain HTTP."""

from __future__ import annotations

import json
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
from s3 import bucket, policy


class TlsOnlyPolicy(bucket.BucketControl):
    """S3 bucket policies deny every call that comes without TLS.

    Why: objects and signed links are not readable on their way.
    Blast radius: one statement is added to the end of the policy; callers who sign but speak plain HTTP are cut off.
      Where strangers may come in, as to a website, or a statement spares some callers, it is announced, not changed.
      PutBucketPolicy takes no condition: an edit made in the tens of milliseconds between the last look and the call is
      lost, and is to be found in CloudTrail. New buckets settle first, so that their maker's own policy comes before.
    Cost: none.
    Undo: the former policy is set again, or deleted where there was none. Once somebody changed the policy, undo is
      refused even if forced, since it would drop what they wrote: take EvenkeelDenyInsecureTransport out by hand.
    Mode: notify, since callers who sign and yet speak plain HTTP would be cut off, and nobody can see them from here.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.NOTIFY
    announces = True
    frameworks = Frameworks(
        security_hub=("S3.5",),
        cis_3_0="2.1.1",
        nist_800_53=(
            *("AC-17(2)", "AC-4", "IA-5(1)", "SC-12(3)", "SC-13", "SC-23", "SC-23(3)", "SC-7(4)", "SC-8", "SC-8(1)"),
            *("SC-8(2)", "SI-7(6)"),
        ),
        config_rule="s3-bucket-ssl-requests-only",
    )
    triggers = (
        bucket.CREATED,
        CloudTrail(bucket.SOURCE, ("PutBucketPolicy",), at=bucket.AT),
        CloudTrail(bucket.SOURCE, ("DeleteBucketPolicy",), at=bucket.AT, weakens=True),
        Config(bucket.BucketControl.resource_type),
    )
    permissions = (
        Grant(Stage.READ, ("s3:GetBucketPolicy", "s3:GetBucketPublicAccessBlock", "s3:GetBucketOwnershipControls")),
        bucket.HOME_GRANT,
        Grant(Stage.APPLY, ("s3:PutBucketPolicy",)),
        Grant(Stage.UNDO, ("s3:PutBucketPolicy", "s3:DeleteBucketPolicy")),
        bucket.DISCOVER_GRANT,
    )
    always_settles = True
    undo_replaces = True

    def read(self, aws: Aws, context: Context) -> State:
        """Ask for the policy; who else may come in only where it does not refuse plain HTTP.

        The policy that is judged is asked for last, so that the time in which an edit could be lost is short.
        """
        state = _policy(aws, context)
        if _refuses_http(state, context):
            return state
        bucket.require_home(aws, context)
        block = bucket.ask(aws, context, "get_public_access_block", absent="NoSuchPublicAccessBlockConfiguration")
        ignores_acls = bool(block and block["PublicAccessBlockConfiguration"].get("IgnorePublicAcls"))
        obeys_acls = not ignores_acls and bucket.obeys_acls(aws, context)
        return _policy(aws, context) | {"ObeysAcls": obeys_acls}

    def judge(self, state: State, context: Context) -> Judgement:
        """Find buckets that answer plain HTTP; the policy's own statements stay as they are, in their order."""
        if _refuses_http(state, context):
            return Compliant()
        former = state["Policy"]
        reason = "its policy does not deny calls without TLS" if former else "no policy denies calls without TLS"
        wanted = policy.merged(former, context.resource.arn)
        size = len(wanted.encode())
        if size > policy.MAX_BYTES:
            told = f"{reason}; with that it would have {size} bytes, and S3 takes {policy.MAX_BYTES}"
            return NonCompliant(told, kind="too large")
        back = _put(context, former) if former else Call("s3", "delete_bucket_policy", bucket.named(context))
        kind, caution = _cut_off(state)
        return NonCompliant(reason, Change((_put(context, wanted),), (back,)), caution=caution, kind=kind)

    def essence(self, state: State) -> Any:
        """Compare the policy as JSON, not as text."""
        return json.loads(state["Policy"]) if state["Policy"] else None

    def fault(self, state: State) -> Any:
        """Leave it to the finding's kind: what else a policy says is edited from day to day."""


def _policy(aws: Aws, context: Context) -> State:
    found = bucket.ask(aws, context, "get_bucket_policy", absent="NoSuchBucketPolicy")
    return {"Policy": found["Policy"] if found else None}


def _refuses_http(state: State, context: Context) -> bool:
    return bool(state["Policy"]) and policy.refuses_http(state["Policy"], context.resource.arn)


def _cut_off(state: State) -> tuple[str, str]:
    """Return whom the statement would cut off, as a kind and a sentence; or two empty texts."""
    former = state["Policy"] or "{}"
    spared = policy.spares(former)
    if spared:
        told = f"its policy denies plain HTTP in {spared} and spares some callers: ask whoever wrote that"
        return "spares some", told
    # A public policy is announced for a second reason: under BlockPublicPolicy S3 would refuse to take it again.
    strangers = policy.lets_strangers_in(former)
    if strangers:
        told = (
            f"its policy lets in {strangers} without a signature: they may speak plain HTTP, as a website's visitors do"
        )
        return "lets strangers in", told
    if state["ObeysAcls"]:
        told = "it obeys access control lists: strangers may read its objects over plain HTTP"
        return "obeys access control lists", told
    return "", ""


def _put(context: Context, text: str) -> Call:
    return Call("s3", "put_bucket_policy", {**bucket.named(context), "Policy": text})
