"""A sandbox in a subprocess: sessions, users, faults, and the log of calls and events."""

from __future__ import annotations

import json
import select
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from types import TracebackType

START_SECONDS = 30.0
STOP_SECONDS = 10.0
RECYCLE_SECONDS, RECYCLE_PAUSE_SECONDS = 30.0, 0.1
ROOT_SECRET = "test"  # noqa: S105  # nosec B105 - the engine's own well-known root secret
REPOSITORY = Path(__file__).resolve().parent.parent


class SandboxError(RuntimeError):
    """The sandbox did not start, or refused an administrative request."""


@dataclass(frozen=True)
class Faults:
    """The injected faults of a sandbox; ``sandbox.server.faults.Fault`` has the fields."""

    endpoint: str

    def add(self, service: str, operation: str = "*", **settings: Any) -> str:
        """Inject a fault and return its id; ``settings`` are other fields of :class:`sandbox.server.faults.Fault`."""
        body = {"service": service, "operation": operation, **settings}
        return str(ask(self.endpoint, "faults", body)["id"])

    def list(self) -> list[dict[str, Any]]:
        """Return the active faults, each with the number of calls that got it (``hits``)."""
        return list(ask(self.endpoint, "faults")["faults"])

    def clear(self, identifier: str | None = None) -> None:
        """Remove one fault, or all of them."""
        ask(self.endpoint, "faults/clear", {"id": identifier})


def ask(endpoint: str, path: str, body: object | None = None) -> dict[str, Any]:
    """Call an administrative path of a sandbox (GET, or POST with a body); raise SandboxError if it refuses."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{endpoint}/_evenkeel/{path}", data=data)  # noqa: S310 - our own loopback URL
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:  # noqa: S310  # nosec B310 - as above
            answer: dict[str, Any] = json.load(reply)
    except urllib.error.HTTPError as error:
        message = f"the sandbox refused {path}: {error.read().decode(errors='replace')}"
        raise SandboxError(message) from error
    return answer


@dataclass
class Sandbox:
    """A sandbox in a subprocess of its own; use it in a ``with`` block, or call ``start`` and ``stop``."""

    port: int = 0
    region: str = "eu-west-1"
    account: str = "123456789012"
    table_seconds: float = 1.5
    minute_seconds: float = 0.0
    record: tuple[str, ...] = ()
    quiet_stacks: bool = False
    log_level: str = "WARNING"
    endpoint: str = field(default="", init=False)
    _process: subprocess.Popen[str] | None = field(default=None, init=False, repr=False)
    _stderr: IO[str] | None = field(default=None, init=False, repr=False)
    _last_log: str = field(default="", init=False, repr=False)
    _clients: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __enter__(self) -> Self:
        """Start the sandbox."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the sandbox."""
        self.stop()

    def start(self) -> Self:
        """Start the server and wait for its ready line; raise SandboxError if it does not come."""
        command = [sys.executable, "-m", "sandbox", "--exit-with-parent", "--port", str(self.port)]
        command += ["--region", self.region, "--account", self.account, "--log-level", self.log_level]
        command += ["--table-seconds", str(self.table_seconds), "--minute-seconds", str(self.minute_seconds)]
        command += [part for service in self.record for part in ("--record", service)]
        command += ["--quiet-stacks"] if self.quiet_stacks else []
        self._stderr = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed in stop()
        self._process = subprocess.Popen(  # noqa: S603  # nosec B603 - our own module on our own interpreter
            command,
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self.endpoint = self._ready_line(self._process)["endpoint"]
        return self

    def _ready_line(self, process: subprocess.Popen[str]) -> dict[str, str]:
        if process.stdout is None:
            raise RuntimeError("the sandbox was started without a pipe for its ready line")
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        line = process.stdout.readline() if ready else ""
        if not line.startswith("{"):
            self.stop()
            message = f"the sandbox did not become ready within {START_SECONDS:.0f} s: {line}{self.server_log()}"
            raise SandboxError(message)
        found: dict[str, str] = json.loads(line)
        return found

    def stop(self) -> None:
        """Stop the server and every process that it started."""
        if self._process is None:
            return
        process, self._process = self._process, None
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._last_log = self.server_log()
        self._clients.clear()
        if self._stderr is not None:
            self._stderr.close()

    def server_log(self) -> str:
        """Return the server's stderr, even after it has stopped."""
        if self._stderr is None or self._stderr.closed:
            return self._last_log
        self._stderr.seek(0)
        return self._stderr.read()

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._process is None:
            message = "the sandbox is not running; call start() first"
            raise SandboxError(message)
        return self._process.pid

    def in_region(self, region: str) -> Sandbox:
        """Return the same sandbox in another region; it stops with this one."""
        other = replace(self, region=region)
        other.endpoint, other._process, other._stderr = self.endpoint, self._process, self._stderr
        return other

    def admin(self) -> boto3.Session:
        """Return a session with the account's root credentials, which IAM policies do not limit."""
        return boto3.Session(self.account, ROOT_SECRET, region_name=self.region)

    def create_user(self, name: str, policy: dict[str, Any] | None = None) -> boto3.Session:
        """Create an IAM user with access keys and an inline policy (default: everything); return its session."""
        iam = self.client("iam")
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        iam.create_user(UserName=name)
        iam.put_user_policy(
            UserName=name,
            PolicyName="sandbox",
            PolicyDocument=json.dumps(policy or {"Version": "2012-10-17", "Statement": [everything]}),
        )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=self.region)

    def client(self, service: str, session: boto3.Session | None = None, **options: Any) -> Any:
        """Return a boto3 client of the sandbox, for root unless a session is given; ``options`` go into its Config.

        The same arguments return the same client: creating one takes as long as dozens of calls.
        """
        key = (self.endpoint, service, session, str(options))
        if key not in self._clients:
            settings = Config(**({"retries": {"mode": "standard", "total_max_attempts": 3}} | options))
            maker: Any = session or self.admin()
            self._clients[key] = maker.client(service, endpoint_url=self.endpoint, config=settings)
        return self._clients[key]

    @property
    def faults(self) -> Faults:
        """The faults that this sandbox injects."""
        return Faults(self.endpoint)

    def calls(self) -> dict[str, Any]:
        """Return ``{"calls": [{service, operation, principal, error, emitted, count}], "silent": {service: n}}``."""
        return ask(self.endpoint, "calls")

    def events(self, since: int = 0, **equals: str) -> list[dict[str, Any]]:
        """Return the EventBridge events after number ``since`` whose detail has these fields.

        For instance ``eventName="CreateKey"``; ``source`` is compared with the envelope's.
        """
        query = urllib.parse.urlencode({"since": since, **equals})
        return list(ask(self.endpoint, f"events?{query}")["events"])

    def forget(self) -> None:
        """Clear the log of calls and events; resources stay as they are."""
        ask(self.endpoint, "forget", {})

    def recycle(self) -> None:
        """End all idle workers of functions, as Lambda does now and then; the next invocations start cold.

        Raises:
            SandboxError: a worker is busy for longer than half a minute.
        """
        deadline = time.monotonic() + RECYCLE_SECONDS
        while busy := ask(self.endpoint, "recycle", {})["busy"]:
            if time.monotonic() > deadline:
                message = f"{busy} workers are still busy after {RECYCLE_SECONDS:.0f} s; look for what invokes them"
                raise SandboxError(message)
            time.sleep(RECYCLE_PAUSE_SECONDS)

    def logs(self, function: str) -> list[str]:
        """Return the log lines of a function, oldest first; empty if it has not run."""
        client = self.client("logs")
        group = f"/aws/lambda/{function}"
        configuration = self.client("lambda").get_function_configuration(FunctionName=function)
        group = configuration.get("LoggingConfig", {}).get("LogGroup", group)
        lines: list[tuple[int, str]] = []
        try:
            for page in client.get_paginator("filter_log_events").paginate(logGroupName=group):
                lines += [(event["timestamp"], event["message"]) for event in page["events"]]
        except client.exceptions.ResourceNotFoundException:
            return []
        return [message for _, message in sorted(lines, key=lambda line: line[0])]
