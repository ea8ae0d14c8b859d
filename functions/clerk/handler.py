"""The Lambda entry of the clerk: plans without an outcome are looked at again, and counted when they are stuck."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from evenkeel.audit import LOOK_AGAIN
from evenkeel.aws import Aws, connect
from evenkeel.model import Cause, Request, Resource
from evenkeel.queue import Queue
from evenkeel.records import SHARDS
from evenkeel.settings import Environment
from evenkeel.state import unwire
from evenkeel.telemetry import COUNT, telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics = telemetry()

STUCK_AFTER = timedelta(hours=1)
"""A plan this old without an outcome raises the alarm."""


@lru_cache(maxsize=1)
def _aws() -> Aws:
    return Aws(connect(os.environ["AWS_REGION"]))


def due_plans(aws: Aws, table: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the state items whose plan should have had an outcome by now: ``{"pk", "due_shard", "due_at"}``."""
    for shard in range(SHARDS):
        pages = aws.pages(
            "dynamodb",
            "query",
            TableName=table,
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_at <= :now",
            ExpressionAttributeValues={
                ":shard": {"S": f"plan#{shard:02d}"},
                ":now": {"N": str(int(now.timestamp()))},
            },
        )
        for page in pages:
            yield from (unwire(item) for item in page["Items"])


def look_again(aws: Aws, environment: Environment, account: str, now: datetime) -> tuple[int, int]:
    """Send every due plan's resource back to its queue; return how many there are and how many are stuck."""
    queues: dict[str, str] = json.loads(os.environ["EVENKEEL_QUEUE_URLS"])
    due = stuck = 0
    for item in due_plans(aws, environment.state_table, now):
        control, _, arn = item["pk"].partition("#")
        due += 1
        planned = datetime.fromtimestamp(item["due_at"], UTC) - LOOK_AGAIN
        if now - planned >= STUCK_AFTER:
            stuck += 1
            logger.error("stuck plan", control=control, resource=arn, planned=planned.isoformat())
        url = next((url for group, url in queues.items() if control.startswith(f"{group}-")), "")
        if not url:
            logger.error("no queue for a due plan: is its group still enabled?", control=control, resource=arn)
            continue
        cause = Cause("verify", event_name="clerk", event_time=now.isoformat())
        request = Request(control, Resource(arn, account, environment.region), cause)
        Queue(aws, url, environment.dlq_url).put_back(request, 0, "its plan has no outcome")
    return due, stuck


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve the schedule; what is due stands in the state table."""
    logger.debug("woken", by=event.get("source"))
    account = context.invoked_function_arn.split(":")[4]
    due, stuck = look_again(_aws(), Environment.read(), account, datetime.now(UTC))
    metrics.add_metric("StuckPlans", COUNT, stuck)
    logger.info("looked", due=due, stuck=stuck)
    return {"due": due, "stuck": stuck}
