"""Sends messages back to the group's queue, and to the dead-letter queue with a reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel.events.message import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenkeel.model import Request
    from evenkeel.runtime.aws import Aws

BATCH = 10
"""Messages in one call; together at most 1 MiB, formerly 256 KiB (SQS API reference, SendMessageBatch)."""
_MAX_BYTES = 200_000
_MAX_REASON = 1000


class Queue:
    """Sends to the remediator's own queue and to the stack's dead-letter queue."""

    def __init__(self, aws: Aws, queue_url: str, dlq_url: str) -> None:
        """Keep the two URLs."""
        self._aws = aws
        self._queue_url = queue_url
        self._dlq_url = dlq_url

    def put_back(self, requests: Sequence[Request], delay_seconds: int, reason: str) -> None:
        """Send requests back, to come again together after a delay (at most 900 s); the caller deletes the original."""
        self._send(self._queue_url, json.dumps(encode(*requests)), reason, DelaySeconds=delay_seconds)

    def send_all(self, bodies: Sequence[str], reason: str) -> list[str]:
        """Send messages, up to ten in one call; return the errors of those that SQS did not accept.

        A call that succeeds may have failed for some of its messages (SQS API reference, SendMessageBatch).
        """
        refused: list[str] = []
        for batch in _batches(bodies):
            entries = [
                {"Id": str(number), "MessageBody": body, "MessageAttributes": self._attributes(reason)}
                for number, body in enumerate(batch)
            ]
            answer = self._aws("sqs", "send_message_batch", QueueUrl=self._queue_url, Entries=entries)
            refused += [f"{each['Code']}: {each.get('Message', '')}" for each in answer.get("Failed", [])]
        return refused

    def give_up(self, body: str, reason: str) -> None:
        """Send a message that a retry cannot help to the dead-letter queue, which has an alarm."""
        self._send(self._dlq_url, body, reason)

    def _send(self, url: str, body: str, reason: str, **params: Any) -> None:
        attributes = self._attributes(reason)
        self._aws("sqs", "send_message", QueueUrl=url, MessageBody=body, MessageAttributes=attributes, **params)

    def _attributes(self, reason: str) -> dict[str, Any]:
        return {
            "reason": {"DataType": "String", "StringValue": _printable(reason)},
            "origin": {"DataType": "String", "StringValue": self._queue_url},
        }


def _batches(bodies: Sequence[str]) -> Iterator[list[str]]:
    """Yield batches of messages that fit one call, in order."""
    batch: list[str] = []
    for body in bodies:
        if batch and (len(batch) == BATCH or len("".join((*batch, body)).encode()) > _MAX_BYTES):
            yield batch
            batch = []
        batch.append(body)
    if batch:
        yield batch


def _printable(text: str) -> str:
    """Return a text as SQS accepts it for an attribute: not empty, without control characters."""
    return "".join(char if char.isprintable() else " " for char in text)[:_MAX_REASON] or "unknown"
