"""How a change set of nested stacks is made, read and deleted, on CloudFormation's recorded shapes."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from tools.change_set import NESTED, Change, ChangeSet, RefusedError, Wanted, delete, make

HERE = "arn:aws:cloudformation:eu-west-1:123456789012"
ROOT, KMS, LOGS = (f"{HERE}:changeSet/changes-{name}/1" for name in ("root", "kms", "logs"))
STACK = f"{HERE}:stack/evenkeel/1"
WANTED = Wanted(
    "evenkeel", "https://bucket/t", {"Scope": "*"}, ["Scope", "Owner", "New"], ["CAPABILITY_IAM"], {"a": "b"}
)
GRANTED = {"Attribute": "Properties", "Name": "Policies", "Path": "/Properties/Policies/0",
           "BeforeValue": "1", "AfterValue": "2"}  # fmt: skip


@pytest.fixture
def stubber() -> Stubber:
    """Return CloudFormation's client with answers to be queued; any call that is not queued fails."""
    client = boto3.client("cloudformation", "eu-west-1", aws_access_key_id="x", aws_secret_access_key="x")
    stubber = Stubber(client)
    stubber.activate()
    return stubber


def change(action: str, logical_id: str, kind: str, **more: Any) -> dict[str, Any]:
    """Return a change as CloudFormation describes it."""
    return {"Type": "Resource", "ResourceChange": {
        "Action": action, "LogicalResourceId": logical_id, "ResourceType": kind, **more}}  # fmt: skip


def exists(stubber: Stubber, status: str) -> None:
    """Queue the answers about a stack that is there."""
    about = {"StackName": "evenkeel", "StackStatus": status, "CreationTime": "2026-01-01T00:00:00Z",
             "Parameters": [{"ParameterKey": "Scope"}, {"ParameterKey": "Owner"}]}  # fmt: skip
    for _ in range(1 if status == "ROLLBACK_COMPLETE" else 2):
        stubber.add_response("describe_stacks", {"Stacks": [about]}, {"StackName": "evenkeel"})


def missing(stubber: Stubber) -> None:
    """Queue the answer about a stack that is not there."""
    stubber.add_client_error("describe_stacks", "ValidationError", "Stack with id evenkeel does not exist")


def created(stubber: Stubber, kind: str = "UPDATE", parameters: Any = ANY) -> None:
    """Queue the answer to the request for a change set of the whole hierarchy."""
    asked = {"StackName": "evenkeel", "ChangeSetName": ANY, "ChangeSetType": kind, "TemplateURL": "https://bucket/t",
             "IncludeNestedStacks": True, "Parameters": parameters, "Capabilities": ["CAPABILITY_IAM"],
             "Tags": [{"Key": "a", "Value": "b"}]}  # fmt: skip
    stubber.add_response("create_change_set", {"Id": ROOT, "StackId": STACK}, asked)


def described(stubber: Stubber, identifier: str, *changes: dict[str, Any], token: str = "", after: str = "") -> None:
    """Queue a page of a change set."""
    page = {"Status": "CREATE_COMPLETE", "Changes": list(changes), **({"NextToken": token} if token else {})}
    stack = {"StackName": STACK if identifier == ROOT else "evenkeel-kms"}
    asked = {"ChangeSetName": identifier, **stack, "IncludePropertyValues": True}
    asked |= {"NextToken": after} if after else {}
    stubber.add_response("describe_change_set", page, asked)


def waited(stubber: Stubber, status: str = "CREATE_COMPLETE", reason: str = "", identifier: str = ROOT) -> None:
    """Queue what the change set's status is found to be."""
    answer = {"Status": status, "StatusReason": reason, "Changes": []}
    stack = {"StackName": STACK} if identifier == ROOT else {}
    stubber.add_response("describe_change_set", answer, {"ChangeSetName": identifier, **stack})


def test_changes_of_nested_stacks_are_read_whole_and_permissions_come_first(stubber: Stubber) -> None:
    """If this fails, a reviewer misses a permission or a removed table on a later page or in a nested stack."""
    exists(stubber, "UPDATE_COMPLETE")
    created(stubber)
    waited(stubber)
    described(stubber, ROOT,
        change("Modify", "Clerk", "AWS::Lambda::Function", Replacement="False"),
        change("Modify", "KmsGroup", NESTED, Replacement="False", ChangeSetId=KMS,
            PhysicalResourceId="evenkeel-kms"), token="more")  # fmt: skip
    described(stubber, KMS, change("Add", "Source", "AWS::Lambda::EventSourceMapping"), token="k2")
    twice = [{"Target": GRANTED}, {"Target": GRANTED, "ChangeSource": "ResourceReference"}]
    described(stubber, KMS, change("Modify", "Role", "AWS::IAM::Role", Replacement="False", Details=twice), after="k2")
    described(stubber, ROOT,
        change("Modify", "AuditTable", "AWS::DynamoDB::Table", Replacement="True"),
        change("Modify", "DataKey", "AWS::KMS::Key", Replacement="False", Details=[
            {"Target": {"Attribute": "Properties", "Name": "KeyPolicy"}}]),
        change("Remove", "LogsGroup", NESTED, PhysicalResourceId="evenkeel-logs"), after="more")  # fmt: skip
    stubber.add_response("list_stack_resources", {"StackResourceSummaries": [
        {"LogicalResourceId": "Queue", "ResourceType": "AWS::SQS::Queue", "PhysicalResourceId": "https://queue",
         "LastUpdatedTimestamp": "2026-01-01T00:00:00Z", "ResourceStatus": "CREATE_COMPLETE"}]},
        {"StackName": "evenkeel-logs"})  # fmt: skip
    found = make(stubber.client, WANTED).changes
    assert [(each.stack, each.logical_id) for each in found] == [
        ("", "DataKey"), ("KmsGroup", "Role"),  # who may do what
        ("", "AuditTable"), ("LogsGroup", "Queue"), ("", "LogsGroup"),  # what ends
        ("", "Clerk"), ("KmsGroup", "Source"), ("", "KmsGroup"),
    ]  # fmt: skip
    assert [each.logical_id for each in found if each.loses] == ["AuditTable", "Queue"]
    (part,) = found[1].properties
    assert (part.name, part.before, part.after) == ("Policies", "1", "2")
    stubber.assert_no_pending_responses()


def test_parameters_are_given_as_a_deployment_gives_them(stubber: Stubber) -> None:
    """If this fails, the change set shows another change than the deployment will make."""
    exists(stubber, "CREATE_COMPLETE")
    scope, owner = {"ParameterKey": "Scope", "ParameterValue": "*"}, {"ParameterKey": "Owner", "UsePreviousValue": True}
    created(stubber, parameters=[scope, owner])
    waited(stubber)
    described(stubber, ROOT)
    assert make(stubber.client, WANTED).changes == ()
    stubber.assert_no_pending_responses()


def test_nothing_to_change_is_no_error(stubber: Stubber) -> None:
    """If this fails, a pipeline breaks on a deployment that changes nothing: CloudFormation calls that FAILED."""
    exists(stubber, "CREATE_COMPLETE")
    created(stubber)
    waited(stubber, "FAILED", "The submitted information didn't contain changes. Submit different information")
    assert make(stubber.client, WANTED) == ChangeSet(ROOT, STACK, creates=False)


def test_a_new_stack_is_shown_and_leaves_nothing(stubber: Stubber) -> None:
    """If this fails, a look at a stack that does not exist leaves an empty one, whose name is then taken."""
    missing(stubber)
    created(stubber, "CREATE", [{"ParameterKey": "Scope", "ParameterValue": "*"}])
    waited(stubber)
    described(stubber, ROOT, change("Add", "Role", "AWS::IAM::Role"))
    made = make(stubber.client, WANTED)
    assert (made.creates, made.changes) == (True, (Change("", "Add", "Role", "AWS::IAM::Role"),))
    stubber.add_response("delete_change_set", {}, {"ChangeSetName": ROOT, "StackName": STACK})
    stubber.add_response("delete_stack", {}, {"StackName": STACK})
    delete(stubber.client, made)
    stubber.assert_no_pending_responses()


def test_a_refusal_gives_the_nested_reason_and_leaves_nothing(stubber: Stubber) -> None:
    """If this fails, people read "Currently in FAILED" and look for the nested stack's reason in the console."""
    missing(stubber)
    created(stubber, "CREATE")
    failed = f"Nested change set {KMS} was not successfully created: Currently in FAILED."
    waited(stubber, "FAILED", failed)
    waited(stubber, "FAILED", failed)
    waited(stubber, "FAILED", "Template error: instance of Fn::GetAtt references undefined resource Nowhere", KMS)
    stubber.add_response("delete_change_set", {}, {"ChangeSetName": ROOT, "StackName": STACK})
    stubber.add_response("delete_stack", {}, {"StackName": STACK})
    with pytest.raises(RefusedError, match="undefined resource Nowhere"):
        make(stubber.client, WANTED)
    stubber.assert_no_pending_responses()


def test_what_a_failed_creation_left_is_named(stubber: Stubber) -> None:
    """If this fails, people are told that an update is refused, and not that the stack has to be deleted first."""
    exists(stubber, "ROLLBACK_COMPLETE")
    with pytest.raises(RefusedError, match="delete it"):
        make(stubber.client, WANTED)


def test_a_refused_request_is_said_plainly(stubber: Stubber) -> None:
    """If this fails, a missing permission shows as a stack trace."""
    exists(stubber, "CREATE_COMPLETE")
    stubber.add_client_error(
        "create_change_set", "AccessDenied", "not authorized to perform cloudformation:CreateChangeSet"
    )
    with pytest.raises(RefusedError, match="not authorized"):
        make(stubber.client, WANTED)


def test_a_grant_that_is_missing_later_is_said_plainly(stubber: Stubber) -> None:
    """If this fails, a missing permission to read the change set reads like a change set that takes too long."""
    exists(stubber, "CREATE_COMPLETE")
    created(stubber)
    stubber.add_client_error("describe_change_set", "AccessDenied", "not authorized: cloudformation:DescribeChangeSet")
    stubber.add_response("delete_change_set", {}, {"ChangeSetName": ROOT, "StackName": STACK})
    with pytest.raises(RefusedError, match="not authorized"):
        make(stubber.client, WANTED)
