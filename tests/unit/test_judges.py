"""Every control's judgement, as its decision table in ``tests/cases`` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.errors import ErrorKind, classify
from evenkeel.model import Change, NonCompliant, NotApplicable, NotReady
from tests.cases.case import Case, cases

if TYPE_CHECKING:
    from evenkeel.control import Control

TABLE = [
    pytest.param(control, case, id=f"{control.id}: {case.why}")
    for control in all_controls().values()
    for case in cases(control.id)
]


@pytest.mark.parametrize(("control", "case"), TABLE)
def test_judgement(control: Control, case: Case) -> None:
    """If this fails, a control changes what it should leave, leaves what it should change, or changes it otherwise."""
    judged = control.judge(case.state, case.context(control))
    assert type(judged).__name__ == case.kind
    if isinstance(judged, NotApplicable | NotReady | NonCompliant):
        assert case.says
        assert case.says in judged.reason
    if isinstance(judged, NonCompliant):
        assert judged.change == (
            Change(case.calls, case.undo, judged.change.residue) if judged.change and case.calls else None
        )
        assert bool(judged.change and judged.change.residue) is case.residue
        assert bool(judged.caution) is bool(case.caution)
        assert case.caution in judged.caution
        assert bool(judged.remains) is bool(case.remains)
        assert case.remains in judged.remains
        assert (judged.severity or "") == case.severity


@pytest.mark.parametrize("control", all_controls().values(), ids=lambda control: control.id)
def test_table_reaches_every_kind_of_judgement_that_matters(control: Control) -> None:
    """If this fails, a control's table lacks a compliant state, a finding, or a state it must leave alone."""
    kinds = {case.kind for case in cases(control.id)}
    assert {"Compliant", "NonCompliant"} <= kinds
    assert len(cases(control.id)) >= 10


@pytest.mark.parametrize(("control", "case"), TABLE)
def test_judge_leaves_the_evidence_as_it_was(control: Control, case: Case) -> None:
    """If this fails, a judgement changes the state that the audit record holds as evidence."""
    before = repr(case.state)
    control.judge(case.state, case.context(control))
    assert repr(case.state) == before


def _read(control: str, answers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return what a control reads where AWS answers so."""
    case = Case("", {}, "", **fields)
    aws: Any = lambda _, operation, **__: answers[operation]  # noqa: E731 - the smallest AWS there is
    return dict(all_controls()[control].read(aws, case.context(all_controls()[control])))


TABLE_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"


def test_read_of_a_table_takes_missing_parts_for_the_weakest() -> None:
    """If this fails, an answer of DynamoDB's with parts left out crashes the control or looks compliant."""
    answers = {
        "describe_continuous_backups": {"ContinuousBackupsDescription": {"ContinuousBackupsStatus": "ENABLED"}},
        "describe_table": {"Table": {"TableStatus": "ACTIVE"}},
    }
    assert _read("dynamodb-point-in-time-recovery", answers, arn=TABLE_ARN) == {
        "TableName": "orders",
        "PointInTimeRecoveryStatus": "DISABLED",
        "RecoveryPeriodInDays": None,
        "TableStatus": "ACTIVE",
        "TableSizeBytes": 0,
        "Restored": False,
    }


def test_read_of_a_table_keeps_its_size() -> None:
    """If this fails, a table's cost is not known when it is judged."""
    answers = {
        "describe_continuous_backups": {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": {}}},
        "describe_table": {"Table": {"TableStatus": "ACTIVE", "TableSizeBytes": 7}},
    }
    assert _read("dynamodb-point-in-time-recovery", answers, arn=TABLE_ARN)["TableSizeBytes"] == 7


def test_read_of_tags_takes_only_the_resources_own() -> None:
    """If this fails, another resource's tags count as this one's."""
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/a"
    mapping = [
        {"ResourceARN": f"{arn}:*", "Tags": [{"Key": "Owner", "Value": "alice"}]},
        {"ResourceARN": f"{arn}b", "Tags": [{"Key": "Project", "Value": "other"}]},
    ]
    answers = {"get_resources": {"ResourceTagMappingList": mapping}}
    assert _read("tagging-required-tags", answers, arn=arn) == {"Tags": {"Owner": "alice"}}


KEY = "kms-key-rotation"
PITR = "dynamodb-point-in-time-recovery"
GROUP = {"kmsKeyId": "k", "retentionInDays": 7, "creationTime": 1}


@pytest.mark.parametrize(
    ("control", "one", "other", "same"),
    [
        (KEY, {"KeyRotationEnabled": False, "RotationPeriodInDays": None},
         {"KeyRotationEnabled": False, "RotationPeriodInDays": 90, "KeyState": "x"}, True),
        (KEY, {"KeyRotationEnabled": True, "RotationPeriodInDays": 365},
         {"KeyRotationEnabled": True, "RotationPeriodInDays": 90}, False),
        (KEY, {"KeyRotationEnabled": True, "RotationPeriodInDays": 365},
         {"KeyRotationEnabled": False, "RotationPeriodInDays": 365}, False),
        (PITR, {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35, "TableName": "a"},
         {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35, "TableName": "a", "TableSizeBytes": 9},
         True),
        (PITR, {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35, "TableName": "a"},
         {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 7, "TableName": "a"}, False),
        (PITR, {"PointInTimeRecoveryStatus": "ENABLED", "RecoveryPeriodInDays": 35, "TableName": "a"},
         {"PointInTimeRecoveryStatus": "DISABLED", "RecoveryPeriodInDays": 35, "TableName": "a"}, False),
        ("logs-group-encryption", GROUP, {**GROUP, "retentionInDays": 9}, True),
        ("logs-group-encryption", GROUP, {**GROUP, "kmsKeyId": None}, False),
        ("logs-group-retention", GROUP, {**GROUP, "kmsKeyId": None}, True),
        ("logs-group-retention", GROUP, {**GROUP, "retentionInDays": None}, False),
        ("tagging-required-tags", {"Tags": {"a": "1"}}, {"Tags": {"a": "1"}}, True),
        ("tagging-required-tags", {"Tags": {"a": "1"}}, {"Tags": {"a": "2"}}, False),
    ],
)  # fmt: skip
def test_what_two_states_have_in_common(control: str, one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    """If this fails, undo takes an unchanged resource for a changed one, or overwrites somebody's change."""
    essence = all_controls()[control].essence
    assert (essence(one) == essence(other)) is same


@pytest.mark.parametrize("answer", [{}, {"FailedResourcesMap": {}}])
def test_success_without_failures_is_one(answer: dict[str, Any]) -> None:
    """If this fails, every tagged resource is reported as a failure."""
    assert all(control.partial_failure(answer) is None for control in all_controls().values())


@pytest.mark.parametrize(
    ("failure", "gone"),
    [
        ({"StatusCode": 404, "ErrorCode": "InternalServiceException", "ErrorMessage": "nothing here"}, True),
        ({"StatusCode": 400, "ErrorCode": "InvalidParameterException", "ErrorMessage": "Topic does not exist"}, True),
        ({"StatusCode": 400, "ErrorCode": "InvalidParameterException", "ErrorMessage": "Topic is not ready"}, False),
        ({"StatusCode": 400, "ErrorCode": "InvalidParameterException"}, False),
    ],
)
def test_resource_that_a_service_does_not_find_is_gone(failure: dict[str, Any], gone: bool) -> None:
    """If this fails, a deleted resource is reported as a failed repair, or a failed repair as a deleted resource."""
    error = all_controls()["tagging-required-tags"].partial_failure({"FailedResourcesMap": {"arn:x": failure}})
    assert error is not None
    assert (classify(error) is ErrorKind.NOT_FOUND) is gone


def test_failure_inside_a_success_becomes_the_error_it_is() -> None:
    """If this fails, a failure that the tagging API hides is misread."""
    told = {"ErrorCode": "ThrottledException", "ErrorMessage": "slow", "StatusCode": 429}
    error = all_controls()["tagging-required-tags"].partial_failure({"FailedResourcesMap": {"arn:x": told}})
    assert error is not None
    assert error.response == {
        "Error": {"Code": "ThrottledException", "Message": "arn:x: slow"},
        "ResponseMetadata": {"HTTPStatusCode": 429},
    }
    bare = all_controls()["tagging-required-tags"].partial_failure({"FailedResourcesMap": {"arn:x": {}}})
    assert bare is not None
    assert bare.response == {
        "Error": {"Code": "", "Message": "arn:x: "}, "ResponseMetadata": {"HTTPStatusCode": 0},
    }  # fmt: skip
