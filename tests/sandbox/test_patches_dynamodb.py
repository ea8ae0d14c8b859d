"""What the sandbox corrects in the engine's DynamoDB."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, WaiterError

from tests.sandbox.tables import table

if TYPE_CHECKING:
    from sandbox.client import Sandbox


def test_a_new_table_is_creating_for_a_while(sandbox: Sandbox) -> None:
    """If this fails, not-ready handling, the most common defect of such tools, is never exercised."""
    client = sandbox.client("dynamodb")
    table(sandbox, "young", wait=False)
    assert client.describe_table(TableName="young")["Table"]["TableStatus"] == "CREATING"
    recovery = {"PointInTimeRecoveryEnabled": True}
    with pytest.raises(client.exceptions.ContinuousBackupsUnavailableException):
        client.update_continuous_backups(TableName="young", PointInTimeRecoverySpecification=recovery)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.put_item(TableName="young", Item={"a": {"S": "1"}})
    with pytest.raises(client.exceptions.ResourceInUseException):
        client.delete_table(TableName="young")
    found = client.describe_continuous_backups(TableName="young")["ContinuousBackupsDescription"]
    assert found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
    deadline = time.monotonic() + 5
    while client.describe_table(TableName="young")["Table"]["TableStatus"] != "ACTIVE":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    client.update_continuous_backups(TableName="young", PointInTimeRecoverySpecification=recovery)


def test_a_table_takes_one_change_at_a_time(sandbox: Sandbox) -> None:
    """If this fails, nobody sees what becomes of a change that meets another one of the same table."""
    client = sandbox.client("dynamodb")
    table(sandbox, "changing")
    changed = client.update_table(TableName="changing", DeletionProtectionEnabled=True)["TableDescription"]
    assert (changed["TableStatus"], changed["DeletionProtectionEnabled"]) == ("UPDATING", True)
    with pytest.raises(client.exceptions.ResourceInUseException):
        client.update_table(TableName="changing", DeletionProtectionEnabled=False)
    client.put_item(TableName="changing", Item={"a": {"S": "1"}})
    client.get_waiter("table_exists").wait(TableName="changing", WaiterConfig={"Delay": 1})
    with pytest.raises(ClientError, match="protect"):
        client.delete_table(TableName="changing")


def test_a_stack_does_not_delete_a_protected_table(sandbox: Sandbox) -> None:
    """If this fails, the sandbox hides what deletion protection does to those who tear stacks down."""
    stacked = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": "stacked",
            "KeySchema": [{"AttributeName": "a", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "a", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": True,
        },
    }
    stacks, client = sandbox.client("cloudformation"), sandbox.client("dynamodb")
    stacks.create_stack(StackName="stacked", TemplateBody=json.dumps({"Resources": {"Table": stacked}}))
    stacks.get_waiter("stack_create_complete").wait(StackName="stacked", WaiterConfig={"Delay": 1})
    stacks.delete_stack(StackName="stacked")
    with pytest.raises(WaiterError, match="DELETE_FAILED"):
        stacks.get_waiter("stack_delete_complete").wait(StackName="stacked", WaiterConfig={"Delay": 1})
    client.update_table(TableName="stacked", DeletionProtectionEnabled=False)
    stacks.delete_stack(StackName="stacked")
    stacks.get_waiter("stack_delete_complete").wait(StackName="stacked", WaiterConfig={"Delay": 1})


def test_the_recovery_period_is_kept(sandbox: Sandbox) -> None:
    """If this fails, an undo that restores someone's own recovery period cannot be shown."""
    client = sandbox.client("dynamodb")
    table(sandbox, "periodic")
    spec = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}
    client.update_continuous_backups(TableName="periodic", PointInTimeRecoverySpecification=spec)
    found = client.describe_continuous_backups(TableName="periodic")["ContinuousBackupsDescription"]
    assert found["PointInTimeRecoveryDescription"]["RecoveryPeriodInDays"] == 7
