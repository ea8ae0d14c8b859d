"""The ASGI app in front of the engine: faults, the call log, CloudTrail events, tag change events."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from sandbox.events import bus, cloudtrail, delivered, identity, resources, tag_change
from sandbox.patches import stack_events
from sandbox.protocol import asgi, calls
from sandbox.protocol.models import RECORDED
from sandbox.protocol.requests import HttpRequest
from sandbox.server import faults
from sandbox.server.recorder import Recorder

if TYPE_CHECKING:
    from sandbox.options import Options
    from sandbox.protocol.asgi import App, Receive, Scope, Send
    from sandbox.protocol.calls import Call
    from sandbox.server.environment import Place

LOG = logging.getLogger("sandbox")


def build(options: Options, place: Place) -> Shim:
    """Return the engine, imported and patched, behind the shim."""
    from ministack.app import app  # noqa: PLC0415 - it reads the environment that the server has just cleaned

    from sandbox import patches  # noqa: PLC0415 - as above

    patches.apply(options)
    shim = Shim(cast("App", app), place.account, place.region, frozenset(RECORDED + options.record))
    stack_events.apply(shim.emit, quiet_stacks=options.quiet_stacks)
    return shim


@dataclass
class Shim:
    """An ASGI app around the engine's."""

    engine: App
    account: str
    region: str
    recorded: frozenset[str]
    recorder: Recorder = field(default_factory=Recorder)
    faults: faults.Faults = field(default_factory=faults.Faults)
    changes: tag_change.TagChanges = field(default_factory=tag_change.TagChanges)
    pending: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.engine(scope, receive, send)
            return
        body = await asgi.body_of(receive)
        call = calls.recognise(_request(scope, body), self.recorded)
        if call is None:
            await self.engine(scope, asgi.replay(body, receive), send)
            return
        await self._serve(call, scope, asgi.replay(body, receive), send)

    async def _serve(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        account = account_of(call.access_key, self.account)
        principal = identity.user_identity(call.access_key, account)
        emits = call.model is not None and delivered.emits(call.service, call.operation, call.labels)
        self.pending += emits
        source_ip = (scope.get("client") or ("127.0.0.1",))[0]
        caller = cloudtrail.Caller(account, principal, call.request.headers.get("user-agent", ""), source_ip)
        if call.service == "cloudformation":
            stack_events.ACTING.set(stack_events.acting_for(caller))
        try:
            before = self._tags(call, account) if emits else {}
            response = await self._answer(call, str(principal.get("arn", "")), scope, receive, Tap(send, whole=emits))
            outcome = cloudtrail.outcome_of(call, response)
            self.recorder.call(
                (call.service, call.operation, str(principal.get("arn", ""))),
                outcome.error,
                emitted=emits,
                recorded=call.service in self.recorded,
            )
            if emits:
                self.emit(call, outcome, caller, before)
        finally:
            self.pending -= emits

    async def _answer(self, call: Call, principal: str, scope: Scope, receive: Receive, tap: Tap) -> asgi.Response:
        """Answer the call by a fault or by the engine, and return the answer."""
        fault = self.faults.strike(call, principal)
        if fault and fault.latency:
            await asyncio.sleep(fault.latency)
        if fault and fault.code:
            if fault.after:
                await self.engine(scope, receive, _drop)
            await asgi.answer(tap, faults.response(fault, call))
        else:
            await self.engine(scope, receive, tap)
        return tap.response()

    def _tags(self, call: Call, account: str, members: dict[str, Any] | None = None) -> dict[str, dict[str, str]]:
        return tag_change.snapshot(resources.touched(call, account, call.parameters(), members or {}))

    def emit(self, call: Call, outcome: cloudtrail.Outcome, caller: cloudtrail.Caller, before: dict[str, Any]) -> None:
        """Put the call's events on the bus, or log the error: the caller has the answer already."""
        try:
            events = [cloudtrail.envelope(call, outcome, caller)]
            if not outcome.error:
                after = self._tags(call, caller.account, outcome.members)
                events += self.changes.events(before, after, caller.account, call.region)
            for event in events:
                self.recorder.event(event)
                bus.put(event)
        except Exception:  # nothing is lost: the log names the call without an event
            LOG.exception("no event for %s %s", call.service, call.operation)


async def _drop(_message: asgi.Message) -> None:
    """Drop an answer that does not reach its caller."""


@dataclass
class Tap:
    """A send callable that passes an answer on and keeps a copy: always, or only of an error."""

    send: Send
    whole: bool
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)

    async def __call__(self, message: asgi.Message) -> None:
        """Send a message on, and keep its part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        elif self.whole or self.status >= cloudtrail.FAILED_STATUS:
            self.parts.append(message.get("body", b""))
        await self.send(message)

    def response(self) -> asgi.Response:
        """Return the answer; without its body if that was not kept."""
        kept = self.whole or self.status >= cloudtrail.FAILED_STATUS
        return asgi.Response(self.status, self.headers, b"".join(self.parts), kept)


def account_of(access_key: str, default: str) -> str:
    """Return the account that the engine resolves an access key to."""
    from ministack.core.iam_evaluator import find_iam_access_key_account  # noqa: PLC0415 - see build()
    from ministack.core.responses import _account_from_sts_session  # noqa: PLC0415 - as above

    if access_key.isdigit() and len(access_key) == len("123456789012"):
        return access_key
    found = find_iam_access_key_account(access_key) or _account_from_sts_session(access_key)
    return str(found or default)


def _request(scope: Scope, body: bytes) -> HttpRequest:
    raw = scope.get("raw_path") or scope["path"].encode()
    return HttpRequest(
        scope["method"], raw.decode("latin-1"), scope["query_string"].decode("latin-1"), asgi.headers_of(scope), body
    )
