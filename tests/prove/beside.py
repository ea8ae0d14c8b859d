"""An account in a sandbox with Evenkeel as it comes, where other people's tools deploy things."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.runtime.dynamodb import unwire
from evenkeel_cli.local import local_stack
from sandbox.client import Sandbox
from sandbox.deploy.deployment import Stack, deploy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    Record = dict[str, Any]

SETTLED_SECONDS = 150.0
"""The settle time of the defaults (60 s), at most 90 s for a change, and what the repair itself takes."""


@dataclass(frozen=True)
class Account:
    """A sandbox with Evenkeel, and a person who deploys with tools of their own."""

    sandbox: Sandbox
    stack: Stack
    variables: dict[str, str]

    def run(self, folder: Path, command: Sequence[str], seconds: float, more: Mapping[str, str]) -> str:
        """Run a command that has to succeed within so many seconds; return what it printed."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **self.variables, **more}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=seconds
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def records(self) -> list[Record]:
        """Return the outcomes in the audit table, the oldest first."""
        pages = self.sandbox.client("dynamodb").get_paginator("scan").paginate(
            TableName=self.stack.outputs["AuditTableName"], ConsistentRead=True
        )  # fmt: skip
        found = [unwire(item) for page in pages for item in page["Items"]]
        return sorted((each for each in found if each.get("step") == "OUTCOME"), key=lambda each: each["record_id"])

    def repair(self, control: str, arn: str, number: int = 1) -> Record:
        """Wait for the so manieth repair of a resource by a control, and return its record."""

        def made() -> Any:
            found = [each for each in self.records() if (each["control"], each["resource"]) == (control, arn)
                     and each["outcome"] in ("REMEDIATED", "PARTIAL")]  # fmt: skip
            return found[number - 1] if len(found) >= number else None

        record: Record = soon(made, f"{control} of {arn}")
        return record


def soon(look: Callable[[], Any], what: str) -> Any:
    """Look until something is there, for as long as the settle time may make it take."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    pytest.fail(f"not within {SETTLED_SECONDS:.0f} s: {what}")


@contextmanager
def evenkeel() -> Iterator[Account]:
    """Deploy Evenkeel with its defaults, no settings pushed, and make a person who may do everything."""
    with local_stack.own_environment(), Sandbox(table_seconds=0.0, quiet_stacks=True) as running:
        stack = deploy(running)
        credentials: Any = running.create_user("deployer").get_credentials()
        variables = {
            "AWS_ENDPOINT_URL": running.endpoint,
            "AWS_REGION": running.region,
            "AWS_DEFAULT_REGION": running.region,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        }
        yield Account(running, stack, variables)
