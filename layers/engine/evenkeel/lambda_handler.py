"""The Lambda handler of every group: a batch of queue messages, or a person's own payload.

A group's ``handler.py`` is ``handler = remediator(__package__)``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

from evenkeel.errors import EvenkeelError, MalformedPayloadError, SettingsError
from evenkeel.events import parsing
from evenkeel.model import Outcome, Request, Result
from evenkeel.operators import approvals, on_demand, runs
from evenkeel.remediation import decide
from evenkeel.remediation.evaluation import returned
from evenkeel.remediation.repair import NotGrantedError
from evenkeel.runtime import batch
from evenkeel.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from evenkeel.remediation.visit import Visits


MAX_RECEIVES = 5
"""Deliveries of one message before it is a dead letter; the template's redrive policy is generated from it.

Only crashes count: planned returns are new messages.
"""
SETTINGS_RETRY_SECONDS = 60
TIME_FOR_ONE_MILLISECONDS = 20_000
"""What one request may need (most of it is waiting for AWS to show a change); with less left it waits for another."""
TIME_FOR_ANOTHER_MILLISECONDS = 8_000
"""What each further request of the same visit may need: the waiting is shared, not all reads are."""
_MOST_TIME_MILLISECONDS = 50_000  # of the function's minute


Crash: TypeAlias = tuple[str, Exception]
"""A request that crashed, as a message for the queue, and of what."""


class Remediator(Worker):
    """Serves what reaches a group's function: queue messages, and what people ask for."""

    def message(self, record: batch.Record, context: LambdaContext) -> None:
        """Serve one queue message.

        Raises:
            Exception: something that a redelivery may fix. After the last one, what crashed becomes a dead letter here,
                with the reason, which SQS's own redrive could not carry.
        """
        receives, body = int(record["attributes"]["ApproximateReceiveCount"]), record["body"]
        try:
            served, crashes = self._serve(record, context, receives)
        except MalformedPayloadError as error:
            self._give_up(body, "Malformed", str(error))
            return
        except Exception as error:  # noqa: BLE001 - nothing is lost: redelivered, or a dead letter with the reason
            served, crashes = 1, [(body, error)]
        for _, crash in crashes:
            self.logger.error("crashed", message_id=record["messageId"], receives=receives, exc_info=crash)
        if crashes and receives < MAX_RECEIVES:
            raise crashes[0][1]
        if len(crashes) == served:  # the message itself, as it came
            crashes = [(body, crash) for _, crash in crashes]
        reasons: dict[str, list[str]] = {}
        for crashed, crash in crashes:
            reasons.setdefault(crashed, []).append(f"{type(crash).__name__}: {crash}")
        for crashed, why in reasons.items():
            self._give_up(crashed, "Crashed", "; ".join(why))

    def _serve(self, record: batch.Record, context: LambdaContext, receives: int) -> tuple[int, list[Crash]]:
        """Serve all requests of a message, resource by resource; return how many there are, and which crashed.

        Raises:
            MalformedPayloadError: the message is not one of ours.
        """
        try:
            payload = json.loads(record["body"])
        except (ValueError, RecursionError) as error:
            raise MalformedPayloadError(f"not JSON: {error}") from error
        parsed = parsing.parse(payload, self.controls, self.place(context))
        if parsed.irrelevant:
            self.logger.info("irrelevant", reason=parsed.irrelevant)
            return 0, []
        visits = self.visits(f"{context.aws_request_id}/{record['messageId']}", context)
        crashes: list[Crash] = []
        for requests in _by_resource(parsed.requests):
            crashes += self._visit(requests, visits, context, redelivered=receives > 1)
        if not crashes or receives >= MAX_RECEIVES:  # else they come again with the message
            for alone, reason in parsed.malformed:
                self._give_up(json.dumps(alone), "Malformed", reason)
        return len(parsed.requests) + len(parsed.malformed), crashes

    def _visit(
        self, requests: Sequence[Request], visits: Visits, context: LambdaContext, *, redelivered: bool
    ) -> list[Crash]:
        """Serve the requests about one resource, and see that what is not finished comes back; return what crashed."""
        ended: Sequence[Result | Exception]
        if context.get_remaining_time_in_millis() < _time_for(len(requests)):
            late = "no time left in this batch"
            ended = [Result(request, Outcome.RETURNED, late, delay_seconds=1) for request in requests]
        else:
            ended = self._visited(requests, visits, redelivered=redelivered)
        results: list[Result] = []
        crashes: list[Crash] = []
        for request, end in zip(requests, ended, strict=True):
            message = json.dumps(parsing.encode(request))
            if isinstance(end, Result):
                results.append(end)
            elif isinstance(end, SettingsError):
                self.settings.count(end)
                results.append(returned(request, f"settings: {end}", SETTINGS_RETRY_SECONDS))
            elif isinstance(end, NotGrantedError):
                self._give_up(message, "NotGranted", str(end))
            else:
                crashes.append((message, end))
        try:
            self._told(results)
        except Exception as error:  # noqa: BLE001 - what is to come again must not be lost: the caller raises it
            crashes += [(json.dumps(parsing.encode(each.request)), error) for each in _waiting(results)]
        return crashes

    def _visited(
        self, requests: Sequence[Request], visits: Visits, *, redelivered: bool
    ) -> Sequence[Result | Exception]:
        controls = {control.id: control for control in self.controls}
        try:
            settings = self.settings.load()
        except SettingsError as error:
            return [error] * len(requests)
        return visits.visit([(controls[each.control], each) for each in requests], settings, redelivered=redelivered)

    def _told(self, results: Sequence[Result]) -> None:
        """Say what became of requests, and send those back that have to come again: in one message, if at one time."""
        now, waiting = self.now(), defaultdict(list)
        for result in results:
            self._tell(result)
            if result.outcome is Outcome.RETURNED and decide.given_up(result.request, now):
                reason = f"for six hours: {result.reason}"
                self._give_up(json.dumps(parsing.encode(result.request)), "GaveUp", reason)
            elif result.outcome is Outcome.RETURNED:
                waiting[result.delay_seconds].append(result)
        for delay_seconds, together in waiting.items():
            reasons = "; ".join(dict.fromkeys(result.reason for result in together))
            self.queue.put_back([result.request.again(now) for result in together], delay_seconds, reasons)

    def _give_up(self, body: str, kind: str, reason: str) -> None:
        self.logger.error("dead letter", kind=kind, reason=reason, body_start=body[:500])
        self.queue.give_up(body, f"{kind}: {reason}")

    def _tell(self, result: Result) -> None:
        request = result.request
        self.logger.info(
            str(result.outcome),
            control=request.control,
            resource=request.resource.arn,
            reason=result.reason,
            event_id=request.cause.event_id,
            event_name=request.cause.event_name,
            attempt=request.attempt,
            record_id=result.record_id,
        )

    def decided(self, payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Serve a person's decision about a kept change; see :mod:`evenkeel.operators.approvals`."""
        decision = approvals.parse(payload)
        owner = context.aws_request_id
        desk = approvals.Desk(
            self.controls,
            self.ledger(owner),
            self.queue,
            stack=self.environment.stack,
            sts_endpoint=self.sts_endpoint(),
            place=self.place(context),
            clock=self.now,
            remaining_milliseconds=context.get_remaining_time_in_millis,
        )
        run, loaded = self.visits(owner, context).run, self.settings.load()
        decided = desk.decide(
            decision, lambda control, request, approval: run(control, request, loaded, approval=approval)
        )
        for result in decided.results:
            self._tell(result)
        onward = str(decided.onward) if decided.onward else None
        return {"results": [on_demand.described(result) for result in decided.results], "next": onward}

    def opened(self, context: LambdaContext) -> runs.Runs:
        """Return the stack's runs, for one invocation."""
        ledger = self.ledger(context.aws_request_id)
        return runs.Runs(ledger, self.environment, self.place(context), self.sts_endpoint, self.now)

    def by_hand(self, payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Serve a person's payload; see :mod:`evenkeel.operators.on_demand`."""
        opened = self.opened(context)
        wish = on_demand.parse(payload, self.controls, self.place(context), context.aws_request_id, self.now())
        wish = wish.covered(opened)
        run = self.visits(context.aws_request_id, context).run
        loaded = self.settings.load()

        def one(request: Request) -> Result:
            if wish.run:
                opened.must_be_open(wish.run)  # asked again for each: whoever ends a run stops it within seconds
            result = run(wish.control, request, loaded)
            if request.dry_run:
                self._tell(result)
            else:
                self._told([result])
            return result

        return on_demand.serve(wish, one, self.control_aws, context.get_remaining_time_in_millis)


def _by_resource(requests: Iterable[Request]) -> list[list[Request]]:
    """Return requests in groups about one resource each, in their order."""
    found: dict[str, list[Request]] = {}
    for request in requests:
        found.setdefault(request.resource.arn, []).append(request)
    return list(found.values())


def _waiting(results: Iterable[Result]) -> list[Result]:
    """Return the results of requests that come again."""
    return [result for result in results if result.outcome is Outcome.RETURNED]


def _time_for(requests: int) -> int:
    """Return the milliseconds that a visit with so many requests may need; a new invocation always has as much."""
    return min(TIME_FOR_ONE_MILLISECONDS + TIME_FOR_ANOTHER_MILLISECONDS * (requests - 1), _MOST_TIME_MILLISECONDS)


def remediator(package: str) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """Return the Lambda handler of a group's package."""
    worker = Remediator(package)

    @worker.logger.inject_lambda_context
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        if isinstance(event, dict) and "Records" in event:
            return batch.serve(
                event["Records"],
                lambda record: worker.message(record, context),
                lambda record: str(record["messageId"]),
                worker.logger,
            )
        try:
            if isinstance(event, dict) and any(verb in event for verb in approvals.VERBS):
                return worker.decided(event, context)
            if isinstance(event, dict) and any(verb in event for verb in runs.VERBS):
                return worker.opened(context).serve(event)
            return worker.by_hand(event, context)
        except EvenkeelError as error:
            if isinstance(error, SettingsError):
                worker.settings.count(error)
            worker.logger.warning("refused", error=str(error), kind=type(error).__name__)
            return {"error": f"{type(error).__name__}: {error}"}

    return handler
