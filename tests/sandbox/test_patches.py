"""What the sandbox corrects in the engine, service by service."""

from __future__ import annotations

import json
import tempfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sandbox.options import Options
from sandbox.patches import registry
from sandbox.patches.lambda_workers import SharedZip
from tests.sandbox.tables import table

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.client import Sandbox

ACCOUNT = "123456789012"
LOGS_MAY = {
    "Effect": "Allow",
    "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
    "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:GenerateDataKey*"],
    "Resource": "*",
    "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:*"}},
}
OWNER_MAY = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*",
             "Resource": "*"}  # fmt: skip


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_another_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patches of private functions would silently do nothing, or harm, on a version they were not written for."""
    monkeypatch.setattr(registry, "version", lambda _: "9.9.9")
    with pytest.raises(registry.EngineVersionError, match=r"9\.9\.9 is installed"):
        registry.apply(Options())


@pytest.mark.parametrize(
    "made",
    [
        {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"},
        {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
        {"Origin": "EXTERNAL"},
    ],
)
def test_ineligible_keys_refuse_rotation(sandbox: Sandbox, made: dict[str, str]) -> None:
    """The control's not-applicable cases would never meet AWS's refusal."""
    client = sandbox.client("kms")
    key = client.create_key(**made)["KeyMetadata"]["KeyId"]
    with pytest.raises(ClientError) as caught:
        client.enable_key_rotation(KeyId=key)
    assert _code(caught) == "UnsupportedOperationException"


def test_disabled_and_dying_keys_refuse_rotation(sandbox: Sandbox) -> None:
    """Rotation of a disabled key succeeds on the bare engine and fails on AWS."""
    client = sandbox.client("kms")
    disabled, dying = (client.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    client.disable_key(KeyId=disabled)
    client.schedule_key_deletion(KeyId=dying, PendingWindowInDays=7)
    for key, code in ((disabled, "DisabledException"), (dying, "KMSInvalidStateException")):
        with pytest.raises(ClientError) as caught:
            client.enable_key_rotation(KeyId=key)
        assert _code(caught) == code


def test_the_rotation_period_is_kept(sandbox: Sandbox) -> None:
    """Undo has to restore someone's own period, which only a kept one can show."""
    client = sandbox.client("kms")
    key = client.create_key()["KeyMetadata"]["KeyId"]
    client.enable_key_rotation(KeyId=key, RotationPeriodInDays=180)
    assert client.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 180
    client.disable_key_rotation(KeyId=key)
    assert "RotationPeriodInDays" not in client.get_key_rotation_status(KeyId=key)


def test_keys_are_listed_in_pages(sandbox: Sandbox) -> None:
    """A discovery that forgets the marker would see all keys here and the first hundred on AWS."""
    client = sandbox.client("kms")
    made = {client.create_key()["KeyMetadata"]["KeyId"] for _ in range(5)}
    pages = list(client.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 2}))
    assert max(len(page["Keys"]) for page in pages) == 2
    listed = [each["KeyId"] for page in pages for each in page["Keys"]]
    assert made <= set(listed)
    assert len(listed) == len(set(listed))


def test_a_log_group_takes_a_key_only_if_the_service_may_use_it(sandbox: Sandbox) -> None:
    """A stack's log key without its statement for CloudWatch Logs would pass here and fail on AWS."""
    logs, kms = sandbox.client("logs"), sandbox.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    logs.create_log_group(logGroupName="/keyed")
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.associate_kms_key(logGroupName="/keyed", kmsKeyId=key)
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.create_log_group(logGroupName="/keyed-at-birth", kmsKeyId=key)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=_policy(OWNER_MAY, LOGS_MAY))
    logs.associate_kms_key(logGroupName="/keyed", kmsKeyId=key)
    arn = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/keyed"
    (group,) = logs.describe_log_groups(logGroupIdentifiers=[arn])["logGroups"]
    assert group["kmsKeyId"] == key
    logs.disassociate_kms_key(resourceIdentifier=f"{arn}:*")
    (group,) = logs.describe_log_groups(logGroupIdentifiers=["/keyed"])["logGroups"]
    assert "kmsKeyId" not in group


@pytest.mark.parametrize("spoil", ["disable", "context"])
def test_a_disabled_or_foreign_context_key_is_refused(sandbox: Sandbox, spoil: str) -> None:
    """The encryption context and the key's state are part of AWS's check."""
    logs, kms = sandbox.client("logs"), sandbox.client("kms")
    key, name = kms.create_key()["KeyMetadata"]["Arn"], f"/spoilt-{spoil}"
    elsewhere = {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/x"}}
    statement = LOGS_MAY if spoil == "disable" else {**LOGS_MAY, "Condition": elsewhere}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=_policy(OWNER_MAY, statement))
    if spoil == "disable":
        kms.disable_key(KeyId=key)
    logs.create_log_group(logGroupName=name)
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.associate_kms_key(logGroupName=name, kmsKeyId=key)


def test_delivery_groups_keep_their_two_days(sandbox: Sandbox) -> None:
    """The retention control must find such a group not applicable, since AWS refuses the change."""
    logs = sandbox.client("logs")
    logs.create_log_group(logGroupName="/delivery", logGroupClass="DELIVERY")
    with pytest.raises(logs.exceptions.InvalidParameterException):
        logs.put_retention_policy(logGroupName="/delivery", retentionInDays=30)
    (group,) = logs.describe_log_groups(logGroupIdentifiers=["/delivery"])["logGroups"]
    assert (group["logGroupClass"], group["retentionInDays"]) == ("DELIVERY", 2)


def test_log_groups_are_authorized_under_both_spellings(sandbox: Sandbox) -> None:
    """A policy that names ``log-group:NAME:*`` works on AWS and is refused by the bare engine."""
    place = f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/spelt"
    statement = {"Effect": "Allow", "Action": "logs:PutRetentionPolicy", "Resource": f"{place}:*"}
    session = sandbox.create_user("speller", json.loads(_policy(statement)))
    sandbox.client("logs").create_log_group(logGroupName="/spelt")
    sandbox.client("logs").create_log_group(logGroupName="/other")
    client = sandbox.client("logs", session)
    client.put_retention_policy(logGroupName="/spelt", retentionInDays=7)
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_retention_policy(logGroupName="/other", retentionInDays=7)


def test_a_tables_deny_holds_for_root_and_in_partiql(sandbox: Sandbox, alice: Any) -> None:
    """The audit table's append-only policy would not be tried at all."""
    arn = table(sandbox, "appended")
    denied = {"Effect": "Deny", "Principal": "*", "Action": ["dynamodb:DeleteItem", "dynamodb:PartiQLDelete"],
              "Resource": arn}  # fmt: skip
    sandbox.client("dynamodb").put_resource_policy(ResourceArn=arn, Policy=_policy(denied))
    for session in (None, alice):
        client = sandbox.client("dynamodb", session)
        client.put_item(TableName="appended", Item={"a": {"S": "1"}})
        with pytest.raises(ClientError, match="explicit deny"):
            client.delete_item(TableName="appended", Key={"a": {"S": "1"}})
        with pytest.raises(ClientError, match="explicit deny"):
            client.execute_statement(Statement="DELETE FROM \"appended\" WHERE a='1'")


def test_policies_that_demand_tls_are_met(sandbox: Sandbox) -> None:
    """Every queue policy of the stack would refuse its own functions over the loopback."""
    client = sandbox.client("sqs")
    queue = client.create_queue(QueueName="tls")["QueueUrl"]
    arn = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:tls"
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn,
                 "Condition": {"Bool": {"aws:SecureTransport": "false"}}}  # fmt: skip
    client.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": _policy(statement)})
    session = sandbox.create_user("tls-user")
    sandbox.client("sqs", session).send_message(QueueUrl=queue, MessageBody="x")


def test_tagging_needs_the_services_own_permission(sandbox: Sandbox) -> None:
    """A role with ``tag:TagResources`` alone would seem enough; the refusal also hides in a 200."""
    key = sandbox.client("kms").create_key()["KeyMetadata"]["Arn"]
    topic = sandbox.client("sns").create_topic(Name="permitted")["TopicArn"]
    statement = {"Effect": "Allow", "Action": ["tag:TagResources", "sns:TagResource"], "Resource": "*"}
    session = sandbox.create_user("tagger", json.loads(_policy(statement)))
    answer = sandbox.client("resourcegroupstaggingapi", session).tag_resources(
        ResourceARNList=[key, topic], Tags={"Owner": "Ann"}
    )
    assert list(answer["FailedResourcesMap"]) == [key]
    assert answer["FailedResourcesMap"][key]["ErrorCode"] == "AccessDeniedException"
    assert sandbox.client("sns").list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "Owner", "Value": "Ann"}]


def test_the_tagging_api_merges_pages_and_omits_the_never_tagged(sandbox: Sandbox) -> None:
    """Absence from GetResources means "no tags", which a control must not read as "gone"."""
    client = sandbox.client("resourcegroupstaggingapi")
    logs = sandbox.client("logs")
    arns = []
    for number in range(3):
        logs.create_log_group(logGroupName=f"/merged/{number}", tags={"Team": "x"} if number else {})
        arns.append(f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/merged/{number}")
    found = client.get_resources(ResourceARNList=arns)["ResourceTagMappingList"]
    assert [each["ResourceARN"] for each in found] == arns[1:]
    assert client.tag_resources(ResourceARNList=arns[1:], Tags={"Owner": "Ann"})["FailedResourcesMap"] == {}
    assert logs.list_tags_for_resource(resourceArn=arns[1])["tags"] == {"Team": "x", "Owner": "Ann"}
    wanted = {"ResourceTypeFilters": ["logs:log-group"], "TagFilters": [{"Key": "Team"}]}
    pages = list(client.get_paginator("get_resources").paginate(**wanted, PaginationConfig={"PageSize": 1}))
    assert [len(page["ResourceTagMappingList"]) for page in pages] == [1, 1]
    with pytest.raises(client.exceptions.InvalidParameterException):
        client.tag_resources(ResourceARNList=arns * 7, Tags={"Owner": "Ann"})


def test_a_zip_is_unpacked_once_for_all_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten workers' cold starts write a layer's files ten times, which takes seconds."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for name in ("first", "second"):
        target = tmp_path / name
        target.mkdir()
        with zipfile.ZipFile(target / "code.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("python/here.py"), "HERE = 1\n")
        with SharedZip(target / "code.zip") as archive:
            assert archive.namelist() == (["python/here.py"] if name == "first" else [])
            archive.extractall(target)
    first, second = (tmp_path / name / "python" / "here.py" for name in ("first", "second"))
    assert first.read_text() == "HERE = 1\n"
    assert first.resolve() == second.resolve()


def test_buckets_heed_the_owner_that_is_expected_and_tell_whether_a_policy_is_public(sandbox: Sandbox) -> None:
    """A call meant for another owner's bucket would go through, and nobody could be told what a policy opens."""
    s3 = sandbox.client("s3")
    s3.create_bucket(Bucket="owned", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    assert "Status" not in s3.get_bucket_versioning(Bucket="owned", ExpectedBucketOwner=ACCOUNT)
    with pytest.raises(ClientError) as caught:
        s3.get_bucket_versioning(Bucket="owned", ExpectedBucketOwner="210987654321")
    assert _code(caught) == "AccessDenied"
    with pytest.raises(ClientError) as caught:
        s3.get_bucket_policy_status(Bucket="owned")
    assert _code(caught) == "NoSuchBucketPolicy"
    s3.delete_public_access_block(Bucket="owned")
    reader = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "s3:GetObject",
              "Resource": "arn:aws:s3:::owned/*"}  # fmt: skip
    for principal, public in ((reader["Principal"], False), ("*", True)):
        s3.put_bucket_policy(Bucket="owned", Policy=_policy({**reader, "Principal": principal}))
        assert s3.get_bucket_policy_status(Bucket="owned")["PolicyStatus"]["IsPublic"] is public
