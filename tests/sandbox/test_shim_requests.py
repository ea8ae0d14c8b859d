"""The parameters of calls, per protocol, in the spelling that CloudTrail's real events have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandbox.events import cloudtrail, cloudtrail_fields
from sandbox.protocol import models

ANYWHERE = {"cidrIp": "0.0.0.0/0"}
XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"

CASES: list[tuple[str, str, dict[str, Any], str, dict[str, Any]]] = [
    (
        "dynamodb",
        "create_table",
        {
            "TableName": "music",
            "KeySchema": [{"AttributeName": "Artist", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "Artist", "AttributeType": "S"}],
            "SSESpecification": {"Enabled": True},
            "Tags": [{"Key": "Owner", "Value": "Ann"}],
        },
        "CreateTable",
        {
            "tableName": "music",
            "keySchema": [{"attributeName": "Artist", "keyType": "HASH"}],
            "attributeDefinitions": [{"attributeName": "Artist", "attributeType": "S"}],
            "sSESpecification": {"enabled": True},
            "tags": [{"key": "Owner", "value": "Ann"}],
        },
    ),
    (
        "kms",
        "create_key",
        {"Tags": [{"TagKey": "Owner", "TagValue": "Ann"}]},
        "CreateKey",
        {
            "bypassPolicyLockoutSafetyCheck": False,
            "customerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "description": "",
            "keySpec": "SYMMETRIC_DEFAULT",
            "keyUsage": "ENCRYPT_DECRYPT",
            "multiRegion": False,
            "origin": "AWS_KMS",
            "tags": [{"tagKey": "Owner", "tagValue": "Ann"}],
        },
    ),
    (
        "logs",
        "create_log_group",
        {"logGroupName": "/a b/ü", "tags": {"Owner": "Ann"}},
        "CreateLogGroup",
        {"logGroupName": "/a b/ü", "tags": {"Owner": "Ann"}},
    ),
    (
        "sqs",
        "set_queue_attributes",
        {"QueueUrl": "http://127.0.0.1:9/1/q", "Attributes": {"KmsMasterKeyId": "k"}},
        "SetQueueAttributes",
        {"queueUrl": "http://127.0.0.1:9/1/q", "attributes": {"KmsMasterKeyId": "k"}},
    ),
    (
        "sns",
        "create_topic",
        {"Name": "alerts", "Attributes": {"DisplayName": "x"}, "Tags": [{"Key": "Owner", "Value": "Ann"}]},
        "CreateTopic",
        {"name": "alerts", "attributes": {"DisplayName": "x"}, "tags": [{"key": "Owner", "value": "Ann"}]},
    ),
    (
        "rds",
        "modify_db_instance",
        {"DBInstanceIdentifier": "db", "BackupRetentionPeriod": 7, "ApplyImmediately": True},
        "ModifyDBInstance",
        {"dBInstanceIdentifier": "db", "backupRetentionPeriod": 7, "applyImmediately": True},
    ),
    (
        "lambda",
        "tag_resource",
        {"Resource": "arn:aws:lambda:eu-west-1:1:function:f", "Tags": {"Owner": "Ann"}},
        "TagResource20170331v2",
        {"resource": "arn:aws:lambda:eu-west-1:1:function:f", "tags": {"Owner": "Ann"}},
    ),
    (
        "lambda",
        "untag_resource",
        {"Resource": "arn:aws:lambda:eu-west-1:1:function:f", "TagKeys": ["Owner", "Team"]},
        "UntagResource20170331v2",
        {"resource": "arn:aws:lambda:eu-west-1:1:function:f", "tagKeys": ["Owner", "Team"]},
    ),
    (
        "s3",
        "put_bucket_versioning",
        {"Bucket": "photos", "VersioningConfiguration": {"Status": "Enabled"}},
        "PutBucketVersioning",
        {
            "bucketName": "photos",
            "Host": "photos.s3.eu-west-1.amazonaws.com",
            "versioning": "",
            "VersioningConfiguration": {"xmlns": XMLNS, "Status": "Enabled"},
        },
    ),
    (
        "s3",
        "put_bucket_policy",
        {"Bucket": "photos", "Policy": '{"Statement": []}'},
        "PutBucketPolicy",
        {
            "bucketName": "photos",
            "Host": "photos.s3.eu-west-1.amazonaws.com",
            "policy": "",
            "bucketPolicy": {"Statement": []},
        },
    ),
    (
        "s3",
        "delete_public_access_block",
        {"Bucket": "photos"},
        "DeleteBucketPublicAccessBlock",
        {"bucketName": "photos", "Host": "photos.s3.eu-west-1.amazonaws.com", "publicAccessBlock": ""},
    ),
    (
        "ec2",
        "authorize_security_group_ingress",
        {
            "GroupId": "sg-1",
            "IpPermissions": [
                {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
            ],
        },
        "AuthorizeSecurityGroupIngress",
        {
            "groupId": "sg-1",
            "ipPermissions": {
                "items": [
                    {
                        "ipProtocol": "tcp",
                        "fromPort": 22,
                        "toPort": 22,
                        "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]},
                        "groups": {},
                        "ipv6Ranges": {},
                        "prefixListIds": {},
                    }
                ]
            },
        },
    ),
    (
        "ec2",
        "authorize_security_group_ingress",
        {"GroupId": "sg-1", "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "CidrIp": "0.0.0.0/0"},
        "AuthorizeSecurityGroupIngress",
        {
            "groupId": "sg-1",
            "ipProtocol": "tcp",
            "fromPort": 22,
            "toPort": 22,
            "cidrIp": "0.0.0.0/0",
            "ipPermissions": {},
        },
    ),
    (
        "ec2",
        "delete_flow_logs",
        {"FlowLogIds": ["fl-1"]},
        "DeleteFlowLogs",
        {"DeleteFlowLogsRequest": {"FlowLogId": {"content": "fl-1", "tag": 1}}},
    ),
    (
        "ec2",
        "delete_flow_logs",
        {"FlowLogIds": ["fl-1", "fl-2"]},
        "DeleteFlowLogs",
        {"DeleteFlowLogsRequest": {"FlowLogId": [{"content": "fl-1", "tag": 1}, {"content": "fl-2", "tag": 2}]}},
    ),
    (
        "ec2",
        "modify_instance_metadata_options",
        {"InstanceId": "i-1", "HttpTokens": "required"},
        "ModifyInstanceMetadataOptions",
        {"ModifyInstanceMetadataOptionsRequest": {"InstanceId": "i-1", "HttpTokens": "required"}},
    ),
    (
        "ec2",
        "modify_snapshot_attribute",
        {
            "SnapshotId": "snap-1",
            "Attribute": "createVolumePermission",
            "OperationType": "add",
            "UserIds": ["111122223333"],
        },
        "ModifySnapshotAttribute",
        {
            "snapshotId": "snap-1",
            "attributeType": "CREATE_VOLUME_PERMISSION",
            "createVolumePermission": {"add": {"items": [{"userId": "111122223333"}]}},
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_parameters_are_spelled_as_cloudtrail_does(call: Any, case: tuple[Any, ...]) -> None:
    """A pattern or a field path that works on the sandbox would not match on AWS."""
    service, operation, parameters, name, expected = case
    found = call(service, operation, **parameters)
    assert cloudtrail_fields.event_name(found) == name
    assert cloudtrail_fields.request_parameters(found) == expected


def test_run_instances_groups_what_each_instance_has(call: Any) -> None:
    """Controls on instances would look for image and groups where AWS does not put them."""
    found = call("ec2", "run_instances", ImageId="ami-1", MinCount=1, MaxCount=1, SecurityGroupIds=["sg-1"])
    shown = cloudtrail_fields.request_parameters(found)
    assert shown is not None
    assert shown["instancesSet"] == {"items": [{"imageId": "ami-1", "minCount": 1, "maxCount": 1}]}
    assert shown["groupSet"] == {"items": [{"groupId": "sg-1"}]}
    assert (shown["blockDeviceMapping"], shown["monitoring"]) == ({}, {"enabled": False})


def _modelled(call: Any) -> Any:
    """Return a maker of calls that have their model although the shim of these tests does not record the service."""

    def made(service: str, operation: str, **given: Any) -> Any:
        found = call(service, operation, **given)
        return replace(found, model=models.operation(found.service, found.operation))

    return made


def test_secrets_do_not_appear_in_parameters(call: Any) -> None:
    """Passwords and a function's variables would travel in events, which AWS's never do."""
    database = call("rds", "modify_db_instance", DBInstanceIdentifier="db", MasterUserPassword="hunter2hunter2")
    function = call("lambda", "update_function_configuration", FunctionName="f", Environment={"Variables": {"K": "v"}})
    assert cloudtrail_fields.request_parameters(database) == {
        "dBInstanceIdentifier": "db",
        "masterUserPassword": "HIDDEN_DUE_TO_SECURITY_REASONS",
    }
    assert cloudtrail_fields.request_parameters(function) == {"functionName": "f", "environment": {}}
    secret = _modelled(call)(
        "secretsmanager", "create_secret", Name="mail", SecretString="hush", ClientRequestToken="t" * 32
    )
    assert cloudtrail_fields.request_parameters(secret) == {"name": "mail", "clientRequestToken": "t" * 32}


@pytest.mark.parametrize(
    ("service", "operation", "given", "answer", "expected"),
    [
        ("secretsmanager", "create_secret", {"Name": "mail"},
         {"ARN": "arn:1", "Name": "mail", "VersionId": "v"}, {"arn": "arn:1"}),
        ("secretsmanager", "restore_secret", {"SecretId": "mail"},
         {"ARN": "arn:1", "Name": "mail"}, {"arn": "arn:1", "name": "mail"}),
        ("ec2", "create_security_group", {"GroupName": "g", "Description": "d"},
         {"GroupId": "sg-1"}, {"requestId": "", "groupId": "sg-1", "_return": True}),
        ("ec2", "authorize_security_group_ingress", {"GroupId": "sg-1"},
         {"Return": True}, {"requestId": "", "_return": True}),
    ],
)  # fmt: skip
def test_answers_are_spelled_as_cloudtrail_does(
    call: Any, service: str, operation: str, given: dict[str, Any], answer: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A control would look for a secret's or a group's name where AWS does not put it."""
    assert cloudtrail_fields.response_elements(_modelled(call)(service, operation, **given), answer) == expected


@pytest.mark.parametrize(
    ("client", "address", "console"),
    [("Boto3/1.43", "192.0.2.1", None), ("Mozilla/5.0 (X11; Linux)", "192.0.2.1", "true"),
     ("cloudformation.amazonaws.com", "cloudformation.amazonaws.com", None)],
)  # fmt: skip
def test_connections_of_people_and_services_are_told_apart(
    call: Any, client: str, address: str, console: str | None
) -> None:
    """A reader that trips over an unknown field of real events would pass on the sandbox."""
    caller = cloudtrail.Caller("123456789012", {}, client, address)
    detail = cloudtrail.envelope(
        call("kms", "enable_key_rotation", KeyId="1"), cloudtrail.Outcome({}, "Denied"), caller
    )
    shown = detail["detail"]
    assert ("tlsDetails" in shown) is not address.endswith(".amazonaws.com")
    assert shown.get("sessionCredentialFromConsole") == console


def test_copying_an_object_is_told_from_putting_one(call: Any) -> None:
    """The log of calls would name CopyObject for every PutObject, which has the same route."""
    assert call("s3", "put_object", Bucket="photos", Key="a", Body=b"x").operation == "PutObject"
    copied = call("s3", "copy_object", Bucket="photos", Key="a", CopySource="photos/b")
    assert copied.operation == "CopyObject"


def test_calls_of_other_services_are_named_without_their_model(call: Any) -> None:
    """Counting the calls of services that emit nothing would need every service's model in memory."""
    found = call("iam", "create_user", UserName="ann")
    assert (found.service, found.operation, found.model) == ("iam", "CreateUser", None)
    assert call("ssm", "get_parameter", Name="x").operation == "GetParameter"
