"""The dead-letter queue and its messages, and a person's request to drop some or to send them back.

The request is a payload of the clerk's function: ``{"drop": [message ids], "because": …, "caller": {…}}`` or
``{"redrive": {group: [message ids]}, "caller": {…}}``. See :mod:`evenkeel.operators.caller_proof`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from evenkeel.audit import records
from evenkeel.errors import MalformedPayloadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_MESSAGES = 100
"""Messages in one request: as many as the clerk can handle within its timeout of a minute."""
_ID = 100  # characters; SQS's message ids have 36
_BATCH = 10  # messages in one call (SQS API reference, ReceiveMessage)
_EVENT = ("eventID", "eventName", "eventSource", "eventTime")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter."""

    id: str
    body: str
    handle: str = field(repr=False)
    sent_at: float
    """Seconds since 1970."""
    attributes: Mapping[str, str]
    """The message's attributes: ``reason`` and ``origin`` from Evenkeel, ``TARGET_ARN`` and others from EventBridge."""
    source: str = ""
    """ARN of the queue that SQS moved it from after too many deliveries."""

    @classmethod
    def of(cls, message: dict[str, Any]) -> Self:
        """Return a dead letter from a message as ``receive_message`` returns it with all attributes."""
        own = message.get("MessageAttributes", {})
        system = message.get("Attributes", {})
        return cls(
            id=str(message["MessageId"]),
            body=str(message["Body"]),
            handle=str(message["ReceiptHandle"]),
            sent_at=int(system.get("SentTimestamp", 0)) / 1000,
            attributes={name: str(value.get("StringValue", "")) for name, value in own.items()},
            source=str(system.get("DeadLetterQueueSourceArn", "")),
        )

    @property
    def reason(self) -> str:
        """Why it became a dead letter, or ``unknown``."""
        if "reason" in self.attributes:
            return self.attributes["reason"]
        errors = [self.attributes.get(name, "") for name in ("ERROR_CODE", "ERROR_MESSAGE")]
        if any(errors):
            return f"EventBridge could not deliver it: {': '.join(filter(None, errors))}"
        context = _part(self._json(), "requestContext")
        if context:
            function = str(context.get("functionArn", "")).rpartition(":function:")[2]
            return f"Lambda gave up on {function or 'a function'}: {context.get('condition', 'no condition is given')}"
        if self.source:
            return "delivered too often: the function ended without an answer (crash, timeout, out of memory)"
        return "unknown"

    def evidence(self) -> dict[str, Any]:
        """Return the evidence for an audit record: enough to recognize the message, without the event's content."""
        return {
            "message": self.id,
            "sent_at": records.timestamp(datetime.fromtimestamp(self.sent_at, UTC)),
            "origin": self.attributes.get("origin") or self.source or self.attributes.get("TARGET_ARN", ""),
            "bytes": len(self.body.encode()),
            "sha256": hashlib.sha256(self.body.encode()).hexdigest(),
            "about": self._about(),
        }

    def _json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def _about(self) -> dict[str, str]:
        """Return its event's id, name, source and time, or its requests' controls and resource; empty for neither."""
        payload = self._json()
        event, requests = _part(payload, "detail"), _requests(payload)
        found = {name: event.get(name) for name in _EVENT}
        if requests:
            controls = ", ".join(str(each.get("control")) for each in requests)
            found |= {"control": controls, "resource": _part(requests[0], "resource").get("arn")}
        return {name: value for name, value in found.items() if isinstance(value, str)}


class DeadLetterQueue:
    """Reads the dead-letter queue without losing messages. Call :meth:`give_back` at the end."""

    def __init__(self, sqs: Any, url: str, hidden_seconds: int) -> None:
        """Keep an SQS client of boto3; messages that are read stay hidden for so long unless they are given back."""
        self._sqs = sqs
        self._url = url
        self._hidden_seconds = hidden_seconds
        self._held: dict[str, str] = {}

    @property
    def held(self) -> int:
        """The number of messages that were read and neither deleted nor given back."""
        return len(self._held)

    def messages(self) -> Iterator[DeadLetter]:
        """Yield each message once, until the queue returns no others."""
        while True:
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=self._hidden_seconds,
                WaitTimeSeconds=1,
                AttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
            found = [DeadLetter.of(each) for each in answer.get("Messages", [])]
            fresh = [each for each in found if each.id not in self._held]
            self._held |= {each.id: each.handle for each in found}
            if not fresh:
                return
            yield from fresh

    def delete(self, message: DeadLetter) -> None:
        """Delete a message that was read."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message.handle)
        self._held.pop(message.id, None)

    def give_back(self) -> None:
        """Make messages that were read and not deleted visible again at once."""
        handles = list(self._held.values())
        for start in range(0, len(handles), _BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for number, handle in enumerate(handles[start : start + _BATCH])
            ]
            self._sqs.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)
        self._held.clear()


def _part(payload: Any, name: str) -> dict[str, Any]:
    part = payload.get(name) if isinstance(payload, dict) else None
    return part if isinstance(part, dict) else {}


def _requests(payload: Any) -> list[dict[str, Any]]:
    """Return the requests of a message that Evenkeel put back; all are about one resource."""
    several = payload.get("requests") if isinstance(payload, dict) else None
    found = several if isinstance(several, list) else [_part(payload, "request")]
    return [each for each in found if isinstance(each, dict) and each]


@dataclass(frozen=True, slots=True)
class DropRequest:
    """A checked request to drop dead letters."""

    messages: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class RedriveRequest:
    """A checked request to send dead letters back to their groups' queues."""

    messages: Mapping[str, str]
    """Message id to group."""

    @property
    def groups(self) -> dict[str, list[str]]:
        """The messages of each group."""
        groups = dict.fromkeys(self.messages.values())
        return {group: [each for each, of in self.messages.items() if of == group] for group in groups}

    def evidence(self) -> dict[str, Any]:
        """Return the evidence for the audit record."""
        return {"messages": self.groups}


def parse_redrive(payload: Any) -> RedriveRequest:
    """Check a person's payload.

    Raises:
        MalformedPayloadError: says which part is wrong and what to write.
    """
    if not isinstance(payload, dict) or set(payload) != {"redrive", "caller"}:
        raise MalformedPayloadError('redrive: send {"redrive": {group: [message ids]}, "caller": {…}}')
    wanted = payload["redrive"]
    if not isinstance(wanted, dict) or not all(_ids(each) for each in wanted.values()):
        raise MalformedPayloadError("redrive: write a list of message ids for each group")
    messages = {each: str(group) for group, ids in wanted.items() for each in ids}
    if not 0 < len(messages) <= MAX_MESSAGES or len(messages) != sum(map(len, wanted.values())):
        raise MalformedPayloadError(f"redrive: write 1 to {MAX_MESSAGES} messages at a time, each once")
    return RedriveRequest(messages)


def _ids(raw: Any) -> bool:
    return isinstance(raw, list) and bool(raw) and all(isinstance(each, str) and 0 < len(each) <= _ID for each in raw)


def parse_drop(payload: Any) -> DropRequest:
    """Check a person's payload.

    Raises:
        MalformedPayloadError: says which part is wrong and what to write.
    """
    if not isinstance(payload, dict) or set(payload) != {"drop", "because", "caller"}:
        raise MalformedPayloadError('drop: send {"drop": [message ids], "because": …, "caller": {…}}')
    messages, because = payload["drop"], payload["because"]
    if not isinstance(messages, list) or not all(isinstance(each, str) and each for each in messages):
        raise MalformedPayloadError("drop: write a list of message ids")
    if not 0 < len(set(messages)) <= MAX_MESSAGES:
        raise MalformedPayloadError(f"drop: {len(set(messages))} messages; write 1 to {MAX_MESSAGES} at a time")
    if not isinstance(because, str) or not 0 < len(because.strip()) <= records.MAX_WORDS:
        raise MalformedPayloadError(f"because: write a text of at most {records.MAX_WORDS} characters")
    return DropRequest(tuple(dict.fromkeys(messages)), because)
