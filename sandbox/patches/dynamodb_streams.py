"""DynamoDB stream batches as Lambda handles them: retries, record age, bisection, partial failures, failure queue.

The engine's poller blocks queues while a stream's function runs, and retries for ever. This one runs each batch in a
thread, one batch of a mapping at a time, so that the stream's order is kept. A table's whole stream is one shard.

Source: the Lambda developer guide, "Using AWS Lambda with Amazon DynamoDB" (error handling, batch item failures).
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.patches import event_sources
from sandbox.patches.hooks import module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

BACKOFF_SECONDS = 0.5
FOREVER = -1
FAILED = "PROBLEM: Function call failed"
LOG = logging.getLogger("sandbox.streams")


@dataclass
class Progress:
    """A mapping's progress: position, tries of the batch, and the size after a bisection (None: the mapping's)."""

    position: int
    tries: int = 0
    size: int | None = None
    end: int = 0
    """End of the bisected batch; beyond it, the mapping's own size applies."""


_progress: dict[str, Progress] = {}


def apply() -> None:
    """Patch the engine's stream poller."""
    wrap(module("services.lambda_svc"), "_poll_dynamodb_streams", _poll)


def _poll(_: Callable[[], bool]) -> bool:
    service, responses = module("services.lambda_svc"), module("core.responses")
    busy = False
    for account, region, mapping in service._iter_all_esms():
        if ":dynamodb:" in mapping.get("EventSourceArn", "") and mapping.get("Enabled", True):
            with responses.request_scope(account, region):
                busy = _poll_mapping(service, mapping) or busy
    return busy


def _poll_mapping(service: Any, mapping: dict[str, Any]) -> bool:
    """Dispatch a mapping's next batch if it has one and none is in flight; return whether it was dispatched."""
    identifier = mapping["UUID"]
    if service._esm_inflight.get(identifier) or service._esm_backoff_until.get(identifier, 0) > time.time():
        return False
    function, _ = service._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    table = mapping["EventSourceArn"].split("/stream/")[0].rpartition("/")[2]
    dynamodb = module("services.dynamodb")
    known = dynamodb._tables.get(table)
    if function is None or not known or known.get("LatestStreamArn") != mapping["EventSourceArn"]:
        return False
    place = _place(service, dynamodb, mapping, table)
    size = place.size if place.size is not None and place.position < place.end else int(mapping.get("BatchSize", 100))
    batch = dynamodb.stream_records_since(table, place.position, size)
    if not batch or not event_sources.permitted(mapping):
        return False
    service._dispatch_esm_batch(identifier, _run, Attempt(mapping, function, place, batch))
    return True


def _place(service: Any, dynamodb: Any, mapping: dict[str, Any], table: str) -> Progress:
    identifier = mapping["UUID"]
    place = _progress.get(identifier)
    if place is None:
        oldest = mapping.get("StartingPosition", "LATEST") == "TRIM_HORIZON"
        start = dynamodb.stream_start_position(table) if oldest else dynamodb.stream_end_position(table)
        place = _progress[identifier] = Progress(service._dynamodb_stream_positions.get(identifier, start))
    place.position = max(place.position, dynamodb.stream_start_position(table))
    return place


@dataclass(frozen=True)
class Attempt:
    """One try of a batch."""

    mapping: dict[str, Any]
    function: Any
    place: Progress
    batch: list[dict[str, Any]]


def _run(attempt: Attempt) -> None:
    service, mapping, batch = module("services.lambda_svc"), attempt.mapping, attempt.batch
    wanted = service._apply_filter_criteria(batch, mapping)
    result = service._execute_function(attempt.function, {"Records": wanted}) if wanted else {"body": None}
    failed_at = _first_failure(mapping, batch, result)
    if failed_at is None:
        _advance(attempt, len(batch), f"OK - {len(batch)} records")
        return
    if failed_at > 0:
        # What came before the first failure is done; the rest is a new batch.
        _advance(attempt, failed_at, "OK - partial batch")
    _failed(replace(attempt, batch=batch[failed_at:]), result)


def _first_failure(mapping: dict[str, Any], batch: list[dict[str, Any]], result: dict[str, Any]) -> int | None:
    """Return the index of the first record that failed; None if none did."""
    if result.get("error"):
        return 0
    body = result.get("body")
    if "ReportBatchItemFailures" not in mapping.get("FunctionResponseTypes", []) or not body:
        return None
    answer = json.loads(body) if isinstance(body, str) else body
    failures = [each.get("itemIdentifier") for each in (answer or {}).get("batchItemFailures") or []]
    if not failures:
        return None
    numbers = [str(each["dynamodb"]["SequenceNumber"]) for each in batch]
    found = [numbers.index(str(each)) for each in failures if str(each) in numbers]
    return min(found, default=0)  # an unknown or empty identifier fails the whole batch


def _advance(attempt: Attempt, count: int, result: str) -> None:
    attempt.place.position += count
    attempt.place.tries = 0
    attempt.mapping["LastProcessingResult"] = result


def _failed(attempt: Attempt, result: dict[str, Any]) -> None:
    """Halve a failed batch if the mapping asks for it; otherwise count the try, and give up or back off."""
    service = module("services.lambda_svc")
    mapping, place, batch = attempt.mapping, attempt.place, attempt.batch
    if mapping.get("BisectBatchOnFunctionError") and len(batch) > 1:
        # "Splitting a batch does not count towards the retry quota."
        place.size, place.end, place.tries = (len(batch) + 1) // 2, place.position + len(batch), 0
        return
    place.tries += 1
    condition = _exhausted(mapping, place, batch)
    if not condition:
        mapping["LastProcessingResult"] = FAILED
        service._esm_backoff_until[mapping["UUID"]] = time.time() + BACKOFF_SECONDS
        return
    LOG.warning("gave up on %d stream records for %s: %s", len(batch), mapping["FunctionName"], condition)
    source = mapping["EventSourceArn"]
    service._send_ddb_stream_failure_record(mapping, attempt.function, batch, source, result, condition)
    _advance(attempt, len(batch), FAILED)


def _exhausted(mapping: dict[str, Any], place: Progress, batch: list[dict[str, Any]]) -> str:
    """Return the failure record's reason to give a batch up; empty if it is retried."""
    retries = int(mapping.get("MaximumRetryAttempts", FOREVER))
    if retries != FOREVER and place.tries > retries:
        return "RetryAttemptsExhausted"
    oldest = min(float(each["dynamodb"].get("ApproximateCreationDateTime", time.time())) for each in batch)
    age = int(mapping.get("MaximumRecordAgeInSeconds", FOREVER))
    return "MaxRecordAgeExceeded" if age != FOREVER and time.time() - oldest > age else ""
