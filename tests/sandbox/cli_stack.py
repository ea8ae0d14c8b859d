"""A stack in a sandbox, and an operator who uses the command line on it."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.runtime.dynamodb import wire
from evenkeel_cli.local import local_stack
from sandbox.client import Sandbox
from sandbox.deploy.deployment import Stack, deploy
from sandbox.deploy.settings import push
from tests.cli.running import evenkeel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from click.testing import Result

    from tests.sandbox.shared import Shared

PATIENCE_SECONDS = 180.0
STAYS_ANNOUNCED = "s3-versioning"
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

    def forget_letters(self) -> None:
        """Empty the dead letters of what other tests of the shared stack left there."""
        self.sandbox.client("sqs").purge_queue(QueueUrl=self.stack.outputs["DeadLetterQueueUrl"])

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
        """Wait for a record of a resource, and return the newest as the command line shows it."""
        eventually(lambda: self.has(arn, outcome, control), f"{outcome} of {control} at {arn}")
        return self.listed(arn, outcome, control)[0]

    def listed(self, arn: str, outcome: str, control: str = CONTROL) -> list[dict[str, Any]]:
        """Return the records of a resource with an outcome as the command line shows them, the newest first."""
        wanted = ("audit", "list", "--resource", arn, "--control", control, "--outcome", outcome)
        found: list[dict[str, Any]] = self.ask(*wanted)
        return found

    def has(self, arn: str, outcome: str, control: str = CONTROL) -> bool:
        """Say whether a resource has a record with an outcome; a command line's start costs much more to ask."""
        return any(
            (item["control"]["S"], item.get("outcome", {}).get("S")) == (control, outcome)
            for item in written(self.sandbox, self.stack, arn)
        )

    def rotates(self, arn: str) -> bool:
        """Say whether a key rotates."""
        return bool(self.sandbox.client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"])

    def put(self, record: dict[str, Any]) -> None:
        """Write an audit record as root."""
        table = self.stack.outputs["AuditTableName"]
        self.sandbox.client("dynamodb").put_item(TableName=table, Item=wire(record))


def written(sandbox: Sandbox, stack: Stack, arn: str) -> list[dict[str, Any]]:
    """Return the audit table's items about a resource in DynamoDB's form, the oldest first."""
    pages = (
        sandbox.client("dynamodb")
        .get_paginator("query")
        .paginate(
            TableName=stack.outputs["AuditTableName"],
            KeyConditionExpression="#r = :r",
            ExpressionAttributeNames={"#r": "resource"},
            ExpressionAttributeValues={":r": {"S": arn}},
        )
    )
    return [item for page in pages for item in page["Items"]]


def eventually(look: Callable[[], Any], what: str) -> Any:
    """Look until something is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"not within {PATIENCE_SECONDS:.0f} s: {what}")


def operator(sandbox: Sandbox, stack: Stack, who: Any) -> dict[str, str]:
    """Return the environment of a person at a shell who works on a stack."""
    credentials: Any = who.get_credentials()
    return {
        "AWS_ENDPOINT_URL": sandbox.endpoint,
        "AWS_REGION": sandbox.region,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "EVENKEEL_STACK": stack.name,
    }


def on(shared: Shared, document: dict[str, Any]) -> Place:
    """Return the shared stack under settings of a file's own."""
    shared.under(document)
    return Place(shared.sandbox, shared.stack, operator(shared.sandbox, shared.stack, shared.user("operator")))


@contextmanager
def standing(table_seconds: float = 0.0, enforced: Iterable[str] = (), *, quiet: bool = True) -> Iterator[Place]:
    """Deploy the real stack with the undo function to a sandbox of its own, for tests that change the stack itself.

    ``enforced`` are controls that act although they only announce by default. ``quiet`` leaves out the events of what
    the stack deploys.
    """
    with local_stack.own_environment(), Sandbox(table_seconds=table_seconds, quiet_stacks=quiet) as running:
        stack = deploy(running, parameters=local_stack.PARAMETERS)
        push(running, stack, settings(enforced))
        yield Place(running, stack, operator(running, stack, running.create_user("operator")))


def strict() -> dict[str, Any]:
    """Return the sandbox's settings with all enforced that can change something, but for one that shows announcing."""
    changing = (name for name, control in all_controls().items() if not control.only_announces)
    return settings(name for name in changing if name != STAYS_ANNOUNCED)


def settings(enforced: Iterable[str] = ()) -> dict[str, Any]:
    """Return the sandbox's settings with some controls enforced."""
    document = local_stack.settings()
    for control in enforced:
        document["controls"][control]["mode"] = "enforce"
    return document
