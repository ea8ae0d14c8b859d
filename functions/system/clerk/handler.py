"""The Lambda entry of the clerk: plans without an outcome and holds that end go back to their queue.

It also watches whether the stack's rules are on and how its parts are, announces exemptions that end soon, keeps the
daily digest, records who pauses Evenkeel or pushes settings, and drops or redrives dead letters for people who prove
who they are.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clerk import health_check, notices, vitals
from clerk.digest import Digests
from clerk.drops import Dropper
from clerk.redrives import Redriver
from clerk.requeue import Waker
from clerk.stack_calls import RULE, StackCalls, is_one
from evenkeel.audit.digests import LATE_AFTER
from evenkeel.audit.ledger import Ledger
from evenkeel.errors import EvenkeelError
from evenkeel.model import Place
from evenkeel.operators import dead_letters
from evenkeel.operators.caller_proof import prove
from evenkeel.runtime.aws import Aws, connect
from evenkeel.runtime.environment import Environment
from evenkeel.runtime.telemetry import COUNT, SECONDS, telemetry
from evenkeel.settings.store import SettingsStore

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from clerk.requeue import Woken

logger, metrics = telemetry()

_PLANS_STOP_AT_MILLISECONDS = 35_000
"""Time that must be left to look at another plan: the notices, the digest and some holds want the rest."""
_HOLDS_STOP_AT_MILLISECONDS = 10_000
"""Time that must be left to look at another hold; they come last."""


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


def drop(payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve a person's request to drop dead letters; see :mod:`evenkeel.operators.dead_letters`.

    Raises:
        EvenkeelError: the payload is wrong, or the caller is not proved; nothing was dropped.
    """
    asked = dead_letters.parse(payload)
    environment, place, ledger, caller = _asked(payload, context)
    done = Dropper(_aws(), ledger, environment, place=place, caller=caller, now=_now()).run(
        asked, context.get_remaining_time_in_millis
    )
    logger.info("dropped", caller=caller, because=asked.because, **done)
    return done


def redrive(payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve a person's request to send dead letters back; raises as :func:`drop`."""
    asked = dead_letters.parse_redrive(payload)
    environment, place, ledger, caller = _asked(payload, context)
    redriver = Redriver(_aws(), ledger, environment, environment.queues, place=place, caller=caller, now=_now())
    done = redriver.run(asked, context.get_remaining_time_in_millis)
    logger.info("redriven", caller=caller, **done)
    return done


def _asked(payload: dict[str, Any], context: LambdaContext) -> tuple[Environment, Place, Ledger, str]:
    """Return where a person's request is processed, and who they are.

    Raises:
        UnprovedCallerError: they do not prove it.
    """
    environment, place = Environment.read(), Place.of_function(context.invoked_function_arn)
    ledger = _ledger(environment, context)
    endpoint = _aws().client("sts").meta.endpoint_url
    return environment, place, ledger, prove(payload, endpoint, environment.stack, place.account, ledger, _now)


def stack_call(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Write down a call on the stack's own switches; see :mod:`clerk.stack_calls`.

    Raises:
        Exception: it could not be written; Lambda brings the event again, then makes it a dead letter.
    """
    environment, place = Environment.read(), Place.of_function(context.invoked_function_arn)
    calls = StackCalls(_ledger(environment, context), environment, place, environment.groups, _now())
    record = calls.audit(event)
    if record:
        logger.info(record["outcome"], resource=record["resource"], record_id=record["record_id"])
    return {"record_id": record["record_id"] if record else ""}


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve the schedule, an event of the rule, or a person's request; what is due is in the state table."""
    if isinstance(event, dict) and is_one(event):
        return stack_call(event, context)
    if not isinstance(event, dict) or "drop" in event or "redrive" in event:
        try:
            return redrive(event, context) if isinstance(event, dict) and "redrive" in event else drop(event, context)
        except EvenkeelError as error:
            logger.warning("refused", error=str(error), kind=type(error).__name__)
            return {"error": f"{type(error).__name__}: {error}"}
    logger.debug("woken", by=event.get("source"))
    return Round(context).go()


class Round:
    """One round of the schedule. Its parts do not depend on each other, and what can be much comes last."""

    def __init__(self, context: LambdaContext) -> None:
        """Keep what all parts need."""
        self._context = context
        self._environment = Environment.read()
        self._place = Place.of_function(context.invoked_function_arn)
        self._woken: list[Woken] = []
        self._rules = [*health_check.rules_of(self._environment.groups), RULE]
        self._all_told = False

    def go(self) -> dict[str, int]:
        """Do all parts, and return how much was due and how many plans are stuck, as far as the time reached.

        Raises:
            Exception: what a part failed with, once the others had their turn.
        """
        failed: list[Exception] = []
        for part in (self._vitals, self._watch, self._plans, self._notices, self._digest, self._holds):
            try:
                part()
            except Exception as error:  # one part must not silence the others; raised below, and so counted by Lambda
                logger.exception("a part of the round failed", part=part.__name__)
                failed.append(error)
        if len(failed) == 1:
            raise failed[0]
        if failed:
            raise ExceptionGroup("several parts of the round failed", failed)
        return {"due": sum(each.due for each in self._woken), "stuck": sum(each.stuck for each in self._woken)}

    def _vitals(self) -> None:
        watched = vitals.vitals(self._environment.stack, self._environment.groups, self._rules)
        self._all_told = vitals.Rounds(_aws(), self._environment, watched, _now()).look()

    def _watch(self) -> None:
        """Count what is off. A zero says that all could be read, the vitals too; its absence sets the alarm off."""
        off = health_check.switched_off(
            _aws(), self._environment.stack, self._rules, os.environ["EVENKEEL_NOTIFIER_SOURCE"]
        )
        if off or (off == 0 and self._all_told):
            metrics.add_metric("SwitchedOff", COUNT, off)

    def _plans(self) -> None:
        if stuck := self._wake("plan", _PLANS_STOP_AT_MILLISECONDS).stuck:  # a metric that is sent costs money
            metrics.add_metric("StuckPlans", COUNT, stuck)

    def _notices(self) -> None:
        ledger = _ledger(self._environment, self._context)
        for notice in notices.announce(_settings(), ledger, self._environment, self._place, _now()):
            logger.info("announced", record_id=notice["record_id"], reason=notice["reason"])

    def _digest(self) -> None:
        key, remaining = os.environ["EVENKEEL_DIGEST_KEY_ARN"], self._context.get_remaining_time_in_millis
        age = Digests(_aws(), self._environment, key, remaining).keep()
        if age > LATE_AFTER.total_seconds():
            metrics.add_metric("DigestAge", SECONDS, age)

    def _holds(self) -> None:
        self._wake("held", _HOLDS_STOP_AT_MILLISECONDS)

    def _wake(self, kind: str, stop_at_milliseconds: int) -> Woken:
        waker = Waker(
            _aws(),
            self._environment,
            self._environment.queues,
            account=self._place.account,
            now=_now(),
            remaining_milliseconds=self._context.get_remaining_time_in_millis,
        )
        self._woken.append(waker.wake(kind, stop_at_milliseconds))
        return self._woken[-1]
