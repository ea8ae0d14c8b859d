"""Alerts that failed are read from the audit table's stream again; what is not there any more is said."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from evenkeel.operators.dead_letters import DeadLetter
from evenkeel_cli.aws.stacks import Stack
from evenkeel_cli.dead_letters import stream
from evenkeel_cli.dead_letters.stream import Batch
from evenkeel_cli.ui.failure import CommandError
from tests.cli.fake_cloud import refusal

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/evenkeel-audit/stream/2026-11-20T00:00:00.000"
INFO = {"shardId": "shardId-1", "startSequenceNumber": "900", "endSequenceNumber": "1100", "streamArn": STREAM}


class Cloud:
    """A stream with these records, two a page, and a notifier with this answer."""

    def __init__(self, *numbers: int, answer: dict[str, Any] | None = None, refuses: str = "") -> None:
        """Keep what there is."""
        self._numbers = list(numbers)
        self._answer = answer or {"batchItemFailures": []}
        self._refuses = refuses
        self.meta = SimpleNamespace(region_name="eu-west-1")
        self.invoked: list[dict[str, Any]] = []

    def __call__(self, _: str) -> Any:
        """Return itself as any client."""
        return self

    def client(self, *_: str, **__: int) -> Any:
        """Return itself as the client of the function."""
        return self

    def get_shard_iterator(self, *, SequenceNumber: str, **_: str) -> dict[str, str]:  # noqa: N803 - boto3's names
        """Begin at a record, or refuse."""
        if self._refuses:
            raise refusal(self._refuses, "GetShardIterator")
        return {"ShardIterator": str(self._numbers.index(int(SequenceNumber)))}

    def get_records(self, *, ShardIterator: str) -> dict[str, Any]:  # noqa: N803 - as above
        """Return a page, as boto3 reads it."""
        start = int(ShardIterator)
        page = [
            {
                "eventName": "REMOVE",
                "dynamodb": {
                    "SequenceNumber": str(number),
                    "ApproximateCreationDateTime": datetime(2026, 11, 20, tzinfo=UTC),
                    "OldImage": {"planted": {"B": b"\x00"}},
                },
                "userIdentity": {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"},
            }
            for number in self._numbers[start : start + 2]
        ]
        return {"Records": page, **({"NextShardIterator": str(start + 2)} if len(page) == 2 else {})}

    def invoke(self, *, Payload: bytes, **_: str) -> dict[str, Any]:  # noqa: N803 - as above
        """Take an event."""
        self.invoked.append(json.loads(Payload))
        error = {"FunctionError": "Unhandled"} if "errorMessage" in self._answer else {}
        return {"Payload": io.BytesIO(json.dumps(self._answer).encode()), **error}


def _stack(cloud: Cloud) -> Stack:
    return Stack("evenkeel", cast("Any", cloud), {"AuditStreamArn": STREAM, "NotifierFunctionName": "notifier"}, {})


def _letter(body: Any) -> DeadLetter:
    return DeadLetter("m-1", body if isinstance(body, str) else json.dumps(body), "handle", 0.0, {})


def test_the_batch_of_a_letter_is_read_from_what_lambda_wrote() -> None:
    """If this fails, alerts that failed cannot be told from events that failed."""
    message = _letter({"requestContext": {"condition": "RetryAttemptsExhausted"}, "DDBStreamBatchInfo": INFO})
    assert stream.batch_of(message, _stack(Cloud())) == Batch("shardId-1", "900", "1100")


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        {"detail": {}},
        {"DDBStreamBatchInfo": "text"},
        {"DDBStreamBatchInfo": {**INFO, "streamArn": STREAM.replace("evenkeel", "other")}},
        {"DDBStreamBatchInfo": {**INFO, "startSequenceNumber": "first"}},
        {"DDBStreamBatchInfo": {**INFO, "shardId": None}},
    ],
)
def test_any_other_letter_names_none(body: Any) -> None:
    """If this fails, a planted message makes the notifier announce another stack's stream, or ends in a traceback."""
    assert stream.batch_of(_letter(body), _stack(Cloud())) is None


def test_exactly_the_batch_is_announced_in_the_form_that_lambda_uses() -> None:
    """If this fails, alerts are missing or repeated, or an expired record is announced as tampering."""
    cloud = Cloud(900, 1000, 1050, 1100, 1150)  # numbers, not texts: "900" comes after "1100" as a text
    assert stream.announce(_stack(cloud), Batch("shardId-1", "900", "1100")) == 4
    (event,) = cloud.invoked
    assert [record["dynamodb"]["SequenceNumber"] for record in event["Records"]] == ["900", "1000", "1050", "1100"]
    first = event["Records"][0]
    assert first["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert first["dynamodb"]["ApproximateCreationDateTime"] == datetime(2026, 11, 20, tzinfo=UTC).timestamp()
    assert first["dynamodb"]["OldImage"] == {"planted": {"B": "AA=="}}


@pytest.mark.parametrize(
    ("cloud", "told"),
    [
        (Cloud(refuses="TrimmedDataAccessException"), "keeps records for a day, and these have expired"),
        (Cloud(refuses="AccessDeniedException"), "access denied by AWS at GetShardIterator"),
        (Cloud(900, 1100, answer={"batchItemFailures": [{"itemIdentifier": "900"}]}), "could not send all alerts"),
        (Cloud(900, 1100, answer={"errorMessage": "out of memory"}), "failed again: out of memory"),
    ],
)
def test_what_cannot_be_announced_is_said(cloud: Cloud, told: str) -> None:
    """If this fails, the message is deleted and nobody is ever told of what it names."""
    with pytest.raises(CommandError, match=told) as refused:
        stream.announce(_stack(cloud), Batch("shardId-1", "900", "1100"))
    assert refused.value.next_step
