"""The Lambda entry of the clerk: plans without an outcome and holds that end go back to their queue.

It also watches whether the stack's rules are on, announces exemptions that end soon, keeps the daily digest, and drops
dead letters for people who prove who they are.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from clerk import notices, watch
from clerk.digest import Digests
from clerk.drops import Dropper
from evenkeel import dead_letters, due
from evenkeel.audit import LOOK_AGAIN, Ledger
from evenkeel.aws import Aws, connect
from evenkeel.caller import prove
from evenkeel.environment import Environment
from evenkeel.errors import EvenkeelError, code
from evenkeel.events import encode
from evenkeel.model import Cause, Place, Request, Resource
from evenkeel.queue import Queue
from evenkeel.settings_store import SettingsStore
from evenkeel.state import unwire
from evenkeel.telemetry import COUNT, SECONDS, telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aws_lambda_powertools.utilities.typing import LambdaContext

logger, metrics = telemetry()

STUCK_AFTER = timedelta(hours=1)
"""A plan this old without an outcome raises the alarm."""


@lru_cache(maxsize=1)
def _aws() -> Aws:
    return connect(os.environ["AWS_REGION"])[0]


@lru_cache(maxsize=1)
def _settings() -> SettingsStore:
    return SettingsStore(_aws(), Environment.read(), _now)


def _now() -> datetime:
    return datetime.now(UTC)


def _ledger(environment: Environment, context: LambdaContext) -> Ledger:
    return Ledger(_aws(), environment.audit_table, environment.state_table, context.aws_request_id, _now)


def _found(aws: Aws, table: str, now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (kind, state item) of all that is due: plans without an outcome, holds that end."""
    for kind in due.KINDS:
        for key in due.find(aws, table, kind, now):
            answer = aws("dynamodb", "get_item", TableName=table, Key={"pk": {"S": key}}, ConsistentRead=True)
            if "Item" in answer:
                yield kind, unwire(answer["Item"])


def look_again(aws: Aws, environment: Environment, account: str, now: datetime) -> tuple[int, int]:
    """Send everything due back to its queue; return how much there was and how many plans are stuck."""
    queues: dict[str, str] = json.loads(os.environ["EVENKEEL_QUEUE_URLS"])
    found = stuck = 0
    for kind, item in _found(aws, environment.state_table, now):
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


def drop(payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve a person's wish to drop dead letters; see :mod:`evenkeel.dead_letters`.

    Raises:
        EvenkeelError: the payload is wrong, or the caller is not proved; nothing was dropped.
    """
    wish = dead_letters.parse(payload)
    environment, place = Environment.read(), Place.of_function(context.invoked_function_arn)
    ledger = _ledger(environment, context)
    endpoint = _aws().client("sts").meta.endpoint_url
    caller = prove(payload, endpoint, environment.stack, place.account, ledger, _now)
    done = Dropper(_aws(), ledger, environment, place=place, caller=caller, now=_now()).run(
        wish, context.get_remaining_time_in_millis
    )
    logger.info("dropped", caller=caller, because=wish.because, **done)
    return done


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve the schedule, or a person's wish; what is due stands in the state table."""
    if not isinstance(event, dict) or "drop" in event:
        try:
            return drop(event, context)
        except EvenkeelError as error:
            logger.warning("refused", error=str(error), kind=type(error).__name__)
            return {"error": f"{type(error).__name__}: {error}"}
    logger.debug("woken", by=event.get("source"))
    environment, place = Environment.read(), Place.of_function(context.invoked_function_arn)
    rules = os.environ["EVENKEEL_RULES"].split(",")
    off = watch.switched_off(_aws(), environment.stack, rules, os.environ["EVENKEEL_NOTIFIER_SOURCE"])
    if off is not None:
        metrics.add_metric("SwitchedOff", COUNT, off)
    found, stuck = look_again(_aws(), environment, place.account, _now())
    metrics.add_metric("StuckPlans", COUNT, stuck)
    logger.info("looked", due=found, stuck=stuck)
    for notice in notices.tell(_settings(), _ledger(environment, context), environment, place, _now()):
        logger.info("announced", record_id=notice["record_id"], reason=notice["reason"])
    key = os.environ["EVENKEEL_DIGEST_KEY_ARN"]
    age = Digests(_aws(), environment, key, context.get_remaining_time_in_millis).keep()
    metrics.add_metric("DigestAge", SECONDS, age)
    return {"due": found, "stuck": stuck}
