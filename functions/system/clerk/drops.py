"""Drops dead letters for a person: records each one, then deletes it.

The payload has ids only, and the clerk reads the messages from the queue itself, so that the records match what is
deleted. A crash between the two leaves the message; a second attempt finds its record and deletes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.audit import system_records
from evenkeel.audit.system_records import DEAD_LETTER, Note
from evenkeel.model import Actor, Cause, Outcome, Request, Resource
from evenkeel.operators.dead_letters import DeadLetterQueue

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.model import Place
    from evenkeel.operators.dead_letters import DeadLetter, DropRequest
    from evenkeel.runtime.aws import Aws
    from evenkeel.runtime.environment import Environment

HIDDEN_SECONDS = 60
"""How long messages stay hidden if the clerk crashes: its own timeout."""
STOP_AT_MILLISECONDS = 10_000
"""Time that must remain to continue; messages that were not handled by then stay, and are reported as missing."""


class Dropper:
    """Drops dead letters for one person."""

    def __init__(  # noqa: PLR0913 - the parts of the clerk that it needs
        self, aws: Aws, ledger: Ledger, environment: Environment, *, place: Place, caller: str, now: datetime
    ) -> None:
        """Keep the parts."""
        self._queue = DeadLetterQueue(aws.client("sqs"), environment.dlq_url, HIDDEN_SECONDS)
        self._ledger = ledger
        self._environment = environment
        self._place = place
        self._caller = caller
        self._now = now

    def run(self, request: DropRequest, remaining_milliseconds: Callable[[], int]) -> dict[str, Any]:
        """Drop the requested messages; return ``{"dropped": [message ids], "missing": [message ids]}``.

        Raises:
            ClientError, LeaseHeldError: AWS refused a call; messages without a record were not deleted.
        """
        missing = set(request.messages)
        try:
            for message in self._queue.messages():
                if message.id in missing:
                    self._drop(message, request.because)
                    missing.remove(message.id)
                if not missing or remaining_milliseconds() < STOP_AT_MILLISECONDS:
                    break
        finally:
            self._queue.give_back()
        dropped = [each for each in request.messages if each not in missing]
        return {"dropped": dropped, "missing": [each for each in request.messages if each in missing]}

    def _drop(self, message: DeadLetter, because: str) -> None:
        system_records.write_once(
            self._ledger, self._note(message, because), self._environment.retention_days, self._now
        )
        self._queue.delete(message)

    def _note(self, message: DeadLetter, because: str) -> Note:
        queue = self._environment.dlq_url.rpartition("/")[2]
        place = self._place
        arn = f"arn:{place.partition}:sqs:{place.region}:{place.account}:{queue}/{message.id}"
        request = Request(
            DEAD_LETTER.id,
            Resource(arn, place.account, place.region),
            Cause("manual", event_name="Drop", event_time=self._now.isoformat()),
            Actor(principal=self._caller),
        )
        detail = f"dropped by {self._caller}: {because}"
        return Note(DEAD_LETTER, request, Outcome.DROPPED, message.reason, detail, message.evidence())
