"""What a key's state means for its rotation (KMS developer guide, "Rotate AWS KMS keys", and its key state table)."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case

ID = "1234abcd-12ab-34cd-56ef-1234567890ab"


def key(**differs: Any) -> dict[str, Any]:
    """Return the state of a customer managed symmetric key that does not rotate, but for what differs."""
    return {
        "KeyId": ID,
        "KeyRotationEnabled": False,
        "RotationPeriodInDays": None,
        "KeyManager": "CUSTOMER",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "MultiRegionKeyType": None,
        "PrimaryRegion": None,
        **differs,
    }


def rotating(days: int | None) -> dict[str, Any]:
    """Return what is read of a key that rotates often enough: nothing more is asked."""
    return {"KeyId": ID, "KeyRotationEnabled": True, "RotationPeriodInDays": days}


def enable(days: int) -> tuple[Call, ...]:
    """Return the call that switches rotation on."""
    return (Call("kms", "enable_key_rotation", {"KeyId": ID, "RotationPeriodInDays": days}),)


OFF = (Call("kms", "disable_key_rotation", {"KeyId": ID}),)

CASES = (
    Case("rotation every year is what is wanted", rotating(365), "Compliant"),
    Case("a shorter period is never lengthened", rotating(90), "Compliant"),
    Case("an answer without a period means the default year", rotating(None), "Compliant"),
    Case("a key that is off is switched on", key(), "NonCompliant", "off", enable(365), OFF, residue=True),
    Case(
        "the settings' period is used",
        key(),
        "NonCompliant",
        "off",
        enable(180),
        OFF,
        residue=True,
        parameters={"period_days": 180},
    ),
    Case(
        "a shorter period that someone had set before switching off is kept",
        key(RotationPeriodInDays=90),
        "NonCompliant",
        "off",
        enable(90),
        OFF,
        residue=True,
    ),
    Case(
        "a longer period that was set before switching off is shortened",
        key(RotationPeriodInDays=2560),
        "NonCompliant",
        "off",
        enable(365),
        OFF,
        residue=True,
    ),
    Case(
        "too long a period is shortened, and undo brings it back",
        key(KeyRotationEnabled=True, RotationPeriodInDays=730),
        "NonCompliant",
        "730 days, not every 365",
        enable(365),
        enable(730),
        residue=True,
    ),
    Case(
        "one day too long is too long",
        key(KeyRotationEnabled=True, RotationPeriodInDays=366),
        "NonCompliant",
        "366 days",
        enable(365),
        enable(366),
        residue=True,
    ),
    Case("a multi-Region primary rotates itself", key(MultiRegionKeyType="PRIMARY", PrimaryRegion="eu-west-1"),
         "NonCompliant", "off", enable(365), OFF, residue=True),
    Case("AWS managed keys are AWS's", key(KeyManager="AWS"), "NotApplicable", "AWS rotates"),
    Case("asymmetric keys cannot rotate", key(KeySpec="RSA_4096"), "NotApplicable", "RSA_4096"),
    Case("HMAC keys cannot rotate", key(KeySpec="HMAC_256"), "NotApplicable", "HMAC_256"),
    Case("post-quantum keys cannot rotate", key(KeySpec="ML_DSA_65"), "NotApplicable", "ML_DSA_65"),
    Case("imported material cannot rotate", key(Origin="EXTERNAL"), "NotApplicable", "EXTERNAL"),
    Case("imported material that is awaited cannot rotate either", key(Origin="EXTERNAL", KeyState="PendingImport"),
         "NotApplicable", "EXTERNAL"),
    Case("a CloudHSM store's keys cannot rotate", key(Origin="AWS_CLOUDHSM"), "NotApplicable", "AWS_CLOUDHSM"),
    Case("an external store's keys cannot rotate", key(Origin="EXTERNAL_KEY_STORE"), "NotApplicable", "EXTERNAL_KEY"),
    Case("a replica rotates with its primary", key(MultiRegionKeyType="REPLICA", PrimaryRegion="us-east-1"),
         "NotApplicable", "in us-east-1"),
    Case("a key on its way out is left", key(KeyState="PendingDeletion"), "NotApplicable", "deleted"),
    Case("a primary on its way out is left", key(KeyState="PendingReplicaDeletion"), "NotApplicable", "deleted"),
    Case("a disabled key refuses", key(KeyState="Disabled"), "NotApplicable", "disabled"),
    Case("a key that is being made is waited for", key(KeyState="Creating"), "NotReady", "Creating"),
    Case("a key that is being changed is waited for", key(KeyState="Updating"), "NotReady", "Updating"),
    Case("a key that is out of reach is waited for", key(KeyState="Unavailable"), "NotReady", "Unavailable"),
    Case("material on its way is waited for", key(KeyState="PendingImport"), "NotReady", "PendingImport"),
)  # fmt: skip
