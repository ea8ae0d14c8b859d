"""What a log group's state means for its encryption."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import NOW, Case
from tests.world import LOG_KEY

THEIRS = LOG_KEY.replace("10ca11ed", "0ddba11e")
US_KEY = LOG_KEY.replace("eu-west-1", "us-east-1")


def group(**differs: Any) -> dict[str, Any]:
    """Return the state of an old standard group without key and retention, but for what differs."""
    return {
        "logGroupName": "/app/orders",
        "kmsKeyId": None,
        "retentionInDays": None,
        "logGroupClass": "STANDARD",
        "creationTime": 1_600_000_000_000,
        **differs,
    }


def associate(key: str) -> tuple[Call, ...]:
    """Return the call that sets a key."""
    return (Call("logs", "associate_kms_key", {"logGroupName": "/app/orders", "kmsKeyId": key}),)


TAKE_OFF = (Call("logs", "disassociate_kms_key", {"logGroupName": "/app/orders"}),)

CASES = (
    Case("the stack's key is enough", group(kmsKeyId=LOG_KEY), "Compliant"),
    Case("somebody's own key is never replaced", group(kmsKeyId=THEIRS), "Compliant"),
    Case("a DELIVERY group that has a key is fine, too", group(kmsKeyId=THEIRS, logGroupClass="DELIVERY"), "Compliant"),
    Case("a group without a key gets the stack's", group(), "NonCompliant", "no customer managed key encrypts it",
         associate(LOG_KEY), TAKE_OFF, residue=True),
    Case("an older group that AWS Config only found is told to people", group(), "NonCompliant", "no customer",
         associate(LOG_KEY), TAKE_OFF, residue=True, found=True, caution="run the control by hand"),
    Case("a new group that AWS Config found gets the stack's", group(creationTime=int(NOW.timestamp() * 1000)),
         "NonCompliant", "no customer", associate(LOG_KEY), TAKE_OFF, residue=True, found=True),
    Case("an empty key is no key", group(kmsKeyId=""), "NonCompliant", "no customer", associate(LOG_KEY), TAKE_OFF,
         residue=True),
    Case("the settings' key is used", group(), "NonCompliant", "no customer", associate(THEIRS), TAKE_OFF,
         residue=True, parameters={"key_arn": THEIRS}),
    Case("infrequent access is a class like another", group(logGroupClass="INFREQUENT_ACCESS"), "NonCompliant",
         "no customer", associate(LOG_KEY), TAKE_OFF, residue=True),
    Case("an answer without a class means standard", group(logGroupClass=None), "NonCompliant", "no customer",
         associate(LOG_KEY), TAKE_OFF, residue=True),
    Case("groups in transit are left", group(logGroupClass="DELIVERY"), "NotApplicable", "DELIVERY"),
    Case("a key of another region cannot serve", group(), "NonCompliant", "is not in eu-west-1",
         parameters={"key_arn": US_KEY}),
)  # fmt: skip
