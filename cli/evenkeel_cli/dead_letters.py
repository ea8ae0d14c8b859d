"""Dead letters: reading them without losing any, and where each came from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from evenkeel import events
from evenkeel.errors import MalformedPayloadError
from evenkeel.model import Place
from evenkeel.registry import groups
from evenkeel_cli.cloud import reaching

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from evenkeel_cli.stacks import Stack

HIDDEN_SECONDS = 120
"""How long a message that was received is hidden from others; in the end it is shown again at once."""
_BATCH = 10  # messages that one call of SQS takes
_LOOKED_FOR_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    id: str
    body: str
    handle: str = field(repr=False)
    sent_at: float
    """Seconds since 1970."""
    attributes: Mapping[str, str]
    """The message's own: ``reason`` and ``origin`` of Evenkeel's, ``TARGET_ARN`` and others of EventBridge's."""
    source: str = ""
    """ARN of the queue that SQS itself moved it from, after too many deliveries."""

    @property
    def reason(self) -> str:
        """Why it is here, as far as anybody said."""
        if "reason" in self.attributes:
            return self.attributes["reason"]
        told = [self.attributes.get(name, "") for name in ("ERROR_CODE", "ERROR_MESSAGE")]
        if any(told):
            return f"EventBridge could not deliver it: {': '.join(filter(None, told))}"
        if self.source:
            return "delivered too often: the function ended without an answer (crash, time limit, out of memory)"
        return "unknown"

    def queue_of(self, stack: Stack) -> str:
        """Return the name of the queue that it says it came from; empty where it says nothing or another stack's."""
        names = {url.rpartition("/")[2] for url in stack.queues.values()}
        for said, separator in (
            (self.attributes.get("origin", ""), "/"), (self.source, ":"), (self.attributes.get("TARGET_ARN", ""), ":"),
        ):  # fmt: skip
            name = said.rpartition(separator)[2]
            if name in names:
                return name
        return ""

    def described(self, stack: Stack, now: datetime) -> dict[str, Any]:
        """Return it for machines, with its whole body."""
        return {
            "id": self.id, "reason": self.reason, "origin": self.queue_of(stack) or None, "groups": meant(self, stack),
            "age_seconds": int(now.timestamp() - self.sent_at), "body": self.body, "attributes": dict(self.attributes),
        }  # fmt: skip


def meant(letter: Letter, stack: Stack) -> list[str]:
    """Return the enabled groups that could serve a letter: that of its queue, else those whose controls it triggers."""
    queue = letter.queue_of(stack)
    enabled = stack.queues
    if queue:
        return [group for group, url in enabled.items() if url.rpartition("/")[2] == queue]
    _, partition, _, region, account, _ = stack.output("AuditTableArn").split(":", 5)
    place = Place(account, region, partition)
    try:
        payload = json.loads(letter.body)
    except (ValueError, RecursionError):
        return []
    return [
        group
        for group, controls in groups().items()
        if group in enabled and _triggers(payload, controls, place)
    ]  # fmt: skip


def _triggers(payload: Any, controls: Any, place: Place) -> bool:
    try:
        return bool(events.parse(payload, controls, place).requests)
    except MalformedPayloadError:
        return False


class DeadLetters:
    """The dead-letter queue of a stack. Use it in a ``with`` block: in the end what was received is shown again."""

    def __init__(self, stack: Stack) -> None:
        """Take letters that are there by now; those that come later are left for the next command."""
        self._stack = stack
        self._sqs = stack.cloud("sqs")
        self.url = stack.output("DeadLetterQueueUrl")
        self._began = datetime.now(UTC).timestamp()
        self._held: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Show every message again that was received and not deleted."""
        handles = list(self._held.values())
        with reaching("give the dead letters back"):
            for start in range(0, len(handles), _BATCH):
                entries = [
                    {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for number, handle in enumerate(handles[start : start + _BATCH])
                ]
                self._sqs.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)

    def letters(self) -> Iterator[Letter]:
        """Yield each letter once, until the queue shows no other; a redrive's own new dead letters are left out."""
        while True:
            with reaching(f"read the dead letters of stack {self._stack.name}"):
                answer = self._sqs.receive_message(
                    QueueUrl=self.url,
                    MaxNumberOfMessages=_BATCH,
                    VisibilityTimeout=HIDDEN_SECONDS,
                    WaitTimeSeconds=_LOOKED_FOR_SECONDS,
                    AttributeNames=["All"],
                    MessageAttributeNames=["All"],
                )
            found = [_letter(each) for each in answer.get("Messages", [])]
            fresh = [each for each in found if each.id not in self._held]
            self._held |= {each.id: each.handle for each in found}
            if not fresh:
                return
            yield from (each for each in fresh if each.sent_at <= self._began)

    def others(self) -> int:
        """Return about how many messages somebody else has received and not given back."""
        name = "ApproximateNumberOfMessagesNotVisible"
        with reaching("count the dead letters"):
            answer = self._sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=[name])
        return max(int(answer["Attributes"][name]) - len(self._held), 0)

    def send(self, letter: Letter, group: str) -> None:
        """Send a letter to a group's queue, then delete it; a crash in between sends it twice, which is harmless."""
        with reaching(f"send message {letter.id} to the {group} queue"):
            self._sqs.send_message(QueueUrl=self._stack.queues[group], MessageBody=letter.body)
        self.delete(letter)

    def delete(self, letter: Letter) -> None:
        """Delete a letter."""
        with reaching(f"delete dead letter {letter.id}"):
            self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=letter.handle)
        self._held.pop(letter.id, None)


def _letter(message: dict[str, Any]) -> Letter:
    own = message.get("MessageAttributes", {})
    system = message.get("Attributes", {})
    return Letter(
        id=str(message["MessageId"]),
        body=str(message["Body"]),
        handle=str(message["ReceiptHandle"]),
        sent_at=int(system.get("SentTimestamp", 0)) / 1000,
        attributes={name: str(value.get("StringValue", "")) for name, value in own.items()},
        source=str(system.get("DeadLetterQueueSourceArn", "")),
    )
