"""Deployment of a SAM template into a running sandbox, from the client's side."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from sandbox.client import REPOSITORY
from sandbox.deploy import package, template

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

    from sandbox.client import Sandbox

CAPABILITIES = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
WAIT_SECONDS = 120.0
POLL_SECONDS = 0.05
NESTED = "Group"
"""The suffix of the logical ids of the groups' nested stacks."""
CACHE = REPOSITORY / "build" / "sandbox"


class DeployError(RuntimeError):
    """The stack could not be created, updated or deleted; the message lists what failed and why."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack."""

    name: str
    outputs: dict[str, str]
    resources: dict[str, str]
    """Physical id of each logical id of the expanded template; of a nested stack ``KmsGroup``: ``KmsQueue``, …"""
    expanded: dict[str, Any] = field(repr=False)
    """The template after the SAM transform, as the engine returns it."""


def deploy(
    sandbox: Sandbox,
    path: Path = REPOSITORY / "template.yaml",
    stack: str = "evenkeel",
    parameters: dict[str, str] | None = None,
    session: boto3.Session | None = None,
) -> Stack:
    """Create or update a stack from a SAM template and return it; raise DeployError with the stack's events."""
    bucket = f"evenkeel-artifacts-{sandbox.account}-{sandbox.region}"
    packager = package.Packager(CACHE, bucket, f"{sandbox.endpoint}/{bucket}")
    packaged = packager.rewrite(template.load(path), path.parent)
    objects = {key: artifact.path.read_bytes() for key, artifact in packager.artifacts.items()}
    objects[f"{stack}.template"] = json.dumps(packaged).encode()
    _upload(sandbox.client("s3", session), bucket, sandbox.region, objects)
    client = sandbox.client("cloudformation", session)
    given: dict[str, Any] = {
        "StackName": stack,
        "TemplateURL": f"{sandbox.endpoint}/{bucket}/{stack}.template",
        "Capabilities": CAPABILITIES,
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in sorted((parameters or {}).items())
        ],
    }
    if _status(client, stack):
        try:
            client.update_stack(**given)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise DeployError(f"stack {stack} cannot be updated: {error}") from error
    else:
        try:
            client.create_stack(**given)
        except ClientError as error:
            raise DeployError(f"stack {stack} cannot be created: {error}") from error
    _wait(client, stack)
    return describe(sandbox, stack, session)


def _upload(s3: Any, bucket: str, region: str, objects: dict[str, bytes]) -> None:
    if bucket not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=bucket, **where)
    for key, body in objects.items():
        s3.put_object(Bucket=bucket, Key=key, Body=body)


def _status(client: Any, stack: str) -> str:
    """Return a stack's status; empty when it does not exist."""
    try:
        return str(client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
    except ClientError as error:
        if "does not exist" in str(error):
            return ""
        raise


def _wait(client: Any, stack: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    status = _status(client, stack)
    while status.endswith("_IN_PROGRESS") and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        status = _status(client, stack)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE", ""):
        raise DeployError(f"stack {stack} ended as {status}:\n{_failures(client, stack)}")


def _failures(client: Any, stack: str) -> str:
    events = client.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [each for each in reversed(events) if "FAILED" in each["ResourceStatus"]]
    return "\n".join(
        f"  {each['LogicalResourceId']} ({each['ResourceType']}): {each.get('ResourceStatusReason', 'no reason given')}"
        for each in failed
    )


def describe(sandbox: Sandbox, stack: str, session: boto3.Session | None = None) -> Stack:
    """Return a stack that exists: its outputs, resources and processed template."""
    client = sandbox.client("cloudformation", session)
    found = client.describe_stacks(StackName=stack)["Stacks"][0]
    resources = _resources(client, stack)
    for name, identifier in list(resources.items()):
        if ":cloudformation:" in identifier:
            start = name.removesuffix(NESTED) if name.endswith(NESTED) else ""
            nested = _resources(client, identifier.split("/")[1])
            resources |= {start + inner.removeprefix(start): each for inner, each in nested.items()}
    body = client.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    return Stack(stack, outputs, resources, body if isinstance(body, dict) else json.loads(body))


def _resources(client: Any, stack: str) -> dict[str, str]:
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each.get("PhysicalResourceId")
    }


def delete(sandbox: Sandbox, stack: str, session: boto3.Session | None = None) -> None:
    """Delete a stack and wait until it is deleted; raise DeployError with the resources that could not be."""
    client = sandbox.client("cloudformation", session)
    identifier = client.describe_stacks(StackName=stack)["Stacks"][0]["StackId"]
    client.delete_stack(StackName=stack)
    _wait(client, identifier)
