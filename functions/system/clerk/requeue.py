"""Sends due requests back to their queues: those of plans without an outcome, and of holds that end.

An item's due time is moved before its message is sent. That one write returns the item, and fails if it was released,
decided or requeued meanwhile. If the clerk crashes between the two, the item becomes due again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.audit import due_index
from evenkeel.audit.ledger import RECHECK_AFTER
from evenkeel.errors import code
from evenkeel.events.message import encode
from evenkeel.events.queue import BATCH, Queue
from evenkeel.model import Cause, Request, Resource
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel.runtime.telemetry import telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenkeel.runtime.aws import Aws
    from evenkeel.runtime.environment import Environment

logger, _ = telemetry()

STUCK_AFTER = timedelta(hours=1)
"""A plan this old without an outcome raises the alarm."""
NO_QUEUE = timedelta(days=1)
"""When a due item of a group that is not enabled is reported again."""


@dataclass(slots=True)
class Requeued:
    """The numbers of due, sent and stuck items of one kind."""

    due: int = 0
    sent: int = 0
    stuck: int = 0
    more: bool = False
    """The time ran out; the rest comes in the next round."""


class Requeuer:
    """Sends due requests; ``queues`` are the URLs of the enabled groups' queues."""

    def __init__(  # noqa: PLR0913 - the parts of the clerk that it needs
        self,
        aws: Aws,
        environment: Environment,
        queues: Mapping[str, str],
        *,
        account: str,
        now: datetime,
        remaining_milliseconds: Callable[[], int],
    ) -> None:
        """Keep the parts."""
        self._aws = aws
        self._environment = environment
        self._queues = queues
        self._account = account
        self._now = now
        self._remaining = remaining_milliseconds

    def requeue(self, kind: str, stop_at_milliseconds: int) -> Requeued:
        """Send the due requests of one kind while there is time, then log and return their numbers.

        Raises:
            ClientError: a table or queue refused a call; items that were not sent become due again.
        """
        done, unsent = Requeued(), defaultdict[str, list[str]](list)
        for entry in due_index.find(self._aws, self._environment.state_table, kind, self._now):
            if self._remaining() < stop_at_milliseconds:
                done.more = True
                break
            url = next((url for group, url in self._queues.items() if entry.control.startswith(f"{group}-")), "")
            item = self._postpone(entry, RECHECK_AFTER if url else NO_QUEUE)
            if item is None:
                continue
            done.due += 1
            done.stuck += self._stuck(entry, item)
            if not url:
                problem = "due item has no queue: is its group still enabled? reported again in a day"
                logger.error(problem, control=entry.control, resource=entry.arn)
                continue
            unsent[url].append(self._message(entry, item))
            if len(unsent[url]) == BATCH:
                done.sent += self._send(url, unsent.pop(url), kind)
        done.sent += sum(self._send(url, bodies, kind) for url, bodies in unsent.items())
        logger.info("requeued", kind=kind, due=done.due, sent=done.sent, stuck=done.stuck, more=done.more)
        return done

    def _postpone(self, entry: due_index.Entry, later: timedelta) -> dict[str, Any] | None:
        """Move an item's due time, and return the item; None if it is not due any more.

        ``later`` must be long enough for the outcome to be written, so that a request is not sent twice.
        """
        values = {":later": int((self._now + later).timestamp()), ":now": int(self._now.timestamp())}
        try:
            answer = self._aws(
                "dynamodb",
                "update_item",
                TableName=self._environment.state_table,
                Key=wire({"pk": entry.key}),
                UpdateExpression="SET due_at = :later",
                ConditionExpression="due_shard = :shard AND due_at <= :now",
                ExpressionAttributeValues=wire({**values, ":shard": entry.due_shard}),
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if code(error) != "ConditionalCheckFailedException":
                raise
            logger.info("not due any more", item=entry.key)
            return None
        return unwire(answer["Attributes"])

    def _stuck(self, entry: due_index.Entry, item: dict[str, Any]) -> bool:
        if entry.kind != "plan" or self._now - datetime.fromtimestamp(item.get("planned_at", 0), UTC) < STUCK_AFTER:
            return False
        logger.error("stuck plan", control=entry.control, resource=entry.arn, plan=item.get("plan"))
        return True

    def _message(self, entry: due_index.Entry, item: dict[str, Any]) -> str:
        """Return the message to send: the held request, or one that checks a plan without an outcome."""
        if entry.kind == "held" and item.get("held_request"):
            return str(item["held_request"])
        cause = Cause("verify", event_name="clerk", event_time=self._now.isoformat())
        resource = Resource(entry.arn, self._account, self._environment.region)
        return json.dumps(encode(Request(entry.control, resource, cause)))

    def _send(self, url: str, bodies: list[str], kind: str) -> int:
        """Send messages to a queue, and return how many it accepted; the others become due again."""
        refused = Queue(self._aws, url, self._environment.dlq_url).send_all(bodies, kind)
        for reason in refused:
            logger.error("not sent; it is due again later", queue=url, reason=reason)
        return len(bodies) - len(refused)
