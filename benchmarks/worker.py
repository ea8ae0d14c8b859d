"""One measured process: Evenkeel's handler, or the bare boto3 loop that replays the very calls the handler made.

``python -m benchmarks.worker evenkeel|bare SCENARIO`` reads its orders as JSON from standard input and prints JSON.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import jmespath  # noqa: F401 - both sides pay for it: botocore's paginators import it, too
from botocore.config import Config

from benchmarks.scenarios import SCENARIOS, Context, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
WARM_UPS = 2
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functions"))


class Clients:
    """Cached bare clients of the local AWS."""

    def __init__(self) -> None:
        """Start with none."""
        self._session: Any = boto3.session.Session()
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        """Return the client of a service."""
        if service not in self._clients:
            config = Config(retries={"mode": "standard", "total_max_attempts": 3})
            self._clients[service] = self._session.client(service, config=config)
        return self._clients[service]


def measured(act: Callable[[], None]) -> tuple[float, float]:
    """Return the CPU and wall milliseconds of an act."""
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return (time.process_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000


def run_handler(scenario: Scenario, rounds: int) -> dict[str, Any]:
    """Measure the handler on fresh resources, then once on one that is already as it should be."""
    handler, clients, times = scenario.handler(), Clients(), []
    recorded: list[list[Any]] = []
    _record_calls(recorded)
    name = ""
    for number in range(WARM_UPS + rounds):
        name, parts = scenario.make(clients)
        recorded.clear()
        batch = scenario.message(parts)
        with redirect_stdout(io.StringIO()) as log:
            spent = measured(lambda batch=batch: _serve(handler, batch))  # type: ignore[misc] # mypy cannot type the default
        if number >= WARM_UPS:
            times.append(spent)
        if '"Remediated"' not in log.getvalue():
            raise RuntimeError(f"{scenario.name}: {name} was not repaired: {log.getvalue()}")
    calls = [list(call) for call in recorded]
    recorded.clear()
    with redirect_stdout(io.StringIO()):
        _serve(handler, scenario.message(parts))
    return {"times": times, "calls": calls, "name": name, "compliant": [call[:2] for call in recorded]}


def run_bare(scenario: Scenario, rounds: int, orders: dict[str, Any]) -> dict[str, Any]:
    """Measure the same calls on fresh resources, made by boto3 alone."""
    clients, times = Clients(), []
    for number in range(WARM_UPS + rounds):
        name, _ = scenario.make(clients)
        calls = json.loads(json.dumps(orders["calls"]).replace(orders["name"], name))
        spent = measured(lambda calls=calls: _replay(clients, calls))  # type: ignore[misc] # as above
        if number >= WARM_UPS:
            times.append(spent)
    return {"times": times}


def _serve(handler: Callable[[dict[str, Any], Any], dict[str, Any]], batch: dict[str, Any]) -> None:
    answer = handler(batch, Context())
    if answer["batchItemFailures"]:
        raise RuntimeError(f"the handler failed: {answer}")


def _replay(clients: Clients, calls: list[list[Any]]) -> None:
    for service, operation, params in calls:
        getattr(clients(service), operation)(**params)


def _record_calls(into: list[list[Any]]) -> None:
    """Note every call that Evenkeel makes, at its one door to AWS."""
    from evenkeel import aws  # noqa: PLC0415 - the bare side must not pay for it

    original = aws.Aws._once  # noqa: SLF001 - the one place all calls pass

    def noted(self: aws.Aws, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        into.append([service, operation, params])
        return original(self, service, operation, params)

    aws.Aws._once = noted  # type: ignore[method-assign] # noqa: SLF001 - bookkeeping, counted against Evenkeel


def peak_rss_mib() -> float:
    """Return this process's peak resident memory; ``getrusage`` would answer its parent's where that was larger."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def main() -> None:
    """Take orders, measure, answer."""
    side, name = sys.argv[1:3]
    answer, sys.stdout = sys.stdout, sys.stderr  # the handlers log to standard output, which is for the answer
    orders = json.load(sys.stdin)
    os.environ.update(orders["environment"])
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    found = run_handler(scenario, ROUNDS) if side == "evenkeel" else run_bare(scenario, ROUNDS, orders)
    cpu, wall = zip(*found.pop("times"), strict=True)
    found |= {"cpu_ms": statistics.median(cpu), "wall_ms": statistics.median(wall)}
    found["peak_rss_mib"] = peak_rss_mib()
    json.dump(found, answer)


if __name__ == "__main__":
    main()
