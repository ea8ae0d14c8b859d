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
    """S3 bucket policies deny every request made without TLS.

    Why: nobody on the network can read objects and signed URLs in transit.
    Blast radius: one statement is added at the end of the policy; callers who sign their requests but use plain HTTP
        are cut off. If the policy allows anonymous callers, as a website's does, or denies HTTP only to some callers,
        it is announced, not changed. PutBucketPolicy takes no condition: an edit made in the tens of milliseconds
        between the last read and the call is lost, and CloudTrail has it. New buckets wait for the settle time, so that
        the policy of whoever created them comes first.
    Cost: none.
    Undo: the former policy is set again, or deleted if there was none. Once somebody changed the policy, undo is
        refused even with --force, since it would drop their edit: remove the statement EvenkeelDenyInsecureTransport by
        hand.
    Mode: notify, since callers who sign their requests but use plain HTTP would be cut off, and Evenkeel cannot see
        them.
    Runbook: `aws s3api get-bucket-policy --bucket BUCKET` shows the policy. Ask the bucket's owner for clients that use
        plain HTTP; server access logs show a "-" as TLS version for them. Then run the command in the alert. Exempt
        buckets that serve a website endpoint, which does not support HTTPS.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.NOTIFY
    reference = (
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/"
        "example-bucket-policies.html#example-bucket-policies-use-case-HTTP-HTTPS-1"
    )
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
        """Read the policy, and who else has access only if the policy does not deny plain HTTP.

        The policy that is judged is read last, to keep the time short in which an edit could be lost.
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
        """Find buckets that answer plain HTTP; the policy's own statements and their order never change."""
        if _refuses_http(state, context):
            return Compliant()
        former = state["Policy"]
        reason = f"{'its policy does not deny' if former else 'no policy denies'} requests without TLS"
        wanted = policy.merged(former, context.resource.arn)
        size = len(wanted.encode())
        if size > policy.MAX_BYTES:
            too_large = f"{reason}; with the statement it would have {size} bytes, and S3 accepts {policy.MAX_BYTES}"
            return NonCompliant(too_large, kind="too large")
        back = _put(context, former) if former else Call("s3", "delete_bucket_policy", bucket.named(context))
        kind, caution = _cut_off(state)
        return NonCompliant(reason, Change((_put(context, wanted),), (back,)), caution=caution, kind=kind)

    def essence(self, state: State) -> Any:
        """Compare the policy as JSON, not as text."""
        return json.loads(state["Policy"]) if state["Policy"] else None

    def fault(self, state: State) -> Any:
        """Return nothing, so that the kind alone counts: the rest of a policy is edited from day to day."""


def _policy(aws: Aws, context: Context) -> State:
    found = bucket.ask(aws, context, "get_bucket_policy", absent="NoSuchBucketPolicy")
    return {"Policy": found["Policy"] if found else None}


def _refuses_http(state: State, context: Context) -> bool:
    return bool(state["Policy"]) and policy.refuses_http(state["Policy"], context.resource.arn)


def _cut_off(state: State) -> tuple[str, str]:
    """Return who would be cut off by the statement, as a kind and a sentence; or two empty strings."""
    former = state["Policy"] or "{}"
    partial = policy.partial_denial(former)
    if partial:
        caution = f"its policy denies plain HTTP in {partial} but spares some callers: ask its author"
        return "spares some", caution
    # A public policy is announced for another reason, too: under BlockPublicPolicy, S3 would refuse to set it again.
    callers = policy.unsigned_callers(former)
    if callers:
        caution = f"its policy allows {callers} without a signature, who may use plain HTTP as a website's visitors do"
        return "lets strangers in", caution
    if state["ObeysAcls"]:
        caution = "access control lists are in effect: anonymous callers may read its objects over plain HTTP"
        return "obeys access control lists", caution
    return "", ""


def _put(context: Context, text: str) -> Call:
    return Call("s3", "put_bucket_policy", {**bucket.named(context), "Policy": text})
