"""Sends dead letters back to their groups' queues for a person: records the request first, then sends each message.

The payload has ids and groups only, and the clerk reads the messages from the queue itself. A crash leaves the messages
that were not sent; one may be sent twice, which is harmless.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clerk.drops import HIDDEN_SECONDS, STOP_AT_MILLISECONDS
from evenkeel.audit import system_records
from evenkeel.audit.system_records import REDRIVE, Note
from evenkeel.errors import MalformedPayloadError
from evenkeel.model import Actor, Cause, Outcome, Request, Resource
from evenkeel.operators.dead_letters import DeadLetterQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.model import Place
    from evenkeel.operators.dead_letters import RedriveRequest
    from evenkeel.runtime.aws import Aws
    from evenkeel.runtime.environment import Environment


class Redriver:
    """Sends dead letters back for one person; ``queues`` are the URLs of the enabled groups' queues."""

    def __init__(  # noqa: PLR0913 - the parts of the clerk that it needs
        self,
        aws: Aws,
        ledger: Ledger,
        environment: Environment,
        queues: Mapping[str, str],
        *,
        place: Place,
        caller: str,
        now: datetime,
    ) -> None:
        """Keep the parts."""
        self._sqs = aws.client("sqs")
        self._queue = DeadLetterQueue(self._sqs, environment.dlq_url, HIDDEN_SECONDS)
        self._ledger = ledger
        self._environment = environment
        self._queues = queues
        self._place = place
        self._caller = caller
        self._now = now

    def run(self, wanted: RedriveRequest, remaining_milliseconds: Callable[[], int]) -> dict[str, Any]:
        """Send the requested messages; return ``{"sent": [message ids], "missing": [message ids]}``.

        Raises:
            MalformedPayloadError: a group is not enabled; nothing was sent.
            ClientError, LeaseHeldError: AWS refused a call; messages that were sent before are in their queues.
        """
        for group in wanted.groups:
            if group not in self._queues:
                enabled = ", ".join(sorted(self._queues))
                raise MalformedPayloadError(f"redrive: no group {group!r}; enabled are {enabled}")
        system_records.write_once(self._ledger, self._note(wanted), self._environment.retention_days, self._now)
        missing = dict(wanted.messages)
        try:
            for message in self._queue.messages():
                if message.id in missing:
                    url = self._queues[missing.pop(message.id)]
                    self._sqs.send_message(QueueUrl=url, MessageBody=message.body)
                    self._queue.delete(message)
                if not missing or remaining_milliseconds() < STOP_AT_MILLISECONDS:
                    break
        finally:
            self._queue.give_back()
        return {"sent": [each for each in wanted.messages if each not in missing], "missing": list(missing)}

    def _note(self, wanted: RedriveRequest) -> Note:
        place, queue = self._place, self._environment.dlq_url.rpartition("/")[2]
        arn = f"arn:{place.partition}:sqs:{place.region}:{place.account}:{queue}/redrive/{self._ledger.owner}"
        request = Request(
            REDRIVE.id,
            Resource(arn, place.account, place.region),
            Cause("manual", event_name="Redrive", event_time=self._now.isoformat()),
            Actor(principal=self._caller),
        )
        counted = ", ".join(f"{len(ids)} to {group}" for group, ids in wanted.groups.items())
        reason = f"dead letters sent back to their queues: {counted}; Evenkeel acts on them at once"
        return Note(REDRIVE, request, Outcome.REDRIVEN, reason, f"sent back by {self._caller}", wanted.evidence())
