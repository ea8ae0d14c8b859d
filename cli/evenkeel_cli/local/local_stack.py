"""A local AWS with the real stack deployed and configured, for ``demo`` and ``sandbox``."""

from __future__ import annotations

import errno
import os
import re
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from evenkeel.control.registry import all_controls
from evenkeel_cli.ui.failure import CommandError, Exit
from sandbox.client import REPOSITORY, Sandbox, SandboxError
from sandbox.deploy.deployment import DeployError, Stack, deploy
from sandbox.deploy.package import PackageError
from sandbox.deploy.settings import push
from sandbox.readback.check import DroppedProperty, check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STACK = "evenkeel"
SETTLE_SECONDS = 2
TAG_VALUES = {"Environment": "sandbox", "Project": "evenkeel", "CostCenter": "4711"}
OWNER = "shop-team"
"""Owner of resources whose events do not prove their creator (docs/owner.md)."""
BLAST_RADIUS = 10_000
"""Changes of one control in an hour: many, since people break sandbox resources in waves."""
WORKERS = 2
"""Workers per queue, instead of the template's ten: here they all start cold on the same few cores."""
PARAMETERS = {"EnableUndo": "true", "MaximumConcurrency": str(WORKERS)}
"""The stack's parameters: everything is enabled."""
_NOWHERE = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_ACCOUNT = re.compile(r"\d{12}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@dataclass(frozen=True, slots=True)
class Local:
    """A running sandbox with the stack on it."""

    sandbox: Sandbox
    stack: Stack
    start_seconds: float
    deploy_seconds: float
    readback_seconds: float = 0.0
    properties: int = 0
    """Number of template properties that were read back from the services."""


def settings() -> dict[str, Any]:
    """Return the settings document of the sandbox: a short settle time, a wide blast radius, and values for tags.

    There are values for three tags, and for ``Owner`` of those types whose maker no event proves.
    """
    wide = {"blast_radius": {"limit": BLAST_RADIUS, "window_seconds": 3600}}
    found: dict[str, dict[str, Any]] = {name: dict(wide) for name in sorted(all_controls())}
    from tagging.types import TYPES  # noqa: PLC0415 - a group's package, which the line before makes importable

    found["tagging-required-tags"] |= {
        "parameters": {"values": TAG_VALUES},
        "overrides": [
            {
                "resources": [f"arn:*:{kind.service}:*"],
                **({} if kind.repeats_in == "*" else {"regions": [kind.repeats_in]}),
                "parameters": {"values": {**TAG_VALUES, "Owner": OWNER}},
            }
            for kind in TYPES
            if kind.repeats_in
        ],
    }
    return {"schema_version": 1, "settle_seconds": SETTLE_SECONDS, "controls": found}


@contextmanager
def own_environment() -> Iterator[None]:
    """Hide the person's AWS configuration and proxy, so that no call can reach a real account."""
    hidden = [name for name in os.environ if name.startswith("AWS_")]
    kept = {name: os.environ.get(name) for name in (*hidden, *_NOWHERE, "NO_PROXY", "no_proxy")}
    for name in hidden:
        del os.environ[name]
    os.environ.update(_NOWHERE, NO_PROXY="127.0.0.1", no_proxy="127.0.0.1")
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def started(port: int, region: str, account: str, say: Callable[[str], None]) -> Iterator[Local]:
    """Start the sandbox, deploy ``template.yaml`` to it, set the settings, yield it, and stop it at the end.

    ``say`` is called with each step.

    Raises:
        CommandError: an argument is wrong, the port is taken, or the stack does not deploy.
    """
    _check(port, region, account)
    with own_environment():
        say("starting a local AWS")
        began = time.monotonic()
        sandbox = Sandbox(port=port, region=region, account=account)
        try:
            sandbox.start()
        except SandboxError as error:
            raise CommandError(str(error), "Run it again; if it fails again, report the message above.") from error
        try:
            up = time.monotonic()
            say("deploying template.yaml")
            stack = _deployed(sandbox)
            yield Local(sandbox, stack, up - began, time.monotonic() - up)
        finally:
            sandbox.stop()


def _check(port: int, region: str, account: str) -> None:
    if not _ACCOUNT.fullmatch(account):
        raise CommandError(f"--account {account}: not an account id", "Give 12 digits.", Exit.USAGE)
    if not _REGION.fullmatch(region):
        raise CommandError(f"--region {region}: not a region", "Give one like eu-west-1.", Exit.USAGE)
    if not port:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                message = f"port {port} of 127.0.0.1 is in use, perhaps by another sandbox"
                raise CommandError(
                    message, "Stop the process that uses it, or give another port: --port 0 takes a free one."
                ) from error
            raise CommandError(f"cannot listen on port {port}: {error}", "Give a port above 1023.") from error


def _deployed(sandbox: Sandbox) -> Stack:
    try:
        stack = deploy(sandbox, REPOSITORY / "template.yaml", STACK, PARAMETERS)
        push(sandbox, stack, settings())
        sandbox.recycle()  # the deployment's events started workers, which would keep the defaults for a minute
    except (DeployError, PackageError, SandboxError, ClientError, BotoCoreError) as error:
        raise CommandError(f"template.yaml does not deploy: {error}", "Run make env, then run it again.") from error
    return stack


def read_back(local: Local) -> Local:
    """Compare every property of the template with the service's answer; return the stack with their number.

    Raises:
        CommandError: the sandbox dropped or changed a property, so the demo would prove nothing.
    """
    began = time.monotonic()
    try:
        compared = check(local.sandbox, local.stack.name)
    except DroppedProperty as error:
        raise CommandError(
            str(error), "The sandbox does not keep this property; see sandbox/readback/check.py."
        ) from error
    return replace(local, readback_seconds=time.monotonic() - began, properties=compared)
