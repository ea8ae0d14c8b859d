"""A first creation that fails, and the second attempt: nothing may be left that costs money or takes a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evenkeel_cli.local import local_stack
from sandbox.client import REPOSITORY, Sandbox
from sandbox.deploy.deployment import DeployError, delete, deploy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STACK = "evenkeel"
TABLES = [f"{STACK}-audit", f"{STACK}-state"]
FAILING = """
  NotThere:
    Type: AWS::CloudFormation::Stack
    DependsOn: [KmsGroup, StateTable]
    Properties: {TemplateURL: https://s3.amazonaws.com/no-such-bucket/no.template}
"""


@pytest.fixture
def place() -> Iterator[Sandbox]:
    """An empty AWS."""
    with local_stack.own_environment(), Sandbox(table_seconds=0.0) as running:
        yield running


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    """Return the template with one resource more, which cannot be created."""
    for name in ("functions", "layers"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    text = (REPOSITORY / "template.yaml").read_text(encoding="utf-8")
    path = tmp_path / "template.yaml"
    path.write_text(text.replace("\nOutputs:\n", f"{FAILING}\nOutputs:\n"), encoding="utf-8")
    return path


def left(place: Sandbox) -> dict[str, list[str]]:
    """Return what is there of a stack, by service: what costs money, and what keeps a name."""
    kms = place.client("kms")
    keys = [kms.describe_key(KeyId=each["KeyId"])["KeyMetadata"] for each in kms.list_keys()["Keys"]]
    found = {
        "keys": [each["Description"] for each in keys if each["KeyState"] != "PendingDeletion"],
        "aliases": [each["AliasName"] for each in kms.list_aliases()["Aliases"] if STACK in each["AliasName"]],
        "tables": place.client("dynamodb").list_tables()["TableNames"],
        "queues": place.client("sqs").list_queues().get("QueueUrls", []),
        "topics": place.client("sns").list_topics()["Topics"],
        "functions": [each["FunctionName"] for each in place.client("lambda").list_functions()["Functions"]],
        "logs": place.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{STACK}")["logGroups"],
        "roles": [each for each in place.client("iam").list_roles()["Roles"] if each["Path"] == "/evenkeel/"],
        "applications": place.client("appconfig").list_applications()["Items"],
    }
    return {service: things for service, things in found.items() if things}


def protected(place: Sandbox) -> dict[str, str]:
    """Return the ids of the tables that refuse deletion, by name."""
    tables = [place.client("dynamodb").describe_table(TableName=name)["Table"] for name in TABLES]
    return {each["TableName"]: each["TableId"] for each in tables if each["DeletionProtectionEnabled"]}


def test_a_creation_that_fails_leaves_nothing_and_can_be_repeated(place: Sandbox, failing: Path) -> None:
    """If this fails, each failed creation leaves a key that is paid for, or a name that the next one stumbles over."""
    with pytest.raises(DeployError, match="ROLLBACK_COMPLETE"):
        deploy(place, failing)
    assert left(place) == {}
    delete(place, STACK)
    deploy(place)
    tables = {name: place.client("dynamodb").describe_table(TableName=name)["Table"]["TableId"] for name in TABLES}
    deploy(place, parameters={"Protect": "true"})
    assert protected(place) == tables


def test_a_protected_creation_that_fails_leaves_its_tables(place: Sandbox, failing: Path) -> None:
    """If this fails, docs/operations/deploy.md asks for two steps, to create and to protect, for no reason any more."""
    with pytest.raises(DeployError, match="protected against deletion"):
        deploy(place, failing, parameters={"Protect": "true"})
    assert sorted(left(place)["tables"]) == TABLES
