"""What reaches the default bus of a running sandbox, and with whose identity."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import boto3
import pytest

if TYPE_CHECKING:
    from sandbox.client import Sandbox

ACCOUNT = "123456789012"
TRUST = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com", "AWS": f"arn:aws:iam::{ACCOUNT}:root"},
     "Action": "sts:AssumeRole"}]}  # fmt: skip
MAKER = """import boto3

def go(event, context):
    return boto3.client("sqs").create_queue(QueueName="made-by-lambda")["QueueUrl"]
"""
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture
def role(sandbox: Sandbox, request: pytest.FixtureRequest) -> str:
    """The ARN of a role under a path, which may do everything."""
    client, name = sandbox.client("iam"), f"role-{abs(hash(request.node.name)) % 10**8}"
    arn = client.create_role(RoleName=name, Path="/teams/", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    client.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    return str(arn)


def _details(sandbox: Sandbox, event_name: str) -> list[dict[str, Any]]:
    return [event["detail"] for event in sandbox.events(eventName=event_name)]


def test_an_event_has_the_envelope_and_the_fields_of_aws(sandbox: Sandbox, alice: Any) -> None:
    """A consumer of real events would miss a field that the sandbox leaves out."""
    before = len(sandbox.events())
    key = sandbox.client("kms", alice).create_key()["KeyMetadata"]
    (event,) = sandbox.events(since=before)
    assert set(event) == {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
    assert (event["source"], event["detail-type"]) == ("aws.kms", "AWS API Call via CloudTrail")
    assert (event["account"], event["region"], event["resources"]) == (ACCOUNT, "eu-west-1", [])
    detail = event["detail"]
    assert {"eventVersion", "userIdentity", "eventTime", "eventSource", "eventName", "awsRegion", "sourceIPAddress",
            "userAgent", "requestParameters", "responseElements", "requestID", "eventID", "readOnly", "eventType",
            "managementEvent", "recipientAccountId", "eventCategory"} <= set(detail)  # fmt: skip
    assert detail["resources"] == [{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": key["Arn"]}]
    assert detail["eventTime"].endswith("Z")
    assert "." not in detail["eventTime"]
    assert "Boto3" in detail["userAgent"]


def test_queues_and_repositories_are_named_as_resources(sandbox: Sandbox, alice: Any) -> None:
    """A control that finds its resource there would work on AWS only, or here only."""
    sandbox.client("sqs", alice).create_queue(QueueName="named")
    sandbox.client("ecr", alice).create_repository(repositoryName="named")
    queue, repository = _details(sandbox, "CreateQueue")[-1], _details(sandbox, "CreateRepository")[-1]
    arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:named"
    assert queue["resources"] == [{"accountId": ACCOUNT, "type": "AWS::SQS::Queue", "ARN": arn}]
    assert repository["resources"] == [
        {"accountId": ACCOUNT, "ARN": f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/named"}
    ]


def test_users_root_and_roles_are_told_apart(sandbox: Sandbox, alice: Any, role: str) -> None:
    """Owner tags and the refusal of Evenkeel's own roles both rest on ``userIdentity``."""
    session = sandbox.client("sts", alice).assume_role(RoleArn=role, RoleSessionName="ann")["Credentials"]
    assumed = boto3.Session(
        session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"], region_name="eu-west-1"
    )
    for number, who in enumerate((None, alice, assumed)):
        sandbox.client("sns", who).create_topic(Name=f"identity-{number}")
    root, user, session_identity = (
        next(each["userIdentity"] for each in _details(sandbox, "CreateTopic")
             if each["requestParameters"]["name"] == f"identity-{number}")
        for number in range(3)
    )  # fmt: skip
    assert (root["type"], root["arn"]) == ("Root", f"arn:aws:iam::{ACCOUNT}:root")
    assert (user["type"], user["userName"]) == ("IAMUser", "alice")
    name = role.rpartition("/")[2]
    assert session_identity["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/ann"
    assert session_identity["principalId"].endswith(":ann")
    issuer = session_identity["sessionContext"]["sessionIssuer"]
    assert (issuer["type"], issuer["arn"], issuer["userName"]) == ("Role", role, name)


def test_a_functions_calls_carry_its_role(sandbox: Sandbox, alice: Any, role: str) -> None:
    """Evenkeel could not tell its own changes from other people's."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("h.py", MAKER)
    client = sandbox.client("lambda", alice)
    client.create_function(
        FunctionName="maker", Runtime="python3.13", Role=role, Handler="h.go", Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"TOKEN": "hush"}}, Timeout=20,
    )  # fmt: skip
    assert b"made-by-lambda" in client.invoke(FunctionName="maker")["Payload"].read()
    (made,) = [each for each in _details(sandbox, "CreateQueue")
               if each["requestParameters"]["queueName"] == "made-by-lambda"]  # fmt: skip
    assert made["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == role
    (created,) = [each for each in _details(sandbox, "CreateFunction20150331")
                  if each["requestParameters"]["functionName"] == "maker"]  # fmt: skip
    assert "hush" not in json.dumps(created)
    assert any("START" in line for line in sandbox.logs("maker"))


def test_reads_and_data_emit_nothing_and_other_services_are_counted(sandbox: Sandbox, alice: Any) -> None:
    """AWS does not deliver them; a control that relies on one would work here only."""
    key = sandbox.client("kms", alice).create_key()["KeyMetadata"]["KeyId"]
    queue = sandbox.client("sqs", alice).create_queue(QueueName="quiet")["QueueUrl"]
    bucket = sandbox.client("s3", alice)
    bucket.create_bucket(Bucket="quiet", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    before = len(sandbox.events())
    sandbox.client("kms", alice).encrypt(KeyId=key, Plaintext=b"x")
    sandbox.client("kms", alice).describe_key(KeyId=key)
    sandbox.client("sqs", alice).send_message(QueueUrl=queue, MessageBody="x")
    bucket.put_object(Bucket="quiet", Key="a", Body=b"x")
    bucket.list_objects_v2(Bucket="quiet")
    sandbox.client("ssm", alice).put_parameter(Name="quiet", Value="x", Type="String")
    assert sandbox.events(since=before) == []
    seen = sandbox.calls()
    assert seen["silent"]["ssm"] >= 1
    mine = [each for each in seen["calls"] if each["principal"].endswith(":user/alice")]
    (put,) = [each for each in mine if each["operation"] == "PutObject"]
    assert (put["service"], put["emitted"], put["principal"]) == ("s3", False, f"arn:aws:iam::{ACCOUNT}:user/alice")


def test_an_event_reaches_rules_and_their_queue(sandbox: Sandbox, alice: Any) -> None:
    """The shim's events would be seen by its own log only, not by a stack's rules."""
    events, sqs = sandbox.client("events"), sandbox.client("sqs")
    queue = sqs.create_queue(QueueName="from-rule")["QueueUrl"]
    arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:from-rule"
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
               "Resource": arn}  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [allowed]})})
    pattern = {"source": ["aws.kms"], "detail": {"eventName": ["EnableKeyRotation"], "errorCode": [{"exists": False}]}}
    events.put_rule(Name="rotation", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="rotation", Targets=[{"Id": "q", "Arn": arn}])
    kms = sandbox.client("kms", alice)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    with pytest.raises(kms.exceptions.NotFoundException):
        kms.enable_key_rotation(KeyId="11111111-1111-1111-1111-111111111111")
    kms.enable_key_rotation(KeyId=key)
    messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2, MaxNumberOfMessages=10).get("Messages", [])
    assert [json.loads(each["Body"])["detail"]["requestParameters"]["keyId"] for each in messages] == [key]
