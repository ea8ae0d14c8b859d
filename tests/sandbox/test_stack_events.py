"""What CloudFormation makes for a stack, and Lambda for a function, becomes events as on AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.cli_stack import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.client import Sandbox

STACK = "made-by-a-stack"
EVERYONE = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::stacked-files/*"}
SSH = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"}
CODE = "def handler(event, context):\n    return 1\n"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "kms:*"}]}
TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}


def _resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def _template(**changed: Any) -> str:
    """Return a template with one resource of each type that a newcomer tries first."""
    table = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST",
             "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}  # fmt: skip
    parts = {
        "Key": _resource("KMS::Key", EnableKeyRotation=True, KeyPolicy=POLICY, Tags=[{"Key": "Team", "Value": "a"}]),
        "Table": _resource("DynamoDB::Table", TableName="stacked", DeletionProtectionEnabled=False, **table),
        "Group": _resource("Logs::LogGroup", LogGroupName="/stacked", RetentionInDays=7),
        "Bucket": _resource("S3::Bucket", BucketName="stacked-files",
                            VersioningConfiguration={"Status": "Enabled"}),
        "Policy": _resource("S3::BucketPolicy", Bucket={"Ref": "Bucket"}, PolicyDocument={"Statement": [EVERYONE]}),
        "Queue": _resource("SQS::Queue", QueueName="stacked"),
        "Topic": _resource("SNS::Topic", TopicName="stacked"),
        "Net": _resource("EC2::VPC", CidrBlock="10.9.0.0/16"),
        "Ports": _resource("EC2::SecurityGroup", GroupDescription="x", VpcId={"Ref": "Net"},
                           SecurityGroupIngress=[SSH]),
        "Secret": _resource("SecretsManager::Secret", Name="stacked", SecretString="hush"),
        "Database": _resource("RDS::DBInstance", DBInstanceIdentifier="stacked", DBInstanceClass="db.t3.micro",
                              Engine="postgres", AllocatedStorage="20", MasterUsername="u",
                              MasterUserPassword="hush-hush"),
        "Role": _resource("IAM::Role", RoleName="stacked", AssumeRolePolicyDocument=TRUST),
        "Function": _resource("Lambda::Function", FunctionName="stacked", Handler="index.handler", Runtime="python3.13",
                              Role={"Fn::GetAtt": "Role.Arn"}, Code={"ZipFile": CODE}),
    }  # fmt: skip
    for name, properties in changed.items():
        parts[name]["Properties"].update(properties)
    return json.dumps({"Resources": parts})


@pytest.fixture(scope="module")
def stacks(sandbox: Sandbox, alice: Any) -> Iterator[Any]:
    """CloudFormation as alice has it, with the stack created."""
    client = sandbox.client("cloudformation", alice)
    client.create_stack(StackName=STACK, TemplateBody=_template(), Capabilities=["CAPABILITY_NAMED_IAM"])
    _done(client, "CREATE_COMPLETE")
    yield client
    client.delete_stack(StackName=STACK)
    eventually(lambda: sandbox.events(eventName="DeleteTable", userAgent="cloudformation.amazonaws.com"), "deletion")


def _done(client: Any, status: str) -> None:
    eventually(lambda: client.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"] == status, status)


def _event(sandbox: Sandbox, name: str) -> dict[str, Any]:
    """Return the detail of the newest event that CloudFormation caused."""
    found = sandbox.events(eventName=name, sourceIPAddress="cloudformation.amazonaws.com")
    assert found, name
    detail: dict[str, Any] = found[-1]["detail"]
    return detail


@pytest.mark.parametrize(
    ("name", "part", "expected"),
    [
        ("CreateKey", "responseElements.keyMetadata.arn", "arn:aws:kms:"),
        ("EnableKeyRotation", "requestParameters.keyId", ""),
        ("CreateTable", "responseElements.tableDescription.tableArn", "arn:aws:dynamodb:"),
        ("CreateLogGroup", "requestParameters.logGroupName", "/stacked"),
        ("PutRetentionPolicy", "requestParameters.logGroupName", "/stacked"),
        ("CreateBucket", "requestParameters.bucketName", "stacked-files"),
        ("PutBucketVersioning", "requestParameters.VersioningConfiguration.Status", "Enabled"),
        ("PutBucketPolicy", "requestParameters.bucketPolicy.Statement", ""),
        ("CreateQueue", "responseElements.queueUrl", "http"),
        ("CreateTopic", "responseElements.topicArn", "arn:aws:sns:"),
        ("AuthorizeSecurityGroupIngress", "requestParameters.groupId", "sg-"),
        ("CreateSecret", "responseElements.arn", "arn:aws:secretsmanager:"),
        ("CreateDBInstance", "responseElements.dBInstanceArn", "arn:aws:rds:"),
        ("CreateFunction20150331", "responseElements.functionArn", "arn:aws:lambda:"),
    ],
)
@pytest.mark.usefixtures("stacks")
def test_creation_by_a_stack_is_an_event_that_names_its_resource(
    sandbox: Sandbox, name: str, part: str, expected: str
) -> None:
    """If this fails, the first thing a newcomer deploys by CloudFormation, CDK or SAM shows nothing."""
    found: Any = _event(sandbox, name)
    for step in part.split("."):
        found = found[step]
    assert str(found).startswith(expected)
    assert "hush" not in json.dumps(_event(sandbox, name))


@pytest.mark.usefixtures("stacks")
def test_events_of_a_stack_say_who_asked_cloudformation(sandbox: Sandbox) -> None:
    """If this fails, what a template made has no owner, and Evenkeel does not know that a template made it."""
    detail = _event(sandbox, "CreateKey")
    identity = detail["userIdentity"]
    assert (identity["userName"], identity["invokedBy"]) == ("alice", "cloudformation.amazonaws.com")
    assert "creationDate" in identity["sessionContext"]["attributes"]
    assert {detail["userAgent"], detail["sourceIPAddress"]} == {"cloudformation.amazonaws.com"}
    arn = detail["responseElements"]["keyMetadata"]["arn"]
    tagged = [each for each in sandbox.events(service="kms") if each["resources"] == [arn]]
    [changed] = [each["detail"]["changed-tag-keys"] for each in tagged]
    assert "Team" in changed
    assert "aws:cloudformation:stack-name" in changed


def test_changes_by_a_stack_are_the_calls_that_cloudformation_makes(sandbox: Sandbox, stacks: Any) -> None:
    """If this fails, a weakening from a template goes unseen in the sandbox, or each update looks like one."""
    seen = len(sandbox.events())
    changed = _template(
        Key={"EnableKeyRotation": False},
        Group={"RetentionInDays": 14},
        Table={"DeletionProtectionEnabled": True},
        Bucket={"PublicAccessBlockConfiguration": {"BlockPublicPolicy": False}},
    )
    stacks.update_stack(StackName=STACK, TemplateBody=changed, Capabilities=["CAPABILITY_NAMED_IAM"])
    _done(stacks, "UPDATE_COMPLETE")
    made = [each["detail"] for each in sandbox.events(since=seen, userAgent="cloudformation.amazonaws.com")]
    assert sorted(each["eventName"] for each in made) == [
        "DisableKeyRotation", "PutBucketPublicAccessBlock", "PutRetentionPolicy", "UpdateTable",
    ]  # fmt: skip
    [table] = [each for each in made if each["eventName"] == "UpdateTable"]
    assert table["requestParameters"] == {"tableName": "stacked", "deletionProtectionEnabled": True}
    stacks.update_stack(StackName=STACK, TemplateBody=_template(), Capabilities=["CAPABILITY_NAMED_IAM"])
    _done(stacks, "UPDATE_COMPLETE")
    assert _event(sandbox, "DeleteBucketPublicAccessBlock")["requestParameters"]["bucketName"] == "stacked-files"


@pytest.mark.usefixtures("stacks")
def test_first_invocation_makes_a_log_group_in_the_functions_name(sandbox: Sandbox) -> None:
    """If this fails, the log groups that Lambda makes, which nobody encrypts or ends, are not seen."""
    for _ in range(2):
        sandbox.client("lambda").invoke(FunctionName="stacked")
    found = eventually(lambda: [each["detail"] for each in sandbox.events(eventName="CreateLogGroup")
                                if each["detail"]["requestParameters"]["logGroupName"] == "/aws/lambda/stacked"],
                       "a log group")  # fmt: skip
    [detail] = found
    identity = detail["userIdentity"]
    assert identity["arn"].endswith(":assumed-role/stacked/stacked")
    assert identity["sessionContext"]["sessionIssuer"]["userName"] == "stacked"
    assert identity["inScopeOf"]["issuerType"] == "AWS::Lambda::Function"
