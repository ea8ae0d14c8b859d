"""CloudFormation as on AWS: change sets heed conditions, and what a nested stack cannot delete stops its parent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.sandbox.cli_stack import eventually

if TYPE_CHECKING:
    from sandbox.client import Sandbox

CHOICE = {"Parameters": {"Second": {"Type": "String", "Default": "no"}},
          "Conditions": {"WithSecond": {"Fn::Equals": [{"Ref": "Second"}, "yes"]}},
          "Resources": {"First": {"Type": "AWS::SNS::Topic"},
                        "Second": {"Type": "AWS::SNS::Topic", "Condition": "WithSecond"}}}  # fmt: skip


def _status(client: Any, stack: str) -> str:
    return str(client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])


def _changes(client: Any, kind: str, second: str) -> list[tuple[str, str]]:
    """Create a change set, execute it, and return what it announced."""
    client.create_change_set(
        StackName="chosen", ChangeSetName=f"second-{second}", ChangeSetType=kind, TemplateBody=json.dumps(CHOICE),
        Parameters=[{"ParameterKey": "Second", "ParameterValue": second}],
    )  # fmt: skip
    found = client.describe_change_set(StackName="chosen", ChangeSetName=f"second-{second}")
    client.execute_change_set(StackName="chosen", ChangeSetName=f"second-{second}")
    eventually(lambda: _status(client, "chosen") == f"{kind}_COMPLETE", f"{kind}_COMPLETE")
    changes = (each["ResourceChange"] for each in found["Changes"])
    return sorted((each["Action"], each["LogicalResourceId"]) for each in changes)


def test_a_change_set_lists_only_what_its_conditions_admit(sandbox: Sandbox) -> None:
    """Whoever reviews a change set would read of groups that are not deployed, and not of those that are removed."""
    client = sandbox.client("cloudformation")
    assert _changes(client, "CREATE", "no") == [("Add", "First")]
    assert _changes(client, "UPDATE", "yes") == [("Add", "Second")]
    client.create_change_set(
        StackName="chosen", ChangeSetName="again", TemplateBody=json.dumps(CHOICE),
        Parameters=[{"ParameterKey": "Second", "ParameterValue": "no"}],
    )  # fmt: skip
    (change,) = client.describe_change_set(StackName="chosen", ChangeSetName="again")["Changes"]
    assert (change["ResourceChange"]["Action"], change["ResourceChange"]["LogicalResourceId"]) == ("Remove", "Second")
    client.delete_stack(StackName="chosen")


def test_a_nested_resource_that_cannot_be_deleted_stops_the_parent(sandbox: Sandbox) -> None:
    """A stack would be reported as deleted while its protected tables remain, unmanaged and unnoticed."""
    storage, client = sandbox.client("s3"), sandbox.client("cloudformation")
    table = {"TableName": "nested-orders", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
             "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
             "BillingMode": "PAY_PER_REQUEST", "DeletionProtectionEnabled": True}  # fmt: skip
    child = {"Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": table},
                           "Topic": {"Type": "AWS::SNS::Topic"}}}  # fmt: skip
    storage.create_bucket(Bucket="nested-templates", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    storage.put_object(Bucket="nested-templates", Key="child.json", Body=json.dumps(child))
    url = f"{sandbox.endpoint}/nested-templates/child.json"
    parent = {"Resources": {"Child": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": url}}}}
    client.create_stack(StackName="parent", TemplateBody=json.dumps(parent))
    eventually(lambda: _status(client, "parent") == "CREATE_COMPLETE", "the parent")
    found = client.describe_stacks(StackName="parent")["Stacks"][0]["StackId"]

    client.delete_stack(StackName="parent")
    eventually(lambda: _status(client, found) == "DELETE_FAILED", "the failed deletion")
    (resource,) = client.list_stack_resources(StackName="parent")["StackResourceSummaries"]
    events = client.describe_stack_events(StackName="parent")["StackEvents"]
    assert any("[Table]" in each.get("ResourceStatusReason", "") for each in events)
    child_id = resource["PhysicalResourceId"]
    assert _status(client, child_id) == "DELETE_FAILED"
    left = client.list_stack_resources(StackName=child_id)["StackResourceSummaries"]
    assert [each["LogicalResourceId"] for each in left] == ["Table"]

    sandbox.client("dynamodb").update_table(TableName="nested-orders", DeletionProtectionEnabled=False)
    client.delete_stack(StackName="parent")
    eventually(lambda: _status(client, found) == "DELETE_COMPLETE", "the deletion")
    assert "nested-orders" not in sandbox.client("dynamodb").list_tables()["TableNames"]
