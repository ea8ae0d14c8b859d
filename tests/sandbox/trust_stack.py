"""A stack in a sandbox with IAM enforced, and two people who decide with proofs of who they are."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from evenkeel.audit import records
from evenkeel.operators.caller_proof import sign
from evenkeel.runtime.dynamodb import unwire, wire
from sandbox.client import Sandbox
from sandbox.deploy.deployment import Stack, deploy
from tests.sandbox import inbox
from tests.sandbox.cli_stack import CONTROL, eventually, written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.shared import Shared


@dataclass(frozen=True)
class Place:
    """The stack, two people who may do everything, and the queue that hears its alerts."""

    sandbox: Sandbox
    stack: Stack
    alice: boto3.Session
    bob: boto3.Session
    inbox: str

    def records(self, arn: str, control: str = CONTROL) -> list[dict[str, Any]]:
        """Return the records of a resource and control, oldest first."""
        found = [unwire(item) for item in written(self.sandbox, self.stack, arn)]
        return [record for record in found if record["control"] == control]

    def outcomes(self, arn: str, control: str = CONTROL) -> list[str]:
        """Return the outcomes of a resource and control, oldest first."""
        return [record["outcome"] for record in self.records(arn, control) if "outcome" in record]

    def awaited(self, arn: str, outcome: str, control: str = CONTROL, count: int = 1) -> dict[str, Any]:
        """Wait for the ``count``-th record with an outcome; return the last."""

        def found() -> list[dict[str, Any]]:
            fitting = [each for each in self.records(arn, control) if each.get("outcome") == outcome]
            return fitting if len(fitting) >= count else []

        last: dict[str, Any] = eventually(found, f"{outcome} of {control} at {arn}")[-1]
        return last

    def chain_is_unbroken(self, arn: str, control: str = CONTROL) -> bool:
        """Prove a chain against the head in the state table."""
        key = wire({"pk": f"{control}#{arn}"})
        item = self.sandbox.client("dynamodb").get_item(TableName=self.stack.outputs["StateTableName"], Key=key)["Item"]
        found = self.records(arn, control)
        return len(records.chained(found, item["head"]["S"], arn, datetime.now(UTC))) == len(found)

    def decide(self, who: boto3.Session, **payload: Any) -> dict[str, Any]:
        """Send a person's proved decision about a record or control to the KMS function."""
        proof = sign(who, self.sandbox.endpoint, self.stack.name, payload)
        return self.invoke(self.stack.resources["KmsFunction"], {**payload, "caller": proof}, who)

    def invoke(self, function: str, payload: dict[str, Any], who: boto3.Session | None = None) -> dict[str, Any]:
        """Invoke a function and return its answer."""
        answer = self.sandbox.client("lambda", who, read_timeout=120).invoke(
            FunctionName=function, Payload=json.dumps(payload)
        )
        found: dict[str, Any] = json.load(answer["Payload"])
        return found

    def rotates(self, arn: str) -> bool:
        """Say whether a key rotates."""
        return bool(self.sandbox.client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"])

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that came since the last call."""
        return inbox.take(self.sandbox, self.inbox)


def on(shared: Shared, document: dict[str, Any]) -> Place:
    """Return the shared stack under settings of a file's own."""
    shared.under(document)
    return Place(shared.sandbox, shared.stack, shared.user("alice"), shared.user("bob"), shared.inbox(raw=True))


@contextmanager
def standing() -> Iterator[Place]:
    """Deploy the real stack with the defaults of its parameters to a sandbox of its own."""
    with Sandbox(table_seconds=0.0, quiet_stacks=True) as running:
        stack = deploy(running)
        alice, bob = running.create_user("alice"), running.create_user("bob")
        yield Place(running, stack, alice, bob, inbox.subscribe(running, stack, RawMessageDelivery="true"))


def dev_key(place: Place) -> str:
    """Return a development key whose creation was repaired."""
    tags = [{"TagKey": "env", "TagValue": "dev"}]
    arn = str(place.sandbox.client("kms", place.alice).create_key(Tags=tags)["KeyMetadata"]["Arn"])
    place.awaited(arn, "REMEDIATED")
    return arn


def evenkeels_roles(place: Place) -> dict[str, boto3.Session]:
    """Return a session of every role of the stack, by its name; root lets alice assume them."""
    iam, found = place.sandbox.client("iam"), {}
    sts = place.sandbox.client("sts", place.alice)
    for role in iam.list_roles(PathPrefix="/evenkeel/")["Roles"]:
        trust = iam.get_role(RoleName=role["RoleName"])["Role"]["AssumeRolePolicyDocument"]
        trust = trust if isinstance(trust, dict) else json.loads(trust)
        alice = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}, "Action": "sts:AssumeRole"}
        wider = {**trust, "Statement": [*trust["Statement"], alice]}
        iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=json.dumps(wider))
        given = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="thief")["Credentials"]
        found[role["RoleName"]] = boto3.Session(
            given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name=place.sandbox.region
        )
    return found
