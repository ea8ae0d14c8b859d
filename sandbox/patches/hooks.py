"""Helpers that wrap functions of the engine and build its answers."""

from __future__ import annotations

import importlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = tuple[int, dict[str, str], bytes]
"""What an engine's handler returns: status, headers, body."""


class MissingHookError(RuntimeError):
    """The engine has no such function: it is not the version that the patch was written for."""


def module(name: str) -> Any:
    """Return a module of the engine by its path below ``ministack``."""
    return importlib.import_module(f"ministack.{name}")


def wrap(owner: Any, name: str, wrapper: Callable[..., Any]) -> None:
    """Replace ``owner.name`` by a callable that gets the original, then the call's arguments."""
    original = getattr(owner, name, None)
    if original is None:
        message = f"{getattr(owner, '__name__', owner)} has no {name}; review the patch that wraps it"
        raise MissingHookError(message)

    def replaced(*arguments: Any, **named: Any) -> Any:
        return wrapper(original, *arguments, **named)

    replaced.__wrapped__ = original  # type: ignore[attr-defined]
    setattr(owner, name, replaced)


def add_operation(owner: Any, operation: str, handler: Callable[[dict[str, Any]], Answer]) -> None:
    """Add an operation to a json-protocol service, or replace it."""
    original = owner.handle_request

    async def handle_request(method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> Any:
        if headers.get("x-amz-target", "").rpartition(".")[2] == operation:
            return handler(json.loads(body) if body else {})
        return await original(method, path, headers, body, query)

    owner.handle_request = handle_request


def ok(value: dict[str, Any]) -> Answer:
    """Return a successful answer of a json-protocol service."""
    return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(value).encode()


def error(code: str, message: str, status: int = 400) -> Answer:
    """Return an error of a json-protocol service."""
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": code}
    return status, headers, json.dumps({"__type": code, "message": message}).encode()


def body_of(answer: Answer) -> dict[str, Any]:
    """Return a json-protocol answer's parsed body."""
    found: dict[str, Any] = json.loads(answer[2] or b"{}")
    return found


def succeeded(answer: Answer) -> bool:
    """Return whether an answer is not an error."""
    return answer[0] == 200  # noqa: PLR2004 - the status code reads best
