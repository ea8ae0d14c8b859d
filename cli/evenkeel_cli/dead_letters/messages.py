"""Reads the dead-letter queue without losing messages, and finds where each message came from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from evenkeel import clock
from evenkeel.control.registry import groups
from evenkeel.errors import MalformedPayloadError
from evenkeel.events import parsing
from evenkeel.model import Place
from evenkeel.operators.dead_letters import DeadLetterQueue
from evenkeel_cli.aws.session import reaching
from evenkeel_cli.dead_letters import stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from evenkeel.operators.dead_letters import DeadLetter
    from evenkeel_cli.aws.stacks import Stack

HIDDEN_SECONDS = 120
"""Time that a received message is hidden from other readers; at the end it is visible again at once."""


def queue_of(message: DeadLetter, stack: Stack) -> str:
    """Return the name of the queue that a message came from; empty if it names none, or another stack's."""
    names = {url.rpartition("/")[2] for url in stack.queues.values()}
    given = message.attributes
    for said, separator in ((given.get("origin", ""), "/"), (message.source, ":"), (given.get("TARGET_ARN", ""), ":")):
        name = said.rpartition(separator)[2]
        if name in names:
            return name
    return ""


def described(message: DeadLetter, stack: Stack, now: datetime) -> dict[str, Any]:
    """Return a message as JSON data, with its whole body."""
    return {
        "id": message.id, "reason": message.reason, "origin": queue_of(message, stack) or None,
        "groups": meant(message, stack), "age_seconds": int(now.timestamp() - message.sent_at), "body": message.body,
        "attributes": dict(message.attributes),
    }  # fmt: skip


def meant(message: DeadLetter, stack: Stack) -> list[str]:
    """Return the enabled groups that could process a message: its queue's, else those whose controls it triggers.

    A message of the notifier goes back to the notifier.
    """
    if stream.batch_of(message, stack):
        return [stream.GROUP]
    queue = queue_of(message, stack)
    enabled = stack.queues
    if queue:
        return [group for group, url in enabled.items() if url.rpartition("/")[2] == queue]
    _, partition, _, region, account, _ = stack.output("AuditTableArn").split(":", 5)
    place = Place(account, region, partition)
    try:
        payload = json.loads(message.body)
    except (ValueError, RecursionError):
        return []
    return [
        group
        for group, controls in groups().items()
        if group in enabled and _triggers(payload, controls, place)
    ]  # fmt: skip


def _triggers(payload: Any, controls: Any, place: Place) -> bool:
    try:
        return bool(parsing.parse(payload, controls, place).requests)
    except MalformedPayloadError:
        return False


class DeadLetters:
    """The dead-letter queue of a stack. Use it in a ``with`` block: received messages are visible again at its end."""

    def __init__(self, stack: Stack) -> None:
        """Open the queue; messages that arrive later are left for the next command."""
        self._stack = stack
        self._sqs = stack.cloud("sqs")
        self._url = stack.output("DeadLetterQueueUrl")
        self._queue = DeadLetterQueue(self._sqs, self._url, HIDDEN_SECONDS)
        self._began = clock.now().timestamp()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Make every message visible again that was received and not deleted."""
        with reaching("make the dead letters visible again"):
            self._queue.give_back()

    def messages(self) -> Iterator[DeadLetter]:
        """Yield each message once, until the queue returns no other, without those that a redrive adds meanwhile."""
        with reaching(f"read the dead letters of stack {self._stack.name}"):
            yield from (each for each in self._queue.messages() if each.sent_at <= self._began)

    def others(self) -> int:
        """Return the approximate number of messages that somebody else is reading."""
        name = "ApproximateNumberOfMessagesNotVisible"
        with reaching("count the dead letters"):
            answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[name])
        return max(int(answer["Attributes"][name]) - self._queue.held, 0)

    def announce(self, message: DeadLetter) -> None:
        """Send the alerts for the records that a notifier's message names, then delete the message.

        Raises:
            CommandError: the alerts could not be sent; the message is kept.
        """
        batch = stream.batch_of(message, self._stack)
        if batch:
            stream.announce(self._stack, batch)
            with reaching(f"delete dead letter {message.id}"):
                self._queue.delete(message)
