"""Answers and errors as events show them, per protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.events import cloudtrail, cloudtrail_ec2, cloudtrail_fields
from sandbox.protocol.asgi import Response

CALLER = cloudtrail.Caller("123456789012", {"type": "Root"}, "test", "127.0.0.1")


def _answer(status: int, body: str | dict[str, Any], **headers: str) -> Response:
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(status, {"x-amzn-requestid": "r-1", **headers}, text.encode())


def _elements(call: Any, service: str, operation: str, body: str | dict[str, Any], **parameters: Any) -> Any:
    found = call(service, operation, **parameters)
    return cloudtrail_fields.response_elements(found, dict(cloudtrail.outcome_of(found, _answer(200, body)).members))


def test_json_answers_keep_acronyms_and_show_times_as_text(call: Any) -> None:
    """``keyMetadata.aWSAccountId`` and the date's form are what consumers of real events parse."""
    body = {"KeyMetadata": {"AWSAccountId": "1", "KeyId": "k", "Arn": "a", "CreationDate": 1660171107.0}}
    assert _elements(call, "kms", "create_key", body) == {
        "keyMetadata": {"aWSAccountId": "1", "keyId": "k", "arn": "a", "creationDate": "Aug 10, 2022, 10:38:27 PM"}
    }


def test_rds_answers_lose_their_wrapper(call: Any) -> None:
    """``responseElements.dBInstanceArn`` is where AWS puts it; the API's own wrapper is dropped."""
    body = (
        "<ModifyDBInstanceResponse><ModifyDBInstanceResult><DBInstance>"
        "<DBInstanceIdentifier>db</DBInstanceIdentifier><DBInstanceArn>arn:db</DBInstanceArn>"
        "</DBInstance></ModifyDBInstanceResult></ModifyDBInstanceResponse>"
    )
    found = _elements(call, "rds", "modify_db_instance", body, DBInstanceIdentifier="db")
    assert found["dBInstanceArn"] == "arn:db"
    assert "dBInstance" not in found


def test_ec2_answers_have_sets_of_items(call: Any) -> None:
    """The ids of started instances are only in ``instancesSet.items[]``."""
    body = (
        "<RunInstancesResponse><requestId>r-1</requestId><reservationId>r</reservationId><instancesSet><item>"
        "<instanceId>i-1</instanceId><launchTime>2014-11-05T21:35:28Z</launchTime>"
        "</item></instancesSet></RunInstancesResponse>"
    )
    found = _elements(call, "ec2", "run_instances", body, ImageId="ami-1", MinCount=1, MaxCount=1)
    (instance,) = found["instancesSet"]["items"]
    assert instance["instanceId"] == "i-1"
    assert instance["launchTime"] == 1415223328000


def test_newer_ec2_answers_are_wrapped(call: Any) -> None:
    """DeleteFlowLogs and its like carry their whole answer under one name, empty lists as empty text."""
    body = "<DeleteFlowLogsResponse><requestId>r-1</requestId><unsuccessful/></DeleteFlowLogsResponse>"
    found = _elements(call, "ec2", "delete_flow_logs", body, FlowLogIds=["fl-1"])
    assert found["DeleteFlowLogsResponse"]["unsuccessful"] == ""
    assert found["DeleteFlowLogsResponse"]["xmlns"] == cloudtrail_ec2.EC2_NAMESPACE


def test_an_answer_without_content_is_null(call: Any) -> None:
    """Consumers tell a call without results by its null ``responseElements``."""
    assert _elements(call, "logs", "create_log_group", "{}", logGroupName="g") is None
    assert _elements(call, "s3", "create_bucket", "", Bucket="photos") is None


@pytest.mark.parametrize(
    ("made", "status", "body", "code"),
    [
        (
            ("kms", "create_key", {}),
            400,
            {"__type": "LimitExceededException", "message": "m"},
            "LimitExceededException",
        ),
        (("kms", "create_key", {}), 400, {"__type": "AccessDeniedException", "Message": "m"}, "AccessDenied"),
        (
            ("sns", "create_topic", {"Name": "t"}),
            400,
            "<ErrorResponse><Error><Code>InvalidParameter</Code><Message>m</Message></Error></ErrorResponse>",
            "InvalidParameter",
        ),
        (
            ("s3", "delete_bucket_policy", {"Bucket": "photos"}),
            404,
            "<Error><Code>NoSuchBucket</Code><Message>m</Message></Error>",
            "NoSuchBucket",
        ),
        (
            ("ec2", "delete_flow_logs", {"FlowLogIds": ["fl-1"]}),
            403,
            "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>m</Message></Error></Errors></Response>",
            "Client.UnauthorizedOperation",
        ),
    ],
)
def test_a_failed_call_says_so(
    call: Any, made: tuple[str, str, dict[str, Any]], status: int, body: str | dict[str, Any], code: str
) -> None:
    """The patterns refuse failed calls by ``errorCode``; without it Evenkeel would act on what never happened."""
    service, operation, parameters = made
    found = call(service, operation, **parameters)
    detail = cloudtrail.envelope(found, cloudtrail.outcome_of(found, _answer(status, body)), CALLER)["detail"]
    assert (detail["errorCode"], detail["errorMessage"], detail["responseElements"]) == (code, "m", None)
    assert (detail["requestParameters"] is None) == (code == "AccessDenied")
