"""Serves messages of a group's queue; one that fails comes again, or becomes a dead letter with the reason."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias

from evenkeel.errors import MalformedPayloadError, SettingsError
from evenkeel.events import parsing
from evenkeel.events.message import encode
from evenkeel.model import Outcome, Request, Result
from evenkeel.remediation.evaluation import returned
from evenkeel.remediation.repair import NotGrantedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from evenkeel.remediation.visit import Visits
    from evenkeel.runtime import batch
    from evenkeel.worker import Worker

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


class QueueMessages:
    """Serves the messages of one worker's queue."""

    def __init__(self, worker: Worker) -> None:
        """Keep the worker."""
        self._worker = worker

    def serve(self, record: batch.Record, context: LambdaContext) -> None:
        """Serve one queue message.

        Raises:
            Exception: an error that a redelivery may fix. After the last delivery, the requests that crashed become
                dead letters here, with the reason, which SQS's own redrive would not add.
        """
        receives, body = int(record["attributes"]["ApproximateReceiveCount"]), record["body"]
        try:
            served, crashes = self._serve(record, context, receives)
        except MalformedPayloadError as error:
            self._worker.give_up(body, "Malformed", str(error))
            return
        except Exception as error:  # noqa: BLE001 - nothing is lost: redelivered, or a dead letter with the reason
            served, crashes = 1, [(body, error)]
        for _, crash in crashes:
            self._worker.logger.error("crashed", message_id=record["messageId"], receives=receives, exc_info=crash)
        if crashes and receives < MAX_RECEIVES:
            raise crashes[0][1]
        if len(crashes) == served:  # all crashed: the original message becomes the dead letter
            crashes = [(body, crash) for _, crash in crashes]
        reasons: dict[str, list[str]] = {}
        for crashed, crash in crashes:
            reasons.setdefault(crashed, []).append(f"{type(crash).__name__}: {crash}")
        for crashed, why in reasons.items():
            self._worker.give_up(crashed, "Crashed", "; ".join(why))

    def _serve(self, record: batch.Record, context: LambdaContext, receives: int) -> tuple[int, list[Crash]]:
        """Serve all requests of a message, resource by resource; return their number, and those that crashed.

        Raises:
            MalformedPayloadError: the message is neither an event nor a request.
        """
        try:
            payload = json.loads(record["body"])
        except (ValueError, RecursionError) as error:
            raise MalformedPayloadError(f"not JSON: {error}") from error
        parsed = parsing.parse(payload, self._worker.controls, self._worker.place(context))
        if parsed.irrelevant:
            self._worker.logger.info("irrelevant", reason=parsed.irrelevant)
            return 0, []
        visits = self._worker.visits(f"{context.aws_request_id}/{record['messageId']}", context)
        crashes: list[Crash] = []
        for requests in _by_resource(parsed.requests):
            crashes += self._visit(requests, visits, context, redelivered=receives > 1)
        if not crashes or receives >= MAX_RECEIVES:  # else they come again with the message
            for alone, reason in parsed.malformed:
                self._worker.give_up(json.dumps(alone), "Malformed", reason)
        return len(parsed.requests) + len(parsed.malformed), crashes

    def _visit(
        self, requests: Sequence[Request], visits: Visits, context: LambdaContext, *, redelivered: bool
    ) -> list[Crash]:
        """Serve the requests about one resource, and send unfinished ones back; return those that crashed."""
        ended: Sequence[Result | Exception]
        if context.get_remaining_time_in_millis() < _time_for(len(requests)):
            late = "no time left in this batch"
            ended = [returned(request, late, 1) for request in requests]
        else:
            ended = self._run_visit(requests, visits, redelivered=redelivered)
        results: list[Result] = []
        crashes: list[Crash] = []
        for request, end in zip(requests, ended, strict=True):
            if isinstance(end, Result):
                results.append(end)
            elif isinstance(end, SettingsError):
                self._worker.settings.count(end)
                results.append(returned(request, f"settings: {end}", SETTINGS_RETRY_SECONDS))
            elif isinstance(end, NotGrantedError):
                self._worker.give_up(json.dumps(encode(request)), "NotGranted", str(end))
            else:
                crashes.append((json.dumps(encode(request)), end))
        try:
            self._worker.finish(results)
        except Exception as error:  # noqa: BLE001 - a request that must come again is not lost: the caller raises it
            crashes += [(json.dumps(encode(each.request)), error) for each in _returned(results)]
        return crashes

    def _run_visit(
        self, requests: Sequence[Request], visits: Visits, *, redelivered: bool
    ) -> Sequence[Result | Exception]:
        controls = {control.id: control for control in self._worker.controls}
        try:
            settings = self._worker.settings.load()
        except SettingsError as error:
            return [error] * len(requests)
        return visits.visit([(controls[each.control], each) for each in requests], settings, redelivered=redelivered)


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
