"""Sends what is due back to its queue: plans without an outcome, and holds that end.

An item is put off before its message is sent. That one write shows what the item holds, and fails where somebody has
released it, decided about it or put it off meanwhile. Should the clerk die between the two, the item is due again.
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
"""When an item that is due for a group that is not enabled is reported again."""


@dataclass(slots=True)
class Woken:
    """What was due of one kind."""

    due: int = 0
    sent: int = 0
    stuck: int = 0
    more: bool = False
    """The time was over; the rest is found in the next round."""


class Waker:
    """Sends what is due; ``queues`` are the URLs of the enabled groups' queues."""

    def __init__(  # noqa: PLR0913 - the parts of the clerk it needs
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

    def wake(self, kind: str, stop_at_milliseconds: int) -> Woken:
        """Send what is due of one kind until so much time is left, and log how far it came.

        Raises:
            ClientError: a table or queue refused; what was put off and not sent is due again.
        """
        woken, waiting = Woken(), defaultdict[str, list[str]](list)
        for entry in due_index.find(self._aws, self._environment.state_table, kind, self._now):
            if self._remaining() < stop_at_milliseconds:
                woken.more = True
                break
            url = next((url for group, url in self._queues.items() if entry.control.startswith(f"{group}-")), "")
            item = self._put_off(entry, RECHECK_AFTER if url else NO_QUEUE)
            if item is None:
                continue
            woken.due += 1
            woken.stuck += self._stuck(entry, item)
            if not url:
                trouble = "no queue for what is due: is its group still enabled? reported again in a day"
                logger.error(trouble, control=entry.control, resource=entry.arn)
                continue
            waiting[url].append(self._message(entry, item))
            if len(waiting[url]) == BATCH:
                woken.sent += self._send(url, waiting.pop(url), kind)
        woken.sent += sum(self._send(url, bodies, kind) for url, bodies in waiting.items())
        logger.info("looked", kind=kind, due=woken.due, sent=woken.sent, stuck=woken.stuck, more=woken.more)
        return woken

    def _put_off(self, entry: due_index.Entry, later: timedelta) -> dict[str, Any] | None:
        """Move an item out of the way, and return it; None where it is not due any more.

        It is long enough for the outcome to be written: the same is not sent twice.
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
            logger.info("done meanwhile", item=entry.key)
            return None
        return unwire(answer["Attributes"])

    def _stuck(self, entry: due_index.Entry, item: dict[str, Any]) -> bool:
        if entry.kind != "plan" or self._now - datetime.fromtimestamp(item.get("planned_at", 0), UTC) < STUCK_AFTER:
            return False
        logger.error("stuck plan", control=entry.control, resource=entry.arn, plan=item.get("plan"))
        return True

    def _message(self, entry: due_index.Entry, item: dict[str, Any]) -> str:
        """Return the request to send: the held one, or one that checks a plan without an outcome."""
        if entry.kind == "held" and item.get("held_request"):
            return str(item["held_request"])
        cause = Cause("verify", event_name="clerk", event_time=self._now.isoformat())
        resource = Resource(entry.arn, self._account, self._environment.region)
        return json.dumps(encode(Request(entry.control, resource, cause)))

    def _send(self, url: str, bodies: list[str], kind: str) -> int:
        """Send messages to a queue, and return how many it took; of the others, each is due again."""
        refused = Queue(self._aws, url, self._environment.dlq_url).send_all(bodies, kind)
        for reason in refused:
            logger.error("not sent; it is due again later", queue=url, reason=reason)
        return len(bodies) - len(refused)
