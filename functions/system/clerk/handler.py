"""The Lambda entry of the clerk: sends plans without an outcome and holds that end back to their queues.

It also checks that the stack's rules are on and its parts healthy, announces exemptions that end soon, makes the daily
digest, records who pauses Evenkeel or pushes settings, and drops or redrives dead letters for people who prove their
identity.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from clerk import health_check, notices, vitals
from clerk.digest import Digests
from clerk.drops import Dropper
from clerk.redrives import Redriver
from clerk.requeue import Requeuer
from clerk.stack_calls import RULE, StackCalls, is_stack_call
from evenkeel import clock
from evenkeel.audit.digests import LATE_AFTER
from evenkeel.audit.ledger import Ledger
from evenkeel.errors import EvenkeelError, refusal
from evenkeel.model import Place
from evenkeel.operators import dead_letters
from evenkeel.operators.caller_proof import prove
from evenkeel.runtime.aws import Aws, connect
from evenkeel.runtime.environment import Environment
from evenkeel.runtime.telemetry import COUNT, SECONDS, telemetry
from evenkeel.settings.store import SettingsStore

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from clerk.requeue import Requeued

logger, metrics = telemetry()

_PLANS_STOP_AT_MILLISECONDS = 35_000
"""Time that must remain to handle another plan: the notices, the digest and some holds need the rest."""
_HOLDS_STOP_AT_MILLISECONDS = 10_000
"""Time that must remain to handle another hold; they come last."""


@lru_cache(maxsize=1)
def _aws() -> Aws:
    return connect(os.environ["AWS_REGION"])[0]


@lru_cache(maxsize=1)
def _settings() -> SettingsStore:
    return SettingsStore(_aws(), Environment.read(), clock.now)


def _ledger(environment: Environment, context: LambdaContext) -> Ledger:
    return Ledger(_aws(), environment.audit_table, environment.state_table, context.aws_request_id, clock.now)


def drop(payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve a person's request to drop dead letters; see :mod:`evenkeel.operators.dead_letters`.

    Raises:
        EvenkeelError: the payload is malformed, or the caller is not proved; nothing was dropped.
    """
    request = dead_letters.parse_drop(payload)
    environment, place, ledger, caller = _proved(payload, context)
    done = Dropper(_aws(), ledger, environment, place=place, caller=caller, now=clock.now()).run(
        request, context.get_remaining_time_in_millis
    )
    logger.info("dropped", caller=caller, because=request.because, **done)
    return done


def redrive(payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve a person's request to send dead letters back; raises as :func:`drop`."""
    request = dead_letters.parse_redrive(payload)
    environment, place, ledger, caller = _proved(payload, context)
    redriver = Redriver(_aws(), ledger, environment, environment.queues, place=place, caller=caller, now=clock.now())
    done = redriver.run(request, context.get_remaining_time_in_millis)
    logger.info("redriven", caller=caller, **done)
    return done


def _proved(payload: dict[str, Any], context: LambdaContext) -> tuple[Environment, Place, Ledger, str]:
    """Return what a person's request needs: environment, place, ledger, and the ARN of the proved caller.

    Raises:
        UnprovedCallerError: the caller is not proved.
    """
    environment, place = Environment.read(), Place.of_function(context.invoked_function_arn)
    ledger = _ledger(environment, context)
    endpoint = _aws().client("sts").meta.endpoint_url
    return environment, place, ledger, prove(payload, endpoint, environment.stack, place.account, ledger, clock.now)


def stack_call(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Record a call about the stack itself; see :mod:`clerk.stack_calls`.

    Raises:
        Exception: it could not be recorded; Lambda delivers the event again, then makes it a dead letter.
    """
    environment, place = Environment.read(), Place.of_function(context.invoked_function_arn)
    calls = StackCalls(_ledger(environment, context), environment, place, environment.groups, clock.now())
    record = calls.audit(event)
    if record:
        logger.info(record["outcome"], resource=record["resource"], record_id=record["record_id"])
    return {"record_id": record["record_id"] if record else ""}


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Serve the schedule, an event of the rule, or a person's request."""
    if isinstance(event, dict) and is_stack_call(event):
        return stack_call(event, context)
    if not isinstance(event, dict) or "drop" in event or "redrive" in event:
        try:
            return redrive(event, context) if isinstance(event, dict) and "redrive" in event else drop(event, context)
        except EvenkeelError as error:
            logger.warning("refused", error=str(error), kind=type(error).__name__)
            return refusal(error)
    logger.debug("round", source=event.get("source"))
    return Round(context).run()


class Round:
    """One round of the schedule. Its parts do not depend on each other; those that can take long come last."""

    def __init__(self, context: LambdaContext) -> None:
        """Read the environment, which all parts need."""
        self._context = context
        self._environment = Environment.read()
        self._place = Place.of_function(context.invoked_function_arn)
        self._requeued: list[Requeued] = []
        self._rules = [*health_check.rules_of(self._environment.groups), RULE]
        self._metrics_complete = False

    def run(self) -> dict[str, int]:
        """Run all parts; return the numbers of due items and stuck plans that were found before the time ran out.

        Raises:
            Exception: the error of a part that failed, after the others have run.
        """
        failed: list[Exception] = []
        for part in (self._vitals, self._watch, self._plans, self._notices, self._digest, self._holds):
            try:
                part()
            except Exception as error:  # the other parts must still run; raised below, so that Lambda counts it
                logger.exception("a part of the round failed", part=part.__name__)
                failed.append(error)
        if len(failed) == 1:
            raise failed[0]
        if failed:
            raise ExceptionGroup("several parts of the round failed", failed)
        return {"due": sum(each.due for each in self._requeued), "stuck": sum(each.stuck for each in self._requeued)}

    def _vitals(self) -> None:
        watched = vitals.vitals(self._environment.stack, self._environment.groups, self._rules)
        self._metrics_complete = vitals.VitalsReader(_aws(), self._environment, watched, clock.now()).read()

    def _watch(self) -> None:
        """Count the parts that are off; send zero only if everything could be read. Missing data set the alarm off."""
        off = health_check.switched_off(
            _aws(), self._environment.stack, self._rules, os.environ["EVENKEEL_NOTIFIER_SOURCE"]
        )
        if off or (off == 0 and self._metrics_complete):
            metrics.add_metric("SwitchedOff", COUNT, off)

    def _plans(self) -> None:
        if stuck := self._requeue("plan", _PLANS_STOP_AT_MILLISECONDS).stuck:  # a metric that is sent costs money
            metrics.add_metric("StuckPlans", COUNT, stuck)

    def _notices(self) -> None:
        ledger = _ledger(self._environment, self._context)
        for notice in notices.announce(_settings(), ledger, self._environment, self._place, clock.now()):
            logger.info("announced", record_id=notice["record_id"], reason=notice["reason"])

    def _digest(self) -> None:
        key, remaining = os.environ["EVENKEEL_DIGEST_KEY_ARN"], self._context.get_remaining_time_in_millis
        age = Digests(_aws(), self._environment, key, remaining).make_due()
        if age > LATE_AFTER.total_seconds():
            metrics.add_metric("DigestAge", SECONDS, age)

    def _holds(self) -> None:
        self._requeue("held", _HOLDS_STOP_AT_MILLISECONDS)

    def _requeue(self, kind: str, stop_at_milliseconds: int) -> Requeued:
        requeuer = Requeuer(
            _aws(),
            self._environment,
            self._environment.queues,
            account=self._place.account,
            now=clock.now(),
            remaining_milliseconds=self._context.get_remaining_time_in_millis,
        )
        self._requeued.append(requeuer.requeue(kind, stop_at_milliseconds))
        return self._requeued[-1]
