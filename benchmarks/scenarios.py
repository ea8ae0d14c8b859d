"""The events that are measured: for each, a fresh resource, the event it causes, and the handler that serves it."""

from __future__ import annotations

import importlib
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ACCOUNT, REGION = "123456789012", "eu-west-1"


class Context:
    """What Lambda hands a handler beside the event."""

    function_name = "benchmark"
    memory_limit_in_mb = 512
    invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:benchmark"

    def __init__(self) -> None:
        """Give the invocation an id of its own."""
        self.aws_request_id = str(uuid.uuid4())

    def get_remaining_time_in_millis(self) -> int:
        """Say that a minute is left."""
        return 60_000


@dataclass(frozen=True)
class Scenario:
    """One kind of event. ``make`` creates a resource and returns its name and the event's own part."""

    name: str
    group: str
    source: str
    event_name: str
    make: Callable[[Callable[[str], Any]], tuple[str, dict[str, Any]]]
    api_calls_at_most: int
    """What the project promises: AWS calls beside the engine's own."""

    def handler(self) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
        """Import the group's handler."""
        handler: Callable[[dict[str, Any], Any], dict[str, Any]] = importlib.import_module(
            f"{self.group}.handler"
        ).handler
        return handler

    def message(self, parts: dict[str, Any], *, receives: int = 1) -> dict[str, Any]:
        """Return the SQS batch of one event, as Lambda gets it."""
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        user = {"type": "IAMUser", "userName": "alice", "arn": f"arn:aws:iam::{ACCOUNT}:user/alice"}
        detail = {
            "eventSource": self.source,
            "eventName": self.event_name,
            "eventTime": now,
            "awsRegion": REGION,
            "recipientAccountId": ACCOUNT,
            "eventID": str(uuid.uuid4()),
            "userIdentity": user,
            "userAgent": "aws-cli/2",
            **parts,
        }
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "source": f"aws.{self.source.partition('.')[0]}",
            "detail-type": "AWS API Call via CloudTrail",
            "account": ACCOUNT,
            "region": REGION,
            "time": now,
            "resources": [],
            "detail": detail,
        }
        attributes = {"ApproximateReceiveCount": str(receives)}
        record = {"messageId": str(uuid.uuid4()), "receiptHandle": "handle", "body": json.dumps(event)}
        record |= {"attributes": attributes, "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs"}  # type: ignore[dict-item] # a record of Lambda's is this mix
        record |= {"eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue", "awsRegion": REGION}
        return {"Records": [record]}


def _key(client: Callable[[str], Any]) -> tuple[str, dict[str, Any]]:
    metadata = client("kms").create_key()["KeyMetadata"]
    return metadata["KeyId"], {"responseElements": {"keyMetadata": {"arn": metadata["Arn"]}}}


def _weakened_key(client: Callable[[str], Any]) -> tuple[str, dict[str, Any]]:
    name, _ = _key(client)
    return name, {"requestParameters": {"keyId": name}}


def _table(client: Callable[[str], Any]) -> tuple[str, dict[str, Any]]:
    name = f"table-{uuid.uuid4()}"
    arn = client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]["TableArn"]
    client("dynamodb").get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return name, {"responseElements": {"tableDescription": {"tableArn": arn}}}


def _group(client: Callable[[str], Any]) -> tuple[str, dict[str, Any]]:
    name = f"/app/{uuid.uuid4()}"
    client("logs").create_log_group(logGroupName=name)
    return name, {"requestParameters": {"logGroupName": name}}


SCENARIOS = (
    Scenario("CreateKey", "kms", "kms.amazonaws.com", "CreateKey", _key, 4),
    Scenario("DisableKeyRotation", "kms", "kms.amazonaws.com", "DisableKeyRotation", _weakened_key, 4),
    Scenario("CreateTable", "dynamodb", "dynamodb.amazonaws.com", "CreateTable", _table, 3),
    Scenario("CreateLogGroup (2 controls)", "logs", "logs.amazonaws.com", "CreateLogGroup", _group, 6),
)
