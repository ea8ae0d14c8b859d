"""Each control against an AWS (moto and ``tests/moto_gaps.py``): what it reads, on creation and on later weakening."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from tests import factories, moto_gaps
from tests.world import LOG_KEY, client, request

if TYPE_CHECKING:
    from tests.world import World

KEY, TABLE, ENCRYPTION, RETENTION, TAGS = (
    *("kms-key-rotation", "dynamodb-point-in-time-recovery"),
    *("logs-group-encryption", "logs-group-retention", "tagging-required-tags"),
)
THEIRS = LOG_KEY.replace("10ca11ed", "0ddba11e")
VALUES = {"Environment": "prod", "Project": "shop", "CostCenter": "42"}


def _settings(control: str, **settings: Any) -> dict[str, Any]:
    return {"schema_version": 1, "settle_seconds": 0, "controls": {control: settings}}


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        ({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, "RSA_2048"),
        ({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, "HMAC_256"),
        ({"Origin": "EXTERNAL"}, "EXTERNAL"),
    ],
)
def test_keys_that_cannot_rotate_are_only_read(world: World, make: dict[str, Any], reason: str) -> None:
    """If this fails, KMS's refusal of an ineligible key is taken for a fault, or the key is changed."""
    arn = factories.key(**make)
    result = world.run(KEY, request(KEY, arn, creates=True))
    assert result.outcome == "NOT_APPLICABLE"
    assert reason in result.reason
    assert world.wire.names() == ["kms:GetKeyRotationStatus", "kms:DescribeKey"]


@pytest.mark.parametrize("code", ["DisabledException", "KMSInvalidStateException", "UnsupportedOperationException"])
def test_key_whose_status_kms_will_not_tell_is_described(world: World, code: str) -> None:
    """If this fails, a key in a state that refuses the first question is never judged."""
    arn = factories.key()
    world.wire.fail("kms", "GetKeyRotationStatus", code)
    assert world.run(KEY, request(KEY, arn)).outcome == "REMEDIATED"


def test_disabled_key_is_left_until_it_is_enabled(world: World) -> None:
    """If this fails, a disabled key is called a failure, or forgotten when it is enabled."""
    arn = factories.key()
    client("kms").disable_key(KeyId=arn.rpartition("/")[2])
    assert world.run(KEY, request(KEY, arn)).outcome == "NOT_APPLICABLE"
    client("kms").enable_key(KeyId=arn.rpartition("/")[2])
    assert world.run(KEY, request(KEY, arn)).outcome == "REMEDIATED"


def test_primary_of_many_regions_rotates_and_its_replica_does_not(world: World) -> None:
    """If this fails, multi-Region keys are judged by the wrong half."""
    arn = factories.key(MultiRegion=True)
    assert world.run(KEY, request(KEY, arn)).outcome == "REMEDIATED"
    assert world.records()[0]["before"]["MultiRegionKeyType"] == "PRIMARY"
    replica = {
        **client("kms").describe_key(KeyId=arn)["KeyMetadata"],
        "MultiRegionConfiguration": {"MultiRegionKeyType": "REPLICA", "PrimaryKey": {"Region": "us-east-1"}},
    }
    client("kms").disable_key_rotation(KeyId=arn)
    world.wire.answer("kms", "DescribeKey", {"KeyMetadata": replica})
    result = world.run(KEY, request(KEY, arn))
    assert (result.outcome, "us-east-1" in result.reason) == ("NOT_APPLICABLE", True)


def test_rotation_that_is_switched_off_or_slowed_is_restored(world: World) -> None:
    """If this fails, a later weakening of a key stays."""
    arn = factories.key()
    client("kms").enable_key_rotation(KeyId=arn, RotationPeriodInDays=1000)
    assert world.run(KEY, request(KEY, arn)).outcome == "REMEDIATED"
    assert client("kms").get_key_rotation_status(KeyId=arn)["RotationPeriodInDays"] == 365
    assert world.records()[0]["undo"][0]["params"]["RotationPeriodInDays"] == 1000
    client("kms").disable_key_rotation(KeyId=arn)
    assert world.run(KEY, request(KEY, arn)).outcome == "REMEDIATED"
    client("kms").enable_key_rotation(KeyId=arn, RotationPeriodInDays=90)
    assert world.run(KEY, request(KEY, arn)).outcome == "COMPLIANT"
    assert world.wire.changes() == []


def test_new_table_is_waited_for_then_changed(world: World) -> None:
    """If this fails, a table that is being created is lost, or its plan is made twice."""
    arn = factories.table()
    with moto_gaps.creating("orders"):
        first = world.run(TABLE, request(TABLE, arn, creates=True))
        assert (first.outcome, "ContinuousBackupsUnavailable" in first.reason) == ("RETURNED", True)
        again = first.request.again(world.now)
        assert world.run(TABLE, again, owner="worker-2").outcome == "RETURNED"
        assert world.run(TABLE, request(TABLE, arn)).outcome == "RETURNED"  # an event that is no creation
    assert world.run(TABLE, again, owner="worker-3").outcome == "REMEDIATED"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_table_that_is_long_in_the_making_is_not_taken_for_gone(world: World) -> None:
    """If this fails, a table that takes minutes to create is given up as deleted."""
    arn = factories.table()
    wish = request(TABLE, arn, creates=True)
    world.now += timedelta(minutes=5)
    world.wire.fail("dynamodb", "UpdateContinuousBackups", "TableNotFoundException", "Table not found: orders")
    result = world.run(TABLE, wish)
    assert result.outcome == "RETURNED"
    assert world.run(TABLE, result.request.again(world.now)).outcome == "REMEDIATED"


def test_table_that_is_not_there_yet_is_waited_for(world: World) -> None:
    """If this fails, TableNotFoundException just after CreateTable loses the table."""
    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"
    assert world.run(TABLE, request(TABLE, arn, creates=True)).outcome == "RETURNED"
    assert world.run(TABLE, request(TABLE, arn)).outcome == "GONE"


def test_recovery_that_is_switched_off_is_restored(world: World) -> None:
    """If this fails, a later weakening of a table stays."""
    arn = factories.table()
    assert world.run(TABLE, request(TABLE, arn, creates=True)).outcome == "REMEDIATED"
    client("dynamodb").update_continuous_backups(
        TableName="orders", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    assert world.run(TABLE, request(TABLE, arn)).outcome == "REMEDIATED"
    assert world.run(TABLE, request(TABLE, arn)).outcome == "COMPLIANT"
    # The second read is the engine's: whether there is an announcement to forget.
    assert world.wire.names() == ["dynamodb:DescribeContinuousBackups", "dynamodb:GetItem"]


def test_large_table_is_announced_with_its_price_and_left(world: World) -> None:
    """If this fails, Evenkeel runs up a bill that nobody asked for."""
    arn = factories.table()
    described = client("dynamodb").describe_table(TableName="orders")["Table"]
    world.wire.answer("dynamodb", "DescribeTable", {"Table": {**described, "TableSizeBytes": 1024**4}}, times=9)
    result = world.run(TABLE, request(TABLE, arn))
    assert result.outcome == "ANNOUNCED"
    assert "about $205 a month" in world.records()[0]["detail"]
    assert not [made for made in world.wire.calls if made.operation == "UpdateContinuousBackups"]


@pytest.fixture
def _log_key(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("EVENKEEL_LOG_KEY_ARN", LOG_KEY)


def test_group_gets_key_and_retention_and_keeps_them(world: World) -> None:
    """If this fails, new groups stay unencrypted or for ever, or stay so when weakened."""
    arn = factories.group()
    for creates in (True, False):
        assert world.run(ENCRYPTION, request(ENCRYPTION, arn, creates=creates)).outcome == "REMEDIATED"
        assert world.run(RETENTION, request(RETENTION, arn, creates=creates)).outcome == "REMEDIATED"
        [found] = client("logs").describe_log_groups()["logGroups"]
        assert (found["kmsKeyId"], found["retentionInDays"]) == (LOG_KEY, 365)
        client("logs").disassociate_kms_key(logGroupName="/app/orders")
        client("logs").put_retention_policy(logGroupName="/app/orders", retentionInDays=7)


def test_somebodys_own_key_is_never_replaced(world: World) -> None:
    """If this fails, Evenkeel takes a group away from its owner's key."""
    arn = factories.group(kmsKeyId=THEIRS)
    assert world.run(ENCRYPTION, request(ENCRYPTION, arn)).outcome == "COMPLIANT"
    assert world.wire.changes() == []


def test_groups_in_transit_are_left(world: World) -> None:
    """If this fails, DELIVERY groups are changed or called failures."""
    arn = factories.group(logGroupClass="DELIVERY")
    for control in (ENCRYPTION, RETENTION):
        assert world.run(control, request(control, arn, creates=True)).outcome == "NOT_APPLICABLE"


def test_old_group_that_never_expires_is_announced(world: World) -> None:
    """If this fails, Evenkeel deletes somebody's log history."""
    arn = factories.group()
    world.now += timedelta(days=30)
    result = world.run(RETENTION, request(RETENTION, arn))
    assert (result.outcome, "30 days old" in result.reason) == ("ANNOUNCED", True)
    assert "retentionInDays" not in client("logs").describe_log_groups()["logGroups"][0]


def test_key_that_does_not_admit_the_logs_service_fails_loudly(world: World) -> None:
    """If this fails, a log key with a wrong policy is retried without end or hidden."""
    arn = factories.group()
    world.wire.fail("logs", "AssociateKmsKey", "InvalidParameterException", "The specified KMS key does not exist")
    assert world.run(ENCRYPTION, request(ENCRYPTION, arn)).outcome == "FAILED"
    assert world.records()[-1]["announce"]


@pytest.mark.parametrize("code", ["OperationAbortedException", "ServiceUnavailableException", "ThrottlingException"])
def test_group_that_is_being_changed_is_waited_for(world: World, code: str) -> None:
    """If this fails, two changes of one group at the same time lose one of them."""
    arn = factories.group()
    world.wire.fail("logs", "PutRetentionPolicy", code)
    assert world.run(RETENTION, request(RETENTION, arn)).outcome == "RETURNED"


def test_group_is_found_among_its_neighbours_and_linked_accounts(world: World) -> None:
    """If this fails, a group is judged by another's state: one whose name it begins, or a linked account's."""
    factories.group("/app/orders-archive", kmsKeyId=THEIRS)
    arn = factories.group("/app/orders")
    mine = client("logs").describe_log_groups(logGroupIdentifiers=["/app/orders"])["logGroups"]
    linked = {**mine[0], "arn": mine[0]["arn"].replace("123456789012", "210987654321"), "kmsKeyId": THEIRS}
    world.wire.answer("logs", "DescribeLogGroups", {"logGroups": [linked, *mine]})
    assert world.run(ENCRYPTION, request(ENCRYPTION, arn)).outcome == "REMEDIATED"


@pytest.mark.parametrize("answer", [{"logGroups": []}, {}])
def test_group_that_is_gone_is_gone(world: World, answer: dict[str, Any]) -> None:
    """If this fails, AWS's empty answer for a deleted group is a crash."""
    arn = "arn:aws:logs:eu-west-1:123456789012:log-group:/app/orders"
    world.wire.answer("logs", "DescribeLogGroups", answer, times=2)
    assert world.run(ENCRYPTION, request(ENCRYPTION, arn)).outcome == "GONE"
    assert world.run(ENCRYPTION, request(ENCRYPTION, arn, creates=True)).outcome == "RETURNED"


def _tags(arn: str) -> dict[str, str]:
    found = client("resourcegroupstaggingapi").get_resources(ResourceARNList=[arn])["ResourceTagMappingList"]
    return {tag["Key"]: tag["Value"] for item in found for tag in item["Tags"]}


TAGGED = {
    kind: make for kind, make in factories.BY_TYPE.items() if all_controls()[TAGS].applies_to(factories.ARNS[kind])
}


@pytest.mark.parametrize("make", TAGGED.values(), ids=list(TAGGED))
def test_every_type_is_tagged_and_other_peoples_tags_survive(world: World, make: Any) -> None:
    """If this fails, a type is not tagged at all, or somebody's own tags are wiped."""
    arn = make()
    client("resourcegroupstaggingapi").tag_resources(ResourceARNList=[arn], Tags={"team": "x", "Project": "own"})
    settings = _settings(TAGS, parameters={"values": {**VALUES, "Owner": "alice"}})
    from evenkeel.model import Actor  # noqa: PLC0415 - one user

    wish = request(TAGS, arn, creates=True, actor=Actor(owner="alice"))
    assert world.run(TAGS, wish, document=settings).outcome == "REMEDIATED"
    tagged = {"team": "x", "Project": "own", "Owner": "alice", "Environment": "prod", "CostCenter": "42"}
    assert _tags(arn) == tagged
    client("resourcegroupstaggingapi").untag_resources(ResourceARNList=[arn], TagKeys=["Environment"])
    assert world.run(TAGS, request(TAGS, arn), document=settings).outcome == "REMEDIATED"
    assert _tags(arn) == tagged


def test_part_that_is_not_known_is_told_once(world: World) -> None:
    """If this fails, a resource that is tagged in part is announced at every look, or called done."""
    from evenkeel.model import Actor  # noqa: PLC0415 - one user

    arn = factories.table()
    settings = _settings(TAGS, parameters={"required": ["Owner", "Project"]})
    wish = request(TAGS, arn, creates=True, actor=Actor(owner="alice"))
    assert world.run(TAGS, wish, document=settings).outcome == "PARTIAL"
    assert _tags(arn) == {"Owner": "alice"}
    # The tag that Evenkeel added is itself a tag change, which wakes it again.
    assert world.run(TAGS, request(TAGS, arn), document=settings).outcome == "SKIPPED"
    assert world.outcomes() == ["PLANNED", "PARTIAL"]
    assert world.records()[-1]["announce"]


def test_makers_own_tags_are_waited_for(world: World) -> None:
    """If this fails, Evenkeel tags what Terraform is about to tag, and its apply hangs."""
    from evenkeel.model import Actor  # noqa: PLC0415 - one user

    arn = factories.topic()
    wish = request(TAGS, arn, creates=True, actor=Actor(owner="alice"))
    settings = {**_settings(TAGS, parameters={"required": ["Owner"]}), "settle_seconds": 60}
    first = world.run(TAGS, wish, document=settings)
    assert first.outcome == "RETURNED"
    client("resourcegroupstaggingapi").tag_resources(ResourceARNList=[arn], Tags={"Owner": "terraform"})
    world.sleep(61)
    assert world.run(TAGS, first.request.again(world.now), document=settings).outcome == "COMPLIANT"
    assert _tags(arn) == {"Owner": "terraform"}


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        ("InternalServiceException", 500, "RETURNED"),
        ("ThrottledException", 400, "RETURNED"),
        ("InvalidParameterException", 400, "FAILED"),
    ],
)
def test_failure_inside_a_success_is_seen(world: World, code: str, status: int, outcome: str) -> None:
    """If this fails, TagResources' 200 with a FailedResourcesMap passes for a change."""
    arn = factories.topic()
    failure = {"StatusCode": status, "ErrorCode": code, "ErrorMessage": "no"}
    world.wire.answer("resourcegroupstaggingapi", "TagResources", {"FailedResourcesMap": {arn: failure}})
    settings = _settings(TAGS, parameters={"required": ["Project"], "values": VALUES})
    result = world.run(TAGS, request(TAGS, arn), document=settings)
    assert result.outcome == outcome
    assert arn in (result.reason if outcome == "RETURNED" else world.records()[-1]["detail"])


def test_denial_inside_a_success_is_audited_as_one(world: World) -> None:
    """If this fails, an organization's tag policy is taken for a fault of the stack."""
    arn = factories.topic()
    message = "not authorized to perform: sns:TagResource with an explicit deny in a service control policy"
    failure = {"StatusCode": 403, "ErrorCode": "AccessDeniedException", "ErrorMessage": message}
    world.wire.answer("resourcegroupstaggingapi", "TagResources", {"FailedResourcesMap": {arn: failure}})
    settings = _settings(TAGS, parameters={"required": ["Project"], "values": VALUES})
    assert world.run(TAGS, request(TAGS, arn), document=settings).outcome == "DENIED"


def test_table_without_backups_to_describe_is_waited_for_and_a_gone_one_is_not(world: World) -> None:
    """If this fails, a table that is being made counts as gone and is never looked at again, or the other way round."""
    control, arn = "dynamodb-point-in-time-recovery", factories.table()
    world.wire.fail("dynamodb", "DescribeContinuousBackups", "TableNotFoundException")
    assert world.run(control, request(control, arn)).outcome == "RETURNED"
    with moto_gaps.creating("orders"):
        world.wire.fail("dynamodb", "DescribeContinuousBackups", "TableNotFoundException")
        assert world.run(control, request(control, arn)).outcome == "RETURNED"
    client("dynamodb").delete_table(TableName="orders")
    assert world.run(control, request(control, arn)).outcome == "GONE"
    assert world.records() == []


def test_other_refusal_of_a_tables_backups_is_not_taken_for_a_new_table(world: World) -> None:
    """If this fails, a refused read is waited for as if the table were being made."""
    control, arn = "dynamodb-point-in-time-recovery", factories.table()
    world.wire.fail("dynamodb", "DescribeContinuousBackups", "ValidationException", "odd")
    with pytest.raises(Exception, match="odd"):
        world.run(control, request(control, arn))
