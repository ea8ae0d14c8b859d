"""Serve one control's events side by side with bare boto3, which makes the very same calls on resources of its own."""

from __future__ import annotations

import json
import math
import re
import secrets
import statistics
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks.process import Worker
from benchmarks.scenarios import name_of
from evenkeel.control import Context, Env
from evenkeel.model import NotReady, Resource
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.dynamodb import wire
from evenkeel.settings import loaded_mark
from tests.world import ACCOUNT, REGION, client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.place import Place
    from benchmarks.scenarios import Scenario

Pairs: TypeAlias = list[tuple[dict[str, Any], dict[str, Any]]]
"""The answers of both sides, Evenkeel's first, in each round."""
Calls: TypeAlias = list[list[Any]]
"""Each ``[service, operation, parameters, error code]``, the last empty where AWS did not refuse."""

WARM_UPS, ROUNDS, MOST_ROUNDS = 2, 15, 75
"""More rounds than the first number run only while the CPU verdict is not clear."""
LATENCY_SECONDS = 0.03
"""Latency added to each call in the last round: about that of AWS for a function in the same region."""
READY_SECONDS = 10.0
ENGINE_OPERATIONS = {"get_item", "update_item", "transact_write_items"}
_RECORD_ID = re.compile(r"[0-9a-f]{12}-[0-9a-f]{16}")


def is_engines(service: str, operation: str) -> bool:
    """Return whether a call is the engine's own: the two tables, the settings and the queue."""
    return (service == "dynamodb" and operation in ENGINE_OPERATIONS) or service in {"appconfigdata", "sqs"}


def is_read(operation: str) -> bool:
    """Return whether an operation only reads."""
    return operation.startswith(("get_", "describe_", "list_"))


def counted(calls: Calls, *, engine: bool) -> Counter[str]:
    """Count the engine's own calls, or those for the control, by name."""
    return Counter(f"{service}:{name}" for service, name, *_ in calls if is_engines(service, name) is engine)


def measure(scenario: Scenario, place: Place, promise: float) -> dict[str, Any]:
    """Measure one control's event until it is clear whether its ratio of CPU keeps the promise; return its row."""
    with Worker(place.variables) as ours, Worker(place.variables) as bare:
        pairs = [_pair(scenario, place, ours, bare) for _ in range(WARM_UPS + ROUNDS)][WARM_UPS:]
        while not is_clear(pairs, promise) and len(pairs) < MOST_ROUNDS:
            pairs.append(_pair(scenario, place, ours, bare))
        slow = _pair(scenario, place, ours, bare, LATENCY_SECONDS)
        again = ours.ask(scenario.order(slow[0]["arn"]))
    calls = slow[0]["calls"]
    return {
        "control": scenario.control.id,
        "event": scenario.event_name,
        "only_announces": scenario.control.only_announces,
        "outcome": slow[0]["outcome"],
        "calls": counted(calls, engine=False),
        "engine_calls": counted(calls, engine=True),
        **_stages(calls),
        "compliant": counted(again["calls"], engine=False) + counted(again["calls"], engine=True),
        "cpu_ratio": cpu_ratio(pairs),
        "rounds": len(pairs),
        "ours": _figures([mine for mine, _ in pairs], slow[0]),
        "bare": _figures([its for _, its in pairs], slow[1]),
    }


def is_clear(pairs: Pairs, promise: float) -> bool:
    """Return whether the promised ratio of CPU lies outside the 99 % confidence interval of the pairs' median."""
    ratios = sorted(_ratios(pairs))
    aside = max(0, int(len(ratios) / 2 - 1.29 * math.sqrt(len(ratios))))  # the sign test, by the normal distribution
    return not ratios[aside] <= promise <= ratios[-1 - aside]


def cpu_ratio(pairs: Pairs) -> float:
    """Return how many times bare boto3's CPU time Evenkeel took: the median of the pairs' ratios.

    Both sides of a pair serve within some hundredths of a second. Other work on the machine slows both, so it changes
    the milliseconds and not the ratio; what hits one side only is an outlier.
    """
    return statistics.median(_ratios(pairs))


def _ratios(pairs: Pairs) -> list[float]:
    return [ours["cpu_ms"] / bare["cpu_ms"] for ours, bare in pairs]


def _figures(rounds: list[dict[str, Any]], slow: dict[str, Any]) -> dict[str, float]:
    """Return one side's figures, of the rounds the median."""
    return {
        "cpu_ms": statistics.median(each["cpu_ms"] for each in rounds),
        "wall_ms": statistics.median(each["wall_ms"] for each in rounds),
        "slow_wall_ms": slow["wall_ms"],
        "peak_rss_mib": slow["peak_rss_mib"],
    }


def _pair(
    scenario: Scenario, place: Place, ours: Worker, bare: Worker, latency: float = 0.0
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Have both sides serve a fresh weak resource each; return both answers."""
    arn, state = weak(scenario, place)
    with _slowed(place, latency):
        answer = served(scenario, arn, ours)
    other, its_state = weak(scenario, place)
    again = [call for call in answer["calls"] if not loads_settings(call)]
    calls = renamed(again, _renames(arn, other, state, its_state))
    with _slowed(place, latency):
        replayed = bare.ask({"calls": calls})
    return {**answer, "arn": arn}, replayed


def loads_settings(call: list[Any]) -> bool:
    """Return whether a call loads the settings, which a worker does in its first round, and which cannot be replayed.

    A token of AppConfig's is good for one call only, and the mark of the first document is set once.
    """
    service, _, parameters, _ = call
    return bool(service == "appconfigdata" or parameters.get("Key") == wire({"pk": loaded_mark.KEY}))


def weak(scenario: Scenario, place: Place) -> tuple[str, Any]:
    """Make a weak resource that Evenkeel has not met, and wait until it takes changes.

    Returns its ARN and what the control reads of it.

    Raises:
        TimeoutError: it is not ready within some seconds.
    """
    control, arn = scenario.control, scenario.make()
    place.forget(control.id, arn)
    parameters = {
        name: place.variables[value] if isinstance(value, Env) else value for name, value in control.parameters.items()
    }
    context = Context(Resource(arn, ACCOUNT, REGION), parameters, datetime.now(UTC), creates=True)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        state = control.read(Aws(client), context)
        if not isinstance(control.judge(state, context), NotReady):
            return arn, state
        time.sleep(0.05)
    raise TimeoutError(f"{arn} takes no changes within {READY_SECONDS:.0f} s")


def served(scenario: Scenario, arn: str, worker: Worker) -> dict[str, Any]:
    """Have a worker handle a resource's event; return its answer.

    Raises:
        RuntimeError: the resource was neither fixed nor, by a control that only announces, checked.
    """
    answer = worker.ask(scenario.order(arn))
    wanted = {"ANNOUNCED", "COMPLIANT"} if scenario.control.only_announces else {"REMEDIATED"}
    if answer["outcome"] not in wanted:
        raise RuntimeError(f"{scenario.control.id}: {arn} became {answer['outcome']}")
    return answer


@contextmanager
def _slowed(place: Place, latency: float) -> Iterator[None]:
    """Add latency to every call within the block."""
    if latency:
        place.sandbox.faults.add("*", latency=latency)
    yield
    if latency:
        place.sandbox.faults.clear()


def _renames(arn: str, other: str, state: Any, its_state: Any) -> dict[str, str]:
    """Return the names of one resource and its parts, mapped to those of another resource.

    A state may end with the names of other resources, of which the second state has one more.
    """
    pairs = [*zip(_texts(state), _texts(its_state), strict=False), (name_of(arn), name_of(other))]
    return {mine: its for mine, its in pairs if mine and mine != its}


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a state, in order."""
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(item)


def renamed(calls: Calls, meant: dict[str, str]) -> Calls:
    """Return calls as they would be for another resource, with audit records of its own."""
    text = json.dumps(calls)
    kept = {record: f"{record[:13]}{secrets.token_hex(8)}" for record in set(_RECORD_ID.findall(text))}
    for old, new in {**meant, **kept}.items():
        text = text.replace(old, new)
    changed: Calls = json.loads(text)
    return changed


def _stages(calls: Calls) -> dict[str, int]:
    """Count the calls for the control: reads until the first change, changes, and reads after it."""
    read = [is_read(name) for service, name, *_ in calls if not is_engines(service, name)]
    first = read.index(False) if False in read else len(read)
    return {"finds": first, "changes": read.count(False), "proves": sum(read[first:])}
