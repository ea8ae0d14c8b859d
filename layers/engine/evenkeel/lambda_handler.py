"""The Lambda handler of every group: serves a batch of queue messages, or a person's payload.

A group's ``handler.py`` is ``handler = remediator(__package__)``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any, TypeAlias

from evenkeel.errors import EvenkeelError, MalformedPayloadError, SettingsError, refusal
from evenkeel.events import parsing
from evenkeel.events.message import encode
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
"""Time that one request may need, mostly waiting for AWS to show a change; with less left it goes back to the queue."""
TIME_FOR_ANOTHER_MILLISECONDS = 8_000
"""Time that each further request of the same visit may need: the waiting is shared, the reads may not be."""
_MAX_TIME_MILLISECONDS = 50_000  # of the function's minute


Crash: TypeAlias = tuple[str, Exception]
"""A request that crashed, as a message for the queue, and its error."""


class Remediator(Worker):
    """Serves a group's function: queue messages and people's payloads."""

    def message(self, record: batch.Record, context: LambdaContext) -> None:
        """Serve one queue message.

        Raises:
            Exception: an error that a redelivery may fix. After the last delivery, the requests that crashed become
                dead letters here, with the reason, which SQS's own redrive would not add.
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
        if len(crashes) == served:  # all crashed: the original message becomes the dead letter
            crashes = [(body, crash) for _, crash in crashes]
        reasons: dict[str, list[str]] = {}
        for crashed, crash in crashes:
            reasons.setdefault(crashed, []).append(f"{type(crash).__name__}: {crash}")
        for crashed, why in reasons.items():
            self._give_up(crashed, "Crashed", "; ".join(why))

    def _serve(self, record: batch.Record, context: LambdaContext, receives: int) -> tuple[int, list[Crash]]:
        """Serve all requests of a message, resource by resource; return their number, and those that crashed.

        Raises:
            MalformedPayloadError: the message is neither an event nor a request.
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
        """Serve the requests about one resource, and send unfinished ones back; return those that crashed."""
        ended: Sequence[Result | Exception]
        if context.get_remaining_time_in_millis() < _time_for(len(requests)):
            late = "no time left in this batch"
            ended = [Result(request, Outcome.RETURNED, late, delay_seconds=1) for request in requests]
        else:
            ended = self._run_visit(requests, visits, redelivered=redelivered)
        results: list[Result] = []
        crashes: list[Crash] = []
        for request, end in zip(requests, ended, strict=True):
            message = json.dumps(encode(request))
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
            self._log_and_return(results)
        except Exception as error:  # noqa: BLE001 - a request that must come again is not lost: the caller raises it
            crashes += [(json.dumps(encode(each.request)), error) for each in _returned(results)]
        return crashes

    def _run_visit(
        self, requests: Sequence[Request], visits: Visits, *, redelivered: bool
    ) -> Sequence[Result | Exception]:
        controls = {control.id: control for control in self.controls}
        try:
            settings = self.settings.load()
        except SettingsError as error:
            return [error] * len(requests)
        return visits.visit([(controls[each.control], each) for each in requests], settings, redelivered=redelivered)

    def _log_and_return(self, results: Sequence[Result]) -> None:
        """Log results, and put returned requests back on the queue: in one message if they have the same delay."""
        now, by_delay = self.now(), defaultdict(list)
        for result in results:
            self._log(result)
            if result.outcome is Outcome.RETURNED and decide.returned_too_long(result.request, now):
                reason = f"for six hours: {result.reason}"
                self._give_up(json.dumps(encode(result.request)), "GaveUp", reason)
            elif result.outcome is Outcome.RETURNED:
                by_delay[result.delay_seconds].append(result)
        for delay_seconds, together in by_delay.items():
            reasons = "; ".join(dict.fromkeys(result.reason for result in together))
            self.queue.put_back([result.request.again(now) for result in together], delay_seconds, reasons)

    def _give_up(self, body: str, kind: str, reason: str) -> None:
        self.logger.error("dead letter", kind=kind, reason=reason, body_start=body[:500])
        self.queue.give_up(body, f"{kind}: {reason}")

    def _log(self, result: Result) -> None:
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

    def serve_decision(self, payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Serve a person's decision about a held change; see :mod:`evenkeel.operators.approvals`."""
        decision = approvals.parse(payload)
        owner = context.aws_request_id
        decisions = approvals.Approvals(
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
        answer = decisions.decide(
            decision, lambda control, request, approval: run(control, request, loaded, approval=approval)
        )
        for result in answer.results:
            self._log(result)
        cursor = str(answer.cursor) if answer.cursor else None
        return {"results": [on_demand.described(result) for result in answer.results], "next": cursor}

    def runs(self, context: LambdaContext) -> runs.Runs:
        """Return the stack's runs, for one invocation."""
        ledger = self.ledger(context.aws_request_id)
        return runs.Runs(ledger, self.environment, self.place(context), self.sts_endpoint, self.now)

    def serve_on_demand(self, payload: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Serve a person's request to check resources; see :mod:`evenkeel.operators.on_demand`."""
        known_runs = self.runs(context)
        wanted = on_demand.parse(payload, self.controls, self.place(context), context.aws_request_id, self.now())
        wanted = wanted.covered(known_runs)
        run = self.visits(context.aws_request_id, context).run
        loaded = self.settings.load()

        def one(request: Request) -> Result:
            if wanted.run:
                known_runs.must_be_open(wanted.run)  # checked for each resource, so that ending a run takes seconds
            result = run(wanted.control, request, loaded)
            if request.dry_run:
                self._log(result)
            else:
                self._log_and_return([result])
            return result

        return on_demand.serve(wanted, one, self.control_aws, context.get_remaining_time_in_millis)


def _by_resource(requests: Iterable[Request]) -> list[list[Request]]:
    """Return requests grouped by resource, in their order."""
    found: dict[str, list[Request]] = {}
    for request in requests:
        found.setdefault(request.resource.arn, []).append(request)
    return list(found.values())


def _returned(results: Iterable[Result]) -> list[Result]:
    """Return the results of requests that come again."""
    return [result for result in results if result.outcome is Outcome.RETURNED]


def _time_for(requests: int) -> int:
    """Return the milliseconds that a visit with so many requests may need; a new invocation always has that much."""
    return min(TIME_FOR_ONE_MILLISECONDS + TIME_FOR_ANOTHER_MILLISECONDS * (requests - 1), _MAX_TIME_MILLISECONDS)


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
                return worker.serve_decision(event, context)
            if isinstance(event, dict) and any(verb in event for verb in runs.VERBS):
                return worker.runs(context).serve(event)
            return worker.serve_on_demand(event, context)
        except EvenkeelError as error:
            if isinstance(error, SettingsError):
                worker.settings.count(error)
            worker.logger.warning("refused", error=str(error), kind=type(error).__name__)
            return refusal(error)

    return handler
