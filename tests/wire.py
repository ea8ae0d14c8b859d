"""What crosses the wire between botocore and AWS in a test: every call is recorded, and any can be made to fail.

It hangs on botocore's own hooks, so that what is counted is what would really have been sent, and a fault looks to the
code under test like AWS's own answer.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore import handlers
from botocore.awsrequest import AWSResponse

if TYPE_CHECKING:
    from collections.abc import Callable

READS = ("Get", "Describe", "List", "Query", "Scan", "Head", "BatchGet", "Search", "Receive", "StartConf", "AssumeRole")
"""How read-only calls begin; AppConfig's session only opens a way to read."""


class Crash(Exception):  # noqa: N818 - not an error of anyone's: the worker is gone
    """The worker dies here: nothing after this line of the code under test happens."""


@dataclass(frozen=True)
class Made:
    """One call: boto3's service name, AWS's operation name, and the parameters as given."""

    service: str
    operation: str
    params: dict[str, Any]


@dataclass
class _Plan:
    service: str
    operation: str
    act: Callable[[dict[str, Any]], Any]
    skip: int = 0
    times: int = 1


@dataclass
class Wire:
    """The recorder and the saboteur; one lives for the whole run and is cleared before each test."""

    calls: list[Made] = field(default_factory=list)
    _plans: list[_Plan] = field(default_factory=list)
    _params: dict[str, Any] = field(default_factory=dict)
    stand_ins: dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    """What answers calls that moto does not know, by service and operation; faults go first."""

    def clear(self) -> None:
        """Forget all calls and plans."""
        self.calls.clear()
        self._plans.clear()

    def fail(
        self,
        service: str,
        operation: str,
        code: str,
        message: str = "",
        *,
        status: int = 400,
        times: int = 1,
        skip: int = 0,
    ) -> None:
        """Let AWS refuse the next ``times`` calls (after ``skip`` that go through) without having done anything."""
        self.when(service, operation, lambda _: refusal(code, message, status=status), times=times, skip=skip)

    def cancel(self, *codes: str, times: int = 1, skip: int = 0, items: tuple[Any, ...] = ()) -> None:
        """Let DynamoDB cancel the next transactions with these cancellation reasons, one a member."""
        reasons = [{"Code": code} for code in codes]
        for reason, item in zip(reasons, items, strict=False):
            if item:
                reason["Item"] = item
        error = {
            "Error": {"Code": "TransactionCanceledException", "Message": f"cancelled [{', '.join(codes)}]"},
            "ResponseMetadata": {"HTTPStatusCode": 400},
            "CancellationReasons": reasons,
        }
        self.when("dynamodb", "TransactWriteItems", lambda _: (_response(400), error), times=times, skip=skip)

    def answer(self, service: str, operation: str, parsed: dict[str, Any], *, times: int = 1, skip: int = 0) -> None:
        """Let the next calls be answered so, without reaching moto."""
        success = {**parsed, "ResponseMetadata": {"HTTPStatusCode": 200}}
        self.when(service, operation, lambda _: (_response(200), dict(success)), times=times, skip=skip)

    def crash(self, service: str, operation: str, *, skip: int = 0) -> None:
        """Let the worker die just before this call leaves it."""

        def die(params: dict[str, Any]) -> None:
            raise Crash(f"{service}:{operation}")

        self.when(service, operation, die, skip=skip)

    def when(
        self, service: str, operation: str, act: Callable[[dict[str, Any]], Any], *, times: int = 1, skip: int = 0
    ) -> None:
        """Run ``act`` with a call's parameters before it leaves; what it returns (if anything) is AWS's answer."""
        self._plans.append(_Plan(service, operation, act, skip, times))

    def names(self) -> list[str]:
        """Return all calls as ``service:Operation``."""
        return [f"{made.service}:{made.operation}" for made in self.calls]

    def changes(self) -> list[str]:
        """Return the calls that are not reads."""
        return [f"{made.service}:{made.operation}" for made in self.calls if not made.operation.startswith(READS)]

    def params(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of all calls of an operation."""
        return [made.params for made in self.calls if made.operation == operation]

    def _built(self, params: dict[str, Any], **_: Any) -> None:
        self._params = params

    def _sent(self, model: Any, **_: Any) -> Any:
        service, operation = model.service_model.service_name, model.name
        self.calls.append(Made(service, operation, self._params))
        for plan in self._plans:
            if (plan.service, plan.operation) != (service, operation) or plan.times == 0:
                continue
            if plan.skip:
                plan.skip -= 1
                continue
            plan.times -= 1
            return plan.act(self._params)
        stand_in = self.stand_ins.get((service, operation))
        if stand_in is None:
            return None
        answer = stand_in(self._params)
        status = 400 if "Error" in answer else 200
        return _response(status), {**answer, "ResponseMetadata": {"HTTPStatusCode": status}}


def refusal(code: str, message: str = "", *, status: int = 400) -> tuple[AWSResponse, dict[str, Any]]:
    """Return what AWS answers where it refuses a call."""
    error = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return _response(status), error


def _response(status: int) -> AWSResponse:
    return AWSResponse("https://127.0.0.1/", status, {}, None)


WIRE = Wire()
handlers.BUILTIN_HANDLERS.append(("before-parameter-build", WIRE._built))
handlers.BUILTIN_HANDLERS.append(("before-call", WIRE._sent))


def one_at_a_time(connect: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return ``connect`` for threads: moto and the wire take one call at a time, as an item of DynamoDB does."""
    lock = threading.Lock()

    class Door:
        def __init__(self, service: str) -> None:
            self._client = connect(service)

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._client, name)

            def call(*args: Any, **params: Any) -> Any:
                with lock:
                    return found(*args, **params)

            return call

    return Door
