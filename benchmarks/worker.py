"""One measured process: Evenkeel's handler, or bare boto3 that replays the same calls.

``python -m benchmarks.worker`` reads one order a line from standard input and answers each with one line of JSON, so
that the benchmark can create a new resource before each. An order is ``{"package", "control", "batch"}`` for the
handler of a group, or ``{"calls": [[service, operation, parameters, error code], …]}``, where a code is of a call that
AWS refused to the handler, too.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import jmespath  # noqa: F401 - both sides pay for it: botocore's paginators import it, too
from botocore import xform_name
from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable

_FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
sys.path[:0] = [str(_FUNCTIONS / "controls"), str(_FUNCTIONS / "system")]


class Context:
    """The context that Lambda passes to a handler."""

    function_name = "benchmark"
    memory_limit_in_mb = 512

    def __init__(self, batch: dict[str, Any]) -> None:
        """Give the invocation an id of its own, in the account and region of the queue."""
        self.aws_request_id = str(uuid.uuid4())
        place = batch["Records"][0]["eventSourceARN"].split(":")[3:5]
        self.invoked_function_arn = ":".join(("arn:aws:lambda", *place, "function:benchmark"))

    def get_remaining_time_in_millis(self) -> int:
        """Return a minute."""
        return 60_000


class Said(logging.Handler):
    """Keeps the outcomes that the engine logs, which are the lines that name a control."""

    def __init__(self) -> None:
        """Start with none."""
        super().__init__()
        self.outcomes: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line's message."""
        if "control" in vars(record):
            self.outcomes.append(record.getMessage())


class Evenkeel:
    """Handlers of groups with one control each, so that its calls are counted separately."""

    def __init__(self) -> None:
        """Note every call that is sent from here on, where botocore sends it."""
        self._handlers: dict[str, Callable[[dict[str, Any], Any], dict[str, Any]]] = {}
        self.calls: list[list[Any]] = []
        self._said = Said()
        door: Any = BaseClient
        original = door._make_api_call  # noqa: SLF001 - the one place all calls pass, paginators' too

        def noted(client: Any, operation: str, params: dict[str, Any]) -> Any:
            call = [client.meta.service_model.service_name, xform_name(operation), dict(params), ""]
            self.calls.append(call)
            try:
                return original(client, operation, params)
            except ClientError as error:
                call[-1] = error.response["Error"]["Code"]
                raise

        door._make_api_call = noted  # noqa: SLF001 - bookkeeping, counted against Evenkeel

    @staticmethod
    @cache
    def _connect(region: str) -> Any:
        """Return the doors that all handlers of this process share, so that clients are made once."""
        from evenkeel.runtime import aws  # noqa: PLC0415 - the bare side must not pay for it

        return aws.connect(region)

    def handler(self, package: str, control_id: str) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
        """Return the handler of a group with one control in it, or with all where the id is empty."""
        if control_id not in self._handlers:
            # The bare side must not pay for these.
            from evenkeel import lambda_handler, worker  # noqa: PLC0415
            from evenkeel.control import registry  # noqa: PLC0415
            from evenkeel.runtime import telemetry  # noqa: PLC0415

            if not self._handlers:
                telemetry.telemetry()[0].addHandler(self._said)
            chosen = tuple(each for each in registry.controls_of(package) if control_id in {"", each.id})
            module: Any = worker
            module.controls_of = lambda _: chosen
            module.connect = self._connect
            self._handlers[control_id] = lambda_handler.remediator(package)
        return self._handlers[control_id]

    def serve(self, order: dict[str, Any]) -> dict[str, Any]:
        """Serve one SQS batch of one event; its outcome is what the handler logs of its requests."""
        handler, batch = self.handler(order["package"], order["control"]), order["batch"]
        context = Context(batch)
        self.calls.clear()
        self._said.outcomes.clear()
        answer = measured(lambda: _serve(handler, batch, context))
        return {**answer, "outcome": ", ".join(self._said.outcomes), "calls": self.calls}


class Bare:
    """Cached bare clients of the local AWS."""

    def __init__(self) -> None:
        """Start with none."""
        self._session: Any = boto3.session.Session()
        self._clients: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        """Return the client of a service."""
        if service not in self._clients:
            config = Config(retries={"mode": "standard", "total_max_attempts": 3})
            self._clients[service] = self._session.client(service, config=config)
        return self._clients[service]

    def replay(self, order: dict[str, Any]) -> dict[str, Any]:
        """Make the calls."""
        return measured(lambda: self._all(order["calls"]))

    def _all(self, calls: list[list[Any]]) -> None:
        for service, operation, params, expected in calls:
            try:
                getattr(self.client(service), operation)(**params)
            except ClientError as error:
                if error.response["Error"]["Code"] != expected:
                    raise


def measured(act: Callable[[], None]) -> dict[str, Any]:
    """Return the CPU and wall milliseconds of an act."""
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return {"cpu_ms": (time.process_time() - cpu) * 1000, "wall_ms": (time.perf_counter() - wall) * 1000}


def peak_rss_mib() -> float:
    """Return this process's peak resident memory; ``getrusage`` would answer its parent's where that was larger."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _serve(handler: Callable[[dict[str, Any], Any], dict[str, Any]], batch: dict[str, Any], context: Context) -> None:
    answer = handler(batch, context)
    if answer["batchItemFailures"]:
        raise RuntimeError(f"the handler failed: {answer}")


def main() -> None:
    """Take orders, measure, answer, until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # the handlers log to standard output, which is for the answers
    side: Evenkeel | Bare | None = None
    for line in sys.stdin:
        order = json.loads(line)
        if side is None:
            side = Bare() if "calls" in order else Evenkeel()
        answer = side.replay(order) if isinstance(side, Bare) else side.serve(order)
        print(json.dumps({**answer, "peak_rss_mib": peak_rss_mib()}), file=answers, flush=True)


if __name__ == "__main__":
    main()
