"""A stack's name that is too long is refused before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evenkeel.names import STACK_CHARACTERS
from sandbox.deploy.deployment import DeployError, delete, deploy

if TYPE_CHECKING:
    from sandbox.client import Sandbox


def everything(sandbox: Sandbox) -> dict[str, list[str]]:
    """Return what an account has of what the stack is made of."""
    listed = {
        ("kms", "list_keys"): ("Keys", "KeyId"),
        ("iam", "list_roles"): ("Roles", "RoleName"),
        ("lambda", "list_functions"): ("Functions", "FunctionName"),
        ("lambda", "list_layers"): ("Layers", "LayerName"),
        ("logs", "describe_log_groups"): ("logGroups", "logGroupName"),
        ("events", "list_rules"): ("Rules", "Name"),
        ("appconfig", "list_applications"): ("Items", "Name"),
    }
    names = {f"{service}.{call}": [each[key] for each in getattr(sandbox.client(service), call)()[many]]
             for (service, call), (many, key) in listed.items()}  # fmt: skip
    names["tables"] = sandbox.client("dynamodb").list_tables()["TableNames"]
    names["queues"] = sandbox.client("sqs").list_queues().get("QueueUrls", [])
    return {kind: sorted(found) for kind, found in names.items()}


def test_a_name_that_is_too_long_is_refused_with_a_sentence_and_leaves_nothing(sandbox: Sandbox) -> None:
    """If this fails, a long name fails in the middle of a deployment, or leaves a key that nobody asked for."""
    name = "s" * (STACK_CHARACTERS + 1)
    before = everything(sandbox)
    with pytest.raises(DeployError, match=r"StackName .*at most 28 characters\. Choose a shorter name for the stack"):
        deploy(sandbox, stack=name)
    assert everything(sandbox) == before
    events = sandbox.client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    made = {each["LogicalResourceId"] for each in events if each["ResourceStatus"] == "CREATE_COMPLETE"}
    assert not made & {"DataKey", "LogKey", "DigestKey"}, "the check comes first"
    delete(sandbox, name)
