"""Security Hub's findings become requests: which count, what they name, and what of them a note needs."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from evenkeel.control import Control, Frameworks
from evenkeel.control.registry import groups
from evenkeel.errors import MalformedPayloadError
from evenkeel.events import parsing, security_hub
from evenkeel.events.message import encode
from evenkeel.events.security_hub import FINDINGS
from evenkeel.model import Cause
from tests.contract.registry import MATCHES
from tests.world import ACCOUNT, PLACE, REGION

KMS = groups()["kms"]
[EXAMPLE] = [each for each in MATCHES if str(each) == "kms-key-rotation/match-security-hub"]
KEY = EXAMPLE.resources[0]
OTHER = KEY.replace("1234abcd", "5678abcd")


def _event(*findings: dict[str, Any]) -> dict[str, Any]:
    return {**deepcopy(EXAMPLE.event), "detail": {"findings": list(findings)}}


def _finding(**fields: Any) -> dict[str, Any]:
    return {**deepcopy(EXAMPLE.event["detail"]["findings"][0]), **fields}


def _on(*arns: Any) -> list[Any]:
    return [{"Type": "AwsKmsKey", "Id": arn} for arn in arns]


def test_finding_becomes_a_request_with_all_that_a_note_needs() -> None:
    """If this fails, nobody can say later which finding was mended."""
    finding = _finding(Id="f" * 512)
    [request] = parsing.parse(_event(finding), KMS, PLACE).requests
    assert (request.control, request.resource.arn, request.creates) == ("kms-key-rotation", KEY, False)
    assert request.cause == Cause(
        "securityhub", EXAMPLE.event["id"], FINDINGS, EXAMPLE.event["time"], "f" * 512, finding["ProductArn"]
    )
    assert parsing.parse(encode(request), KMS, PLACE).requests == (request,)


HALF = ({"Compliance": {"Status": "PASSED", "SecurityControlId": "KMS.4"}}, {"RecordState": "ARCHIVED"})


def test_findings_are_asked_one_by_one() -> None:
    """If this fails, two findings that are both settled wake a control because they fulfil the pattern between them."""
    settled = _event(*(_finding(**fields) for fields in HALF))
    assert parsing.parse(settled, KMS, PLACE).irrelevant
    both = _event(_finding(RecordState="ARCHIVED"), _finding(Resources=_on(OTHER)))
    assert [request.resource.arn for request in parsing.parse(both, KMS, PLACE).requests] == [OTHER]


@pytest.mark.parametrize(
    "fields",
    [
        {"Compliance": {"Status": "PASSED", "SecurityControlId": "KMS.4"}},
        {"Compliance": {"Status": "WARNING", "SecurityControlId": "KMS.4"}},
        {"Compliance": {"Status": "FAILED", "SecurityControlId": "KMS.40"}},
        {"Compliance": {"Status": "FAILED"}},
        {"Compliance": None},
        {"Compliance": "FAILED"},
        {"RecordState": "ARCHIVED"},
        {"RecordState": ["ACTIVE"]},
        {"Workflow": {"Status": "NOTIFIED"}},
        {"Workflow": {"Status": "SUPPRESSED"}},
        {"Workflow": {"Status": "RESOLVED"}},
        {"Workflow": {}},
        {"AwsAccountId": "210987654321"},
        {"AwsAccountId": None},
        {"Region": "us-east-1"},
        {"Region": None},
    ],
)
def test_finding_that_is_not_open_or_not_of_this_place_is_left_alone(fields: dict[str, Any]) -> None:
    """If this fails, Evenkeel acts on settled findings, or an administrator's account acts on its members'."""
    assert parsing.parse(_event(_finding(**fields)), KMS, PLACE).irrelevant


@pytest.mark.parametrize(
    "event",
    [
        {**_event(), "detail": {}},
        {**_event(), "detail": {"findings": "x"}},
        {**_event(), "detail": {"findings": {"0": _finding()}}},
        _event(_finding(), 5),  # type: ignore[arg-type]
        _event(_finding(Id=None)),
        _event(_finding(Id="")),
        _event(_finding(Id="f" * 513)),
        _event(_finding(ProductArn=["x"])),
        _event(_finding(ProductArn="p" * 2049)),
        _event(_finding(Resources=None)),
        _event(_finding(Resources=[])),
        _event(_finding(Resources=["x", {"Id": 5}, {}])),
        _event(_finding(Resources=_on("not an ARN!"))),
        _event(_finding(Resources=_on(f"AWS::::Account:{ACCOUNT}"))),
        _event(_finding(Resources=_on("arn:aws:s3:::bucket"))),
    ],
)
def test_finding_that_names_nothing_is_refused(event: dict[str, Any]) -> None:
    """If this fails, a finding of a form that we do not know vanishes without a dead letter."""
    with pytest.raises(MalformedPayloadError):
        parsing.parse(event, KMS, PLACE)


@pytest.mark.parametrize("part", ["account", "region"])
def test_resource_of_another_place_is_never_looked_at(part: str) -> None:
    """If this fails, a finding sends Evenkeel to an account or region that is not its own."""
    elsewhere = KEY.replace(ACCOUNT, "210987654321") if part == "account" else KEY.replace(REGION, "us-east-1")
    assert parsing.parse(_event(_finding(Resources=_on(elsewhere))), KMS, PLACE).irrelevant


class _OneAPlace:
    id, resource_type = "ec2-default", "AWS::EC2::Default"
    arn = "arn:{partition}:ec2:{region}:{account}:default"
    triggers, frameworks = (), Frameworks(security_hub=("KMS.4",))
    all_triggers = Control.all_triggers

    def applies_to(self, arn: str) -> bool:
        return arn.endswith(":default")


def test_finding_about_the_account_is_about_what_there_is_one_of() -> None:
    """If this fails, account-wide checks wake nobody, or a finding of another account is taken for ours."""
    event = _event(_finding(Resources=_on("AWS::::Account:210987654321", f"AWS::::Account:{ACCOUNT}", KEY)))
    [request] = parsing.parse(event, [_OneAPlace()], PLACE).requests  # type: ignore[list-item]
    assert request.resource.arn == f"arn:aws:ec2:{REGION}:{ACCOUNT}:default"
    elsewhere = _event(_finding(Resources=_on("AWS::::Account:210987654321", KEY)))
    with pytest.raises(MalformedPayloadError):
        parsing.parse(elsewhere, [_OneAPlace()], PLACE)  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("note", "kept"),
    [
        (None, ""),
        ("x", ""),
        ({"Text": 5, "UpdatedBy": "alice"}, ""),
        ({"Text": "  ", "UpdatedBy": "alice"}, ""),
        ({"Text": "on  it\nsoon", "UpdatedBy": "alice"}, "alice: on it soon"),
        ({"Text": "on it"}, "somebody: on it"),
        ({"Text": "x" * 2000, "UpdatedBy": "alice"}, ("alice: " + "x" * 2000)[:1024]),
        ({"Text": "Evenkeel: REMEDIATED", "UpdatedBy": "evenkeel"}, ""),
        ({"Text": "Evenkeel: REMEDIATED | before: alice: on it", "UpdatedBy": "evenkeel"}, "alice: on it"),
    ],
)
def test_note_of_somebody_else_is_known(note: Any, kept: str) -> None:
    """If this fails, Evenkeel's note takes the place of a person's, or piles up on its own."""
    assert security_hub.others_note(_finding(Note=note)) == kept
