"""The Lambda entry of the clerk: plans without an outcome and holds that end go back to their queue."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.audit import LOOK_AGAIN
from evenkeel.aws import Aws, connect
from evenkeel.environment import Environment
from evenkeel.errors import code
from evenkeel.events import encode
from evenkeel.model import Cause, Request, Resource
from evenkeel.queue import Queue
from evenkeel.records import SHARDS
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
    return connect(os.environ["AWS_REGION"])[0]


KINDS = ("plan", "held")


def due(aws: Aws, table: str, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (kind, state item) of all that is due: plans without an outcome, holds that end."""
    for kind in KINDS:
        for shard in range(SHARDS):
            pages = aws.pages(
                "dynamodb",
                "query",
                TableName=table,
                IndexName="due",
                KeyConditionExpression="due_shard = :shard AND due_at <= :now",
                ExpressionAttributeValues={
                    ":shard": {"S": f"{kind}#{shard:02d}"},
                    ":now": {"N": str(int(now.timestamp()))},
                },
            )
            for page in pages:
                for key in page["Items"]:
                    answer = aws("dynamodb", "get_item", TableName=table, Key={"pk": key["pk"]}, ConsistentRead=True)
                    if "Item" in answer:
                        yield kind, unwire(answer["Item"])


def look_again(aws: Aws, environment: Environment, account: str, now: datetime) -> tuple[int, int]:
    """Send everything due back to its queue; return how much there was and how many plans are stuck."""
    queues: dict[str, str] = json.loads(os.environ["EVENKEEL_QUEUE_URLS"])
    found = stuck = 0
    for kind, item in due(aws, environment.state_table, now):
        control, _, arn = item["pk"].partition("#")
        found += 1
        if kind == "plan" and now - datetime.fromtimestamp(item.get("planned_at", 0), UTC) >= STUCK_AFTER:
            stuck += 1
            logger.error("stuck plan", control=control, resource=arn, plan=item.get("plan"))
        url = next((url for group, url in queues.items() if control.startswith(f"{group}-")), "")
        if not url:
            logger.error("no queue for what is due: is its group still enabled?", control=control, resource=arn)
            continue
        Queue(aws, url, environment.dlq_url).send(_message(kind, item, account, environment.region, now), kind)
        _postpone(aws, environment.state_table, item, now)
    return found, stuck


def _message(kind: str, item: dict[str, Any], account: str, region: str, now: datetime) -> str:
    """Return the request to send: the one that is kept, or a look at a plan without an outcome."""
    if kind == "held" and item.get("held_request"):
        return str(item["held_request"])
    control, _, arn = item["pk"].partition("#")
    cause = Cause("verify", event_name="clerk", event_time=now.isoformat())
    return json.dumps(encode(Request(control, Resource(arn, account, region), cause)))


def _postpone(aws: Aws, table: str, item: dict[str, Any], now: datetime) -> None:
    """Move what was sent out of the way, so that it is not sent again before its outcome had time to be written."""
    try:
        aws(
            "dynamodb",
            "update_item",
            TableName=table,
            Key={"pk": {"S": item["pk"]}},
            UpdateExpression="SET due_at = :later",
            ConditionExpression="due_at = :seen AND due_shard = :shard",
            ExpressionAttributeValues={
                ":later": {"N": str(int((now + LOOK_AGAIN).timestamp()))},
                ":seen": {"N": str(item["due_at"])},
                ":shard": {"S": item["due_shard"]},
            },
        )
    except ClientError as error:
        if code(error) != "ConditionalCheckFailedException":
            raise
        logger.info("done meanwhile", item=item["pk"])


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve the schedule; what is due stands in the state table."""
    logger.debug("woken", by=event.get("source"))
    account = context.invoked_function_arn.split(":")[4]
    found, stuck = look_again(_aws(), Environment.read(), account, datetime.now(UTC))
    metrics.add_metric("StuckPlans", COUNT, stuck)
    logger.info("looked", due=found, stuck=stuck)
    return {"due": found, "stuck": stuck}
