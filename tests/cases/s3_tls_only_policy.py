"""Which bucket policies refuse plain HTTP (IAM user guide, "aws:SecureTransport"; "s3-bucket-ssl-requests-only")."""

from __future__ import annotations

import json
from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case
from tests.factories.s3 import open_bucket
from tests.world import ACCOUNT

ARN = "arn:aws:s3:::orders"
OWN = {"Bucket": "orders", "ExpectedBucketOwner": ACCOUNT}
BOTH = [ARN, f"{ARN}/*"]
HTTP = {"Bool": {"aws:SecureTransport": "false"}}
READER = {
    "Sid": "Reader",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::210987654321:role/reader"},
    "Action": ["s3:GetObject"],
    "Resource": f"{ARN}/*",
}


def deny(**differs: Any) -> dict[str, Any]:
    """Return a statement that refuses plain HTTP, but for what differs; None leaves a part out."""
    whole = {"Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": BOTH, "Condition": HTTP}
    return {name: value for name, value in {**whole, **differs}.items() if value is not None}


def everybody(**conditions: Any) -> dict[str, Any]:
    """Return a statement that lets everybody read, under conditions."""
    return {**READER, "Principal": "*", **({"Condition": conditions} if conditions else {})}


OURS = deny(Sid="EvenkeelDenyInsecureTransport")


def text(*statements: dict[str, Any], **more: Any) -> str:
    """Return a policy's text as S3 keeps it."""
    whole = {"Version": "2012-10-17", **more, "Statement": list(statements)}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def having(*statements: dict[str, Any], acls: bool | None = None, **more: Any) -> dict[str, Any]:
    """Return the state of a bucket with a policy of these statements; what follows the policy is read if need be."""
    return {"Policy": text(*statements, **more)} | ({} if acls is None else {"ObeysAcls": acls})


def put(*statements: dict[str, Any], **more: Any) -> tuple[Call, ...]:
    """Return the call that sets such a policy."""
    return (Call("s3", "put_bucket_policy", {**OWN, "Policy": text(*statements, **more)}),)


def weak(why: str, *statements: dict[str, Any], caution: str = "", acls: bool = False, **more: Any) -> Case:
    """Return a row about a policy that gets our statement at its end, and gets back what it was."""
    return Case(why, having(*statements, acls=acls, **more), "NonCompliant", "does not deny requests without TLS",
                put(*statements, OURS, **more), put(*statements, **more), caution=caution)  # fmt: skip


NO_POLICY: dict[str, Any] = {"Policy": None, "ObeysAcls": False}
DELETE = (Call("s3", "delete_bucket_policy", OWN),)
TLS_1_2 = deny(Condition={"NumericLessThan": {"s3:TlsVersion": 1.2}})
LARGE = {**READER, "Resource": [f"{ARN}/{number:0100}/*" for number in range(180)]}
ALONE = json.dumps({"Version": "2008-10-17", "Id": "old", "Statement": READER}, indent=1)
ALONE_MERGED = json.dumps({"Version": "2008-10-17", "Id": "old", "Statement": [READER, OURS]}, separators=(",", ":"))
ELSEWHERE = {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}
CHINA = "arn:aws-cn:s3:::orders"

MAKE = {"AWS::S3::Bucket": open_bucket}  # so that every question is asked: AWS's defaults answer one

CASES = (
    Case("our own statement", having(OURS), "Compliant"),
    Case("anybody's statement, whatever its Sid, beside others", having(READER, deny(Sid=None)), "Compliant"),
    Case("BoolIfExists", having(deny(Condition={"BoolIfExists": {"aws:SecureTransport": ["false"]}})), "Compliant"),
    Case("keys and actions in any case",
         having(deny(Action="S3:*", Condition={"Bool": {"aws:securetransport": False}})), "Compliant"),
    Case("every principal as a map", having(deny(Principal={"AWS": ["*"]}, Action=["s3:*"])), "Compliant"),
    Case("every action of every service", having(deny(Action="*")), "Compliant"),
    Case("one pattern for bucket and objects", having(deny(Resource=f"{ARN}*")), "Compliant"),
    Case("any resource", having(deny(Resource="*")), "Compliant"),
    Case("two statements that cover both",
         having(deny(Resource=ARN), deny(Sid="2", Resource=[f"{ARN}/*"])), "Compliant"),
    Case("a single statement that is no list", {"Policy": json.dumps({"Statement": OURS})}, "Compliant"),
    Case("no policy: undo deletes the new one", NO_POLICY, "NonCompliant", "no policy denies", put(OURS), DELETE),
    Case("a single statement becomes the first of two", {"Policy": ALONE, "ObeysAcls": False}, "NonCompliant",
         "does not deny", (Call("s3", "put_bucket_policy", {**OWN, "Policy": ALONE_MERGED}),),
         (Call("s3", "put_bucket_policy", {**OWN, "Policy": ALONE}),)),
    Case("China's partition", NO_POLICY, "NonCompliant", "no policy",
         put({**OURS, "Resource": [CHINA, f"{CHINA}/*"]}), DELETE, arn=CHINA),
    Case("a policy without room for it", having(LARGE, acls=False), "NonCompliant", "S3 accepts 20480"),
    weak("others' statements stay", READER, Id="theirs"),
    weak("an empty policy"),
    weak("an old version of the language stays", READER, Version="2008-10-17"),
    weak("TLS's version alone lets plain HTTP through", READER, TLS_1_2),
    weak("the opposite", deny(Condition={"Bool": {"aws:SecureTransport": "true"}})),
    weak("an Allow over TLS denies nothing", {**READER, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}),
    weak("an Allow of plain HTTP to a role", {**READER, "Condition": HTTP}),
    weak("letters of any alphabet stay", READER, Id="für alle"),
    weak("a test that the key is there", deny(Condition={"Null": {"aws:SecureTransport": "false"}})),
    weak("another key", deny(Condition={"Bool": {"aws:ViaAWSService": "false"}})),
    weak("an Allow in all else like it", deny(Effect="Allow"), caution="allows everybody without a signature"),
    weak("the bucket is left out", deny(Resource=f"{ARN}/*")),
    weak("the objects are left out", deny(Resource=ARN)),
    weak("some objects are left out", deny(Resource=[ARN, f"{ARN}/a*"])),
    weak("objects of one letter only", deny(Resource=[ARN, f"{ARN}/?"])),
    weak("another bucket's objects", deny(Resource=[ARN, f"{ARN}-old/*"])),
    weak("some actions are left out", deny(Action=["s3:GetObject", "s3:PutObject"])),
    weak("all actions but some", deny(Action=None, NotAction="s3:ListBucket")),
    weak("one caller only", deny(Principal={"AWS": "arn:aws:iam::210987654321:root"})),
    weak("services only", deny(Principal={"Service": "*"})),
    weak("one caller is spared on purpose",
         deny(Principal=None, NotPrincipal={"AWS": "arn:aws:iam::210987654321:role/old"}), caution="Tls but spares"),
    weak("one network is spared on purpose", READER, deny(Sid=None, Condition={**HTTP, **ELSEWHERE}),
         caution="statement 2 but"),
    weak("a website", {**READER, "Principal": "*"}, caution="allows everybody without a signature"),
    weak("a mirror behind an endpoint",
         {**READER, "Principal": {"AWS": "*"}, "Condition": {"StringEquals": {"aws:SourceVpce": "vpce-1"}}},
         caution="allows callers of a network without a signature"),
    weak("the organization's callers sign", everybody(StringEquals={"aws:PrincipalOrgID": "o-a1b2c3d4e5"})),
    weak("keys and operators in any case", everybody(stringlike={"AWS:principalorgid": ["o-a1*"]})),
    weak("an organization's part", everybody(**{"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a/r-b/*"}})),
    weak("what calls on an account's behalf signs", everybody(StringEquals={"aws:SourceAccount": "123456789012"})),
    weak("a topic's deliveries are signed", everybody(ArnLike={"aws:SourceArn": "arn:aws:sns:*:123456789012:*"})),
    weak("all but an organization's callers", everybody(StringNotEquals={"aws:PrincipalOrgID": "o-a1b2c3d4e5"}),
         caution="allows everybody"),
    weak("who has no organization passes", everybody(StringEqualsIfExists={"aws:PrincipalOrgID": "o-a1b2c3d4e5"}),
         caution="allows everybody"),
    weak("of no value, all are right", everybody(**{"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-a/*"}}),
         caution="allows everybody"),
    weak("a bound that binds nobody", everybody(StringLike={"aws:PrincipalAccount": "*"}), caution="allows everybody"),
    weak("another condition binds nobody", everybody(Bool={"aws:SecureTransport": "true"}),
         caution="allows everybody"),
    weak("a network's callers need not sign", everybody(IpAddress={"aws:SourceIp": "203.0.113.0/24"}),
         caution="allows callers of a network"),
    weak("one open statement is enough", everybody(StringEquals={"aws:PrincipalOrgID": "o-a1b2c3d4e5"}),
         everybody(IpAddress={"aws:SourceIp": "203.0.113.0/24"}), everybody(), caution="allows everybody"),
    weak("all but one may read", {**READER, "Principal": None, "NotPrincipal": {"AWS": "arn:aws:iam::1:root"}},
         caution="allows everybody without a signature"),
    weak("objects with public lists of their own", READER, acls=True, caution="access control lists"),
    Case("objects may be public without any policy", {**NO_POLICY, "ObeysAcls": True}, "NonCompliant", "no policy",
         put(OURS), DELETE, caution="access control lists"),
    Case("somebody's statement has our Sid: it stays, and ours is numbered",
         having({**OURS, "Resource": ARN}, acls=False), "NonCompliant", "does not deny",
         put({**OURS, "Resource": ARN}, {**OURS, "Sid": f"{OURS['Sid']}2"}), put({**OURS, "Resource": ARN})),
)  # fmt: skip
