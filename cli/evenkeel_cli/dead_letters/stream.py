"""Dead letters of the notifier: they name a place in the audit table's stream, which keeps records for a day.

Source: the Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB" (the invocation record of a failed batch,
the event of a function), and the DynamoDB API reference (GetShardIterator, GetRecords).
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.errors import code
from evenkeel_cli.aws import functions
from evenkeel_cli.aws.session import reaching
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.operators.dead_letters import DeadLetter
    from evenkeel_cli.aws.stacks import Stack

GROUP = "notifier"
"""The destination of such a message, instead of a group's name."""
_GONE = ("TrimmedDataAccessException", "ResourceNotFoundException")


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of the audit table's stream that could not be announced."""

    shard: str
    first: str
    last: str
    """Sequence numbers: increasing strings of digits."""


def batch_of(message: DeadLetter, stack: Stack) -> Batch | None:
    """Return the batch that a message names; None if it is not from this stack's notifier."""
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError):
        return None
    info = body.get("DDBStreamBatchInfo") if isinstance(body, dict) else None
    if not isinstance(info, dict) or info.get("streamArn") != stack.output("AuditStreamArn"):
        return None
    found = [info.get(name) for name in ("shardId", "startSequenceNumber", "endSequenceNumber")]
    shard, first, last = (each if isinstance(each, str) else "" for each in found)
    return Batch(shard, first, last) if shard and first.isdigit() and last.isdigit() else None


def announce(stack: Stack, batch: Batch) -> int:
    """Invoke the notifier with a batch's records; return their number.

    Raises:
        CommandError: the stream no longer has them, or the notifier failed again; keep the message.
    """
    with reaching("read the audit table's stream"):
        records = list(_records(stack, batch))
    function = stack.output("NotifierFunctionName")
    with reaching(f"invoke {function}"):
        # An alert is sent at least once: a repeat carries the same record id.
        answer = stack.cloud.client("lambda", seconds=functions.INVOKE_SECONDS, attempts=1).invoke(
            FunctionName=function, Payload=json.dumps({"Records": records}, default=_plain).encode()
        )
        said: dict[str, Any] = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError") or said.get("batchItemFailures"):
        why = said.get("errorMessage") or "it could not send all alerts"
        raise CommandError(f"{function} failed again: {why}", "Its log group says why. Fix that, then redrive again.")
    return len(records)


def _records(stack: Stack, batch: Batch) -> Iterator[dict[str, Any]]:
    """Yield a batch's records in the form of a Lambda event."""
    client = stack.cloud("dynamodbstreams")
    stream = stack.output("AuditStreamArn")
    try:
        iterator = client.get_shard_iterator(
            StreamArn=stream,
            ShardId=batch.shard,
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=batch.first,
        )["ShardIterator"]
    except ClientError as error:
        if code(error) not in _GONE:
            raise
        raise CommandError(
            "the audit table's stream keeps records for a day, and these have expired",
            f"Drop the dead letter. To see what happened since then: {stack.line('audit', 'list', since='7d')}",
        ) from error
    while iterator:
        page = client.get_records(ShardIterator=iterator)
        for record in page["Records"]:
            if int(record["dynamodb"]["SequenceNumber"]) > int(batch.last):
                return
            yield _event(record, stream)
            if record["dynamodb"]["SequenceNumber"] == batch.last:
                return
        iterator = page.get("NextShardIterator")


def _event(record: dict[str, Any], stream: str) -> dict[str, Any]:
    who = record.get("userIdentity")
    identity = {"userIdentity": {"type": who["Type"], "principalId": who["PrincipalId"]}} if who else {}
    return {**record, **identity, "eventSourceARN": stream}


def _plain(value: Any) -> Any:
    """Return a value that JSON lacks in Lambda's form: times as seconds, bytes as base64."""
    return value.timestamp() if isinstance(value, datetime) else base64.b64encode(value).decode()
