"""What makes two findings of a control one: each control tells what changes daily from what is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.control.triggers import CloudTrail
from evenkeel.model import NonCompliant
from evenkeel.remediation.fingerprint import fingerprint
from tests.cases.case import Case, cases
from tests.contract.registry import CONTROLS

FINDINGS = [
    pytest.param(control.id, case, id=f"{control.id}: {case.why}")
    for control in CONTROLS
    for case in cases(control.id)
    if case.kind == "NonCompliant"
]
EACH = pytest.mark.parametrize("control_id", [control.id for control in CONTROLS])


def _judged(control_id: str, case: Case) -> NonCompliant:
    control = all_controls()[control_id]
    judged = control.judge(case.state, case.context(control))
    assert isinstance(judged, NonCompliant)
    return judged


def _found(control_id: str, state: dict[str, Any], **fields: Any) -> str:
    case = Case("", state, "NonCompliant", **fields)
    return fingerprint(all_controls()[control_id], state, _judged(control_id, case))


@pytest.mark.parametrize(("control_id", "case"), FINDINGS)
def test_caution_has_a_kind_without_figures(control_id: str, case: Case) -> None:
    """If this fails, a finding hides behind one with another caution, or is new whenever a figure in it changes."""
    judged = _judged(control_id, case)
    assert judged.kind or not judged.caution
    assert not re.search(r"\d", judged.kind)
    assert re.fullmatch("[0-9a-f]{64}", fingerprint(all_controls()[control_id], case.state, judged))


@EACH
def test_control_says_whether_it_announces_in_any_mode(control_id: str) -> None:
    """If this fails, a finding that was fixed and comes back is silent, or a compliant look costs a needless read."""
    found = [_judged(control_id, case) for case in cases(control_id) if case.kind == "NonCompliant"]
    announced = any(each.caution or each.remains or not each.change for each in found)
    assert all_controls()[control_id].announces is announced


@EACH
def test_call_that_can_only_weaken_creates_nothing(control_id: str) -> None:
    """If this fails, a trigger says of one call that there was nothing before and that it is weaker than before."""
    calls = [each for each in all_controls()[control_id].triggers if isinstance(each, CloudTrail)]
    assert not any(each.creates and each.weakens for each in calls)


def test_calls_that_can_only_weaken() -> None:
    """If this fails, a call that only weakens finds its announcement of before, and stays silent for a day."""
    found = {
        (control.id, name)
        for control in CONTROLS
        for trigger in control.triggers
        if isinstance(trigger, CloudTrail) and trigger.weakens
        for name in trigger.names
    }
    assert found == {
        ("cloudtrail-logging", "DeleteTrail"),
        ("cloudtrail-logging", "StopLogging"),
        ("ec2-ebs-default-encryption", "DisableEbsEncryptionByDefault"),
        ("ec2-security-group-open-ingress", "AuthorizeSecurityGroupIngress"),
        ("ec2-security-group-open-ingress", "ModifySecurityGroupRules"),
        ("kms-key-rotation", "DisableKeyRotation"),
        ("logs-group-encryption", "DisassociateKmsKey"),
        ("logs-group-retention", "DeleteRetentionPolicy"),
        ("s3-bucket-public-access-block", "DeleteBucketPublicAccessBlock"),
        ("s3-tls-only-policy", "DeleteBucketPolicy"),
    }


def _rule(number: int, port: int = 22, **more: Any) -> dict[str, Any]:
    rule = {"SecurityGroupRuleId": f"sgr-{number}", "IpProtocol": "tcp", "FromPort": port, "ToPort": port}
    return {"GroupOwnerId": "123456789012", "OpenRules": [{**rule, "CidrIpv4": "0.0.0.0/0", "Tags": {}, **more}]}


def _table(gib: int, **more: Any) -> dict[str, Any]:
    state = {"PointInTimeRecoveryStatus": "DISABLED", "RecoveryPeriodInDays": None, "TableStatus": "ACTIVE"}
    return {**state, "TableSizeBytes": gib * 1024**3, "Restored": False, **more}


def _trail(**more: Any) -> dict[str, Any]:
    return {"IsLogging": False, "LatestDeliveryError": "", "HasLogged": True, "StoppedAt": "2026-11-20", **more}


def _bucket(**more: Any) -> dict[str, Any]:
    return {"PublicAccessBlock": None, **more}


TLS, POLICY = "s3-tls-only-policy", '{"Version": "2012-10-17", "Statement": []}'


@pytest.mark.parametrize(
    ("control_id", "one", "other"),
    [
        ("ec2-security-group-open-ingress", _rule(1), _rule(2)),
        ("dynamodb-point-in-time-recovery", _table(100), _table(101)),
        ("cloudtrail-logging", _trail(), _trail(StoppedAt="2026-11-21")),
        ("cloudtrail-logging", _trail(LatestDeliveryError="NoSuchBucket"), _trail(LatestDeliveryError="AccessDenied")),
        ("tagging-required-tags", {"Tags": {"Backup": "1"}}, {"Tags": {"Backup": "2", "Team": "a"}}),
        (TLS, {"Policy": POLICY, "ObeysAcls": False}, {"Policy": POLICY.replace("12", "08"), "ObeysAcls": False}),
    ],
)
def test_what_changes_daily_makes_no_new_finding(control_id: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    """If this fails, a finding that nobody touched is announced again and again."""
    assert _found(control_id, one) == _found(control_id, other)


@pytest.mark.parametrize(
    ("control_id", "one", "other"),
    [
        ("ec2-security-group-open-ingress", _rule(1), _rule(1, 3389)),
        ("dynamodb-point-in-time-recovery", _table(1), _table(100)),
        ("dynamodb-point-in-time-recovery", _table(0, Restored=True), _table(100, Restored=True)),
        ("cloudtrail-logging", _trail(), _trail(Telling=[])),
        ("cloudtrail-logging", _trail(), _trail(LatestDeliveryError="NoSuchBucket")),
        ("cloudtrail-logging", _trail(), _trail(HasLogged=False)),
        ("cloudtrail-logging", _trail(), {"IsLogging": None, "MadeElsewhere": "", "Telling": ["arn"]}),
        ("tagging-required-tags", {"Tags": {"Owner": "a"}}, {"Tags": {}}),
        ("s3-bucket-public-access-block", _bucket(ObeysAcls=True), _bucket(PolicyIsPublic=True)),
        ("s3-bucket-public-access-block", _bucket(ObeysAcls=True), _bucket(ObeysAcls=False)),
        (TLS, {"Policy": POLICY, "ObeysAcls": False}, {"Policy": POLICY, "ObeysAcls": True}),
    ],
)
def test_what_is_worse_is_another_finding(control_id: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    """If this fails, something worse hides behind what was announced before."""
    assert _found(control_id, one) != _found(control_id, other)
