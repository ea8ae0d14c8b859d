"""Who may do what with the key of the digests' MACs, and when a missing digest is told."""

from __future__ import annotations

from evenkeel.audit.digests import LATE_AFTER
from tests.stack.test_iam import listed, roles
from tests.stack.test_keys import statements
from tools.rendering import ACCOUNT, Stack

KEY = "DigestKey"


def test_only_the_clerk_makes_macs(anywhere: Stack) -> None:
    """If this fails, somebody else can give a forged digest a MAC, or nobody can make one."""
    makers = [it["Principal"] for it in statements(anywhere, KEY) if "kms:GenerateMac" in listed(it["Action"])]
    assert makers == [{"AWS": "<ClerkRole.Arn>"}]
    assert not [name for name, it in roles(anywhere) if "kms:GenerateMac" in listed(it["Action"])]


def test_whoever_may_by_iam_verifies_and_of_the_stack_the_notifier_alone(anywhere: Stack) -> None:
    """If this fails, people cannot check a MAC, or a function may that has no use for it."""
    root = {"AWS": f"arn:{anywhere.place.partition}:iam::{ACCOUNT}:root"}
    verify = [it["Principal"] for it in statements(anywhere, KEY) if "kms:VerifyMac" in listed(it["Action"])]
    assert verify == [root]
    holders = [(name, it["Resource"]) for name, it in roles(anywhere) if "kms:VerifyMac" in listed(it["Action"])]
    assert holders == [("NotifierRole", "<DigestKey.Arn>")]


def test_administrators_manage_the_key_and_cannot_hand_it_on(stack: Stack) -> None:
    """If this fails, nobody can manage the key, or an administrator can lend it to others by a grant."""
    administer, *_ = statements(stack, KEY)
    assert {"kms:PutKeyPolicy", "kms:DisableKey", "kms:ScheduleKeyDeletion"} <= set(administer["Action"])
    assert not {"kms:CreateGrant", "kms:GenerateMac", "kms:VerifyMac"} & set(administer["Action"])
    assert len(statements(stack, KEY)) == 3


def test_the_key_makes_macs_of_the_kind_that_the_engine_asks_for(stack: Stack) -> None:
    """If this fails, KMS refuses each MAC and there is no digest."""
    key = stack.of_type("AWS::KMS::Key")[KEY]
    assert (key["KeySpec"], key["KeyUsage"]) == ("HMAC_256", "GENERATE_VERIFY_MAC")
    assert stack.outputs["DigestKeyArn"] == "<DigestKey.Arn>"


def test_the_clerk_reads_heads_and_digests_and_alters_neither(stack: Stack) -> None:
    """If this fails, the clerk cannot make a digest, or may do more to the audit than add to it."""
    held = [it for name, it in roles(stack) if name == "ClerkRole"]
    on_audit = {action for it in held if it["Resource"] == "<AuditTable.Arn>" for action in listed(it["Action"])}
    assert on_audit == {"dynamodb:PutItem", "dynamodb:Query"}
    scans = [it["Resource"] for _, it in roles(stack) if "dynamodb:Scan" in listed(it["Action"])]
    assert scans == ["<StateTable.Arn>"]


def test_the_alarm_rings_when_the_engine_calls_a_digest_late(stack: Stack) -> None:
    """If this fails, alarm and ``evenkeel audit verify`` disagree on when a digest is missing."""
    alarm = stack.of_type("AWS::CloudWatch::Alarm")["DigestAlarm"]
    assert alarm["Threshold"] == LATE_AFTER.total_seconds()
