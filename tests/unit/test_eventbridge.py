"""Patterns from triggers, by example; the contract tests ask an EventBridge engine what they match."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evenkeel.control import Control, Frameworks
from evenkeel.control.triggers import CloudTrail, Config, TagChange
from evenkeel.events import eventbridge

OURS = "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/evenkeel/"
ISSUER = [
    {"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": [{"anything-but": {"prefix": OURS}}]}}}},
    {"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": [{"exists": False}]}}}},
]


class _Declared:
    all_triggers = Control.all_triggers

    def __init__(self, *triggers: Any, hub: tuple[str, ...] = ()) -> None:
        self.triggers = triggers
        self.frameworks = Frameworks(security_hub=hub)


def _patterns(*triggers: Any) -> dict[str, Any]:
    return eventbridge.patterns([_Declared(*triggers)])  # type: ignore[list-item]


def test_calls_of_several_triggers_make_one_pattern() -> None:
    """If this fails, a trigger is missing from the rule, or the rule hears failed calls and ourselves."""
    found = _patterns(
        CloudTrail("kms.amazonaws.com", ("CreateKey", "EnableKey"), at="x"),
        CloudTrail("kms.amazonaws.com", ("DisableKey", "CreateKey"), at="x"),
        CloudTrail("dynamodb.amazonaws.com", ("CreateTable",), at="x"),
    )
    assert found == {
        "ApiCall": {
            "source": ["aws.dynamodb", "aws.kms"],
            "detail-type": ["AWS API Call via CloudTrail"],
            "detail": {
                "eventSource": ["dynamodb.amazonaws.com", "kms.amazonaws.com"],
                "eventName": ["CreateKey", "CreateTable", "DisableKey", "EnableKey"],
                "errorCode": [{"exists": False}],
                "$or": ISSUER,
            },
        }
    }


def test_types_of_config_make_one_pattern() -> None:
    """If this fails, Config's verdicts or items do not wake a control."""
    found = _patterns(Config("AWS::SQS::Queue"), Config("AWS::KMS::Key"), Config("AWS::KMS::Key"))
    types = ["AWS::KMS::Key", "AWS::SQS::Queue"]
    item = {"resourceType": types, "configurationItemStatus": ["OK", "ResourceDiscovered"]}
    assert found == {
        "Config": {
            "source": ["aws.config"],
            "detail-type": ["Config Rules Compliance Change", "Config Configuration Item Change"],
            "detail": {
                "$or": [
                    {"resourceType": types, "newEvaluationResult": {"complianceType": ["NON_COMPLIANT"]}},
                    {"configurationItem": item},
                    {"configurationItemSummary": item},
                ]
            },
        },
    }


def test_tag_changes_make_one_pattern() -> None:
    """If this fails, a tag that is taken off does not wake a control."""
    found = _patterns(TagChange("sqs"), TagChange("kms"), TagChange("kms", "key"))
    assert found == {
        "TagChange": {
            "source": ["aws.tag"],
            "detail-type": ["Tag Change on Resource"],
            "detail": {"service": ["kms", "sqs"]},
        }
    }


def test_ids_of_security_hub_make_one_pattern_for_this_place() -> None:
    """If this fails, findings do not wake a control, or those of settled work, other accounts and regions do."""
    mapped = [_Declared(hub=("RDS.8", "RDS.7")), _Declared(), _Declared(hub=("RDS.2",))]
    assert eventbridge.patterns(mapped) == {  # type: ignore[arg-type]
        "SecurityHub": {
            "source": ["aws.securityhub"],
            "detail-type": ["Security Hub Findings - Imported"],
            "detail": {
                "findings": {
                    "AwsAccountId": ["${AWS::AccountId}"],
                    "Region": ["${AWS::Region}"],
                    "RecordState": ["ACTIVE"],
                    "Workflow": {"Status": ["NEW"]},
                    "Compliance": {"Status": ["FAILED"], "SecurityControlId": ["RDS.2", "RDS.7", "RDS.8"]},
                },
            },
        }
    }


def test_nothing_makes_nothing() -> None:
    """If this fails, a group without a kind of trigger gets a rule that matches everything or is refused."""
    assert _patterns() == {}


@pytest.mark.parametrize("services", [1, 20, 60])
def test_long_unions_are_split_within_the_limit_and_lose_nothing(services: int) -> None:
    """If this fails, EventBridge refuses a rule, or events of some services reach nobody."""
    wanted = {f"service{number:02}.amazonaws.com": f"CreateSomething{number:02}" for number in range(services)}
    found = _patterns(*(CloudTrail(source, (name,), at="x") for source, name in wanted.items()))
    assert list(found) == ["ApiCall"] + [f"ApiCall{number}" for number in range(2, len(found) + 1)]
    filled = [json.dumps(pattern).replace("${AWS::Partition}", "aws-us-gov") for pattern in found.values()]
    assert all(len(text.replace("${AWS::AccountId}", "123456789012")) <= 2048 for text in filled)
    assert len(found) == {1: 1, 20: 1, 60: 3}[services]
    told = [
        (source, name)
        for pattern in found.values()
        for source, name in zip(pattern["detail"]["eventSource"], pattern["detail"]["eventName"], strict=True)
    ]
    assert dict(told) == wanted
    assert all(
        pattern["source"] == [f"aws.{source.split('.')[0]}" for source in pattern["detail"]["eventSource"]]
        for pattern in found.values()
    )


MANY = [f"Something{number:03}" for number in range(150)]
KINDS = [
    ("ApiCall", CloudTrail("ec2.amazonaws.com", tuple(MANY), at="x"), lambda detail: detail["eventName"]),
    ("Config", *map(Config, MANY), lambda detail: detail["$or"][0]["resourceType"]),
    ("TagChange", *map(TagChange, MANY), lambda detail: detail["service"]),
    ("SecurityHub", tuple(MANY), lambda detail: detail["findings"]["Compliance"]["SecurityControlId"]),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0])
def test_every_kind_of_pattern_is_split_within_the_limit(kind: tuple[Any, ...]) -> None:
    """If this fails, a group cannot grow: EventBridge refuses its rule, or some of its events wake nobody."""
    suffix, *triggers, members = kind
    hub = triggers.pop() if suffix == "SecurityHub" else ()
    found = eventbridge.patterns([_Declared(*triggers, hub=hub)])  # type: ignore[list-item]
    assert list(found) == [suffix] + [f"{suffix}{number}" for number in range(2, len(found) + 1)]
    assert len(found) > 1
    assert all(len(json.dumps(pattern)) <= 0.95 * eventbridge.MAX_PATTERN_CHARACTERS for pattern in found.values())
    assert [member for pattern in found.values() for member in members(pattern["detail"])] == MANY
