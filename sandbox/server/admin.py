"""The sandbox's own HTTP paths, under ``/_evenkeel/``: faults, calls, events."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from sandbox.protocol import asgi
from sandbox.protocol.asgi import Response
from sandbox.server.faults import FaultError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.protocol.asgi import App, Receive, Scope, Send
    from sandbox.server.shim import Shim

PREFIX = "/_evenkeel/"
QUIET_SECONDS = 0.25


def with_admin_paths(shim: Shim) -> App:
    """Return an ASGI app that answers the sandbox's own paths and passes every other request to the shim."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await shim(scope, receive, send)
            return
        body = await asgi.body_of(receive)
        await asgi.answer(send, await _handle(shim, scope["path"], scope["query_string"].decode(), body))

    return app


async def _handle(shim: Shim, path: str, query_string: str, body: bytes) -> Response:
    """Return the answer to an administrative request: 404 for an unknown path, 400 for an invalid body."""
    given: dict[str, Any] = json.loads(body) if body else {}
    given |= dict(parse_qsl(query_string))
    answer = PATHS.get(path.removeprefix(PREFIX))
    if answer is None:
        return _json(404, {"error": f"no such path: {path}; there are {sorted(PATHS)}"})
    await _quiet(shim)
    return answer(shim, given)


def _faults(shim: Shim, given: dict[str, Any]) -> Response:
    if not given:
        return _json(200, {"faults": [fault.view() for fault in shim.faults.active]})
    try:
        return _json(200, {"id": shim.faults.add(given).identifier})
    except (FaultError, TypeError) as error:
        return _json(400, {"error": str(error)})


def _clear_faults(shim: Shim, given: dict[str, Any]) -> Response:
    shim.faults.clear(given.get("id"))
    return _json(200, {})


def _calls(shim: Shim, _: dict[str, Any]) -> Response:
    return _json(200, shim.recorder.calls_view())


def _events(shim: Shim, given: dict[str, Any]) -> Response:
    since = int(given.pop("since", 0))
    return _json(200, shim.recorder.events_view(since, given))


def _forget(shim: Shim, _: dict[str, Any]) -> Response:
    shim.recorder.forget()
    return _json(200, {})


def _recycle(_: Shim, __: dict[str, Any]) -> Response:
    from sandbox.patches import lambda_workers  # noqa: PLC0415 - the engine is imported by the shim only

    return _json(200, {"busy": lambda_workers.end_idle()})


def _stack(shim: Shim, query: dict[str, Any]) -> Response:
    """Return a stack's resources, their properties with intrinsic functions resolved."""
    from ministack.core.responses import request_scope  # noqa: PLC0415 - the engine is imported by the shim only
    from ministack.services import cloudformation  # noqa: PLC0415 - as above

    with request_scope(query.get("account", shim.account), query.get("region", shim.region)):
        found = cloudformation._stacks.get(query.get("name", ""))
    if found is None:
        return _json(404, {"error": f"there is no stack {query.get('name')!r}"})
    resources = {
        name: {"id": each["PhysicalResourceId"], "type": each["ResourceType"], "properties": each["Properties"]}
        for name, each in found["_resources"].items()
    }
    return _json(200, {"resources": resources})


async def _quiet(shim: Shim) -> None:
    """Wait until the calls already answered have emitted their events, at most ``QUIET_SECONDS``."""
    deadline = asyncio.get_running_loop().time() + QUIET_SECONDS
    while shim.pending and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - it ends in milliseconds
        await asyncio.sleep(0.002)


def _json(status: int, value: object) -> Response:
    return Response(status, {"content-type": "application/json"}, json.dumps(value, default=str).encode())


PATHS: dict[str, Callable[[Shim, dict[str, Any]], Response]] = {
    "faults": _faults,
    "faults/clear": _clear_faults,
    "calls": _calls,
    "events": _events,
    "stack": _stack,
    "forget": _forget,
    "recycle": _recycle,
}
