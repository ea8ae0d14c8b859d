"""Injected faults: errors and latency for chosen calls."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.protocol import errors

if TYPE_CHECKING:
    from sandbox.protocol.asgi import Response
    from sandbox.protocol.calls import Call

FIELDS = frozenset({
    "service", "operation", "code", "message", "status", "latency", "times", "skip", "principal", "chance", "after",
})  # fmt: skip
SERVER_ERRORS = frozenset({
    "InternalFailure", "InternalError", "InternalServerError", "InternalServiceException", "KMSInternalException",
    "ServiceUnavailable", "ServiceUnavailableException",
})  # fmt: skip
SERVER_STATUS, FORBIDDEN_STATUS, CLIENT_STATUS = 500, 403, 400


class FaultError(ValueError):
    """A fault's description is invalid."""


@dataclass
class Fault:
    """An error or a latency, and the calls that get it.

    ``service`` is a boto3 name, ``operation`` an API name or ``*``. ``latency`` is in seconds and comes first. ``code``
    is the error to answer; without one the call goes through. ``times`` limits how many calls get it (None: all),
    ``skip`` lets that many matching calls pass first. ``principal`` is a part of the caller's ARN. ``chance`` is the
    probability that a matching call gets it, from 0 to 1. With ``after``, the call takes effect before the error is
    answered, as if the answer were lost.
    """

    service: str
    operation: str = "*"
    code: str = ""
    message: str = "Injected by the sandbox"
    status: int = 0
    latency: float = 0.0
    times: int | None = None
    skip: int = 0
    principal: str = ""
    chance: float = 1.0
    after: bool = False
    identifier: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    hits: int = 0

    def matches(self, call: Call, principal: str) -> bool:
        """Return whether the fault matches a call, without regard to its count."""
        return (
            self.service in (call.service, "*")
            and self.operation in (call.operation, "*")
            and self.principal in principal
        )

    def view(self) -> dict[str, Any]:
        """Return the fault as JSON."""
        return {name: value for name, value in vars(self).items() if name != "identifier"} | {"id": self.identifier}


@dataclass
class Faults:
    """The active faults; a call gets the first that matches."""

    active: list[Fault] = field(default_factory=list)

    def add(self, description: dict[str, Any]) -> Fault:
        """Add a fault; raise FaultError for an unknown field or a missing service."""
        unknown = sorted(set(description) - FIELDS)
        if unknown or not description.get("service"):
            message = f"a fault needs a service and knows only {sorted(FIELDS)}; got {sorted(description)}"
            raise FaultError(message)
        fault = Fault(**description)
        self.active.append(fault)
        return fault

    def clear(self, identifier: str | None) -> None:
        """Remove one fault, or all."""
        self.active = [each for each in self.active if identifier is not None and each.identifier != identifier]

    def strike(self, call: Call, principal: str) -> Fault | None:
        """Return the fault that a call gets, and count it; None if it gets none."""
        for fault in self.active:
            if not fault.matches(call, principal) or (fault.times is not None and fault.hits >= fault.times):
                continue
            if fault.chance < 1 and random.random() >= fault.chance:  # noqa: S311  # nosec B311 - chance, not security
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            fault.hits += 1
            return fault
        return None


def response(fault: Fault, call: Call) -> Response:
    """Return the error that a fault answers."""
    return errors.response(call, fault.code, fault.message, fault.status or _status(fault.code))


def _status(code: str) -> int:
    if code in SERVER_ERRORS:
        return SERVER_STATUS
    return FORBIDDEN_STATUS if code in ("AccessDenied", "SlowDown") else CLIENT_STATUS
