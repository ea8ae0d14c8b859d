"""A stack in a sandbox, and an operator who uses the command line on it."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.state import wire
from evenkeel_cli import local
from sandbox.client import Sandbox
from sandbox.deploy import Stack, deploy
from sandbox.settings import push
from tests.cli.running import evenkeel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from click.testing import Result

PATIENCE_SECONDS = 180.0
CONTROL = "kms-key-rotation"


@dataclass(frozen=True)
class Place:
    """A stack, and an operator who uses it."""

    sandbox: Sandbox
    stack: Stack
    operator: dict[str, str]

    def run(self, *arguments: str) -> Result:
        """Run a command as the operator."""
        return evenkeel(*arguments, env=self.operator)

    def ask(self, *arguments: str) -> Any:
        """Run a command that has to succeed, for its JSON."""
        result = self.run(*arguments, "--output", "json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def repaired_key(self) -> tuple[str, str]:
        """Make a key and wait until its rotation was repaired; return its ARN and the record's id."""
        arn = self.sandbox.client("kms", self.sandbox.admin()).create_key()["KeyMetadata"]["Arn"]
        return arn, str(self.outcome(arn)["record_id"])

    def outcome(self, arn: str, outcome: str = "REMEDIATED", control: str = CONTROL) -> dict[str, Any]:
        """Wait for a record of a resource; return the newest."""
        wanted = ("audit", "list", "--resource", arn, "--control", control, "--outcome", outcome)
        found: list[dict[str, Any]] = eventually(lambda: self.ask(*wanted), f"{outcome} of {arn}")
        return found[0]

    def rotates(self, arn: str) -> bool:
        """Say whether a key rotates."""
        return bool(self.sandbox.client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"])

    def put(self, record: dict[str, Any]) -> None:
        """Write an audit record as root."""
        table = self.stack.outputs["AuditTableName"]
        self.sandbox.client("dynamodb").put_item(TableName=table, Item=wire(record))


def eventually(look: Callable[[], Any], what: str) -> Any:
    """Look until something is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"not within {PATIENCE_SECONDS:.0f} s: {what}")


@contextmanager
def standing(table_seconds: float = 0.0, enforced: Iterable[str] = ()) -> Iterator[Place]:
    """Deploy the real stack with the undo function, and make a person who may do everything.

    ``enforced`` are controls that act although they only announce by default.
    """
    with local.own_environment(), Sandbox(table_seconds=table_seconds) as running:
        stack = deploy(running, parameters=local.PARAMETERS)
        document = local.settings()
        for control in enforced:
            document["controls"][control]["mode"] = "enforce"
        push(running, stack, document)
        credentials: Any = running.create_user("operator").get_credentials()
        variables = {
            "AWS_ENDPOINT_URL": running.endpoint,
            "AWS_REGION": running.region,
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "EVENKEEL_STACK": stack.name,
        }
        yield Place(running, stack, variables)
