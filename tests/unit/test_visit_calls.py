"""How many calls one request costs, counted where botocore sends them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

ENGINE = ["dynamodb:UpdateItem", "dynamodb:TransactWriteItems", "dynamodb:TransactWriteItems"]


def _key() -> str:
    return client("kms").create_key()["KeyMetadata"]["Arn"]


def _table(name: str) -> str:
    return client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]["TableArn"]


def test_new_key_costs_three_calls_of_the_engine_and_four_of_the_control(world: World) -> None:
    """If this fails, a CreateKey event costs more calls than promised, or an act is not written ahead and after."""
    arn = _key()
    world.run("kms-key-rotation", request("kms-key-rotation", arn, creates=True))
    assert [name for name in world.wire.names() if name.startswith("dynamodb:")] == ENGINE
    assert [name for name in world.wire.names() if name.startswith("kms:")] == [
        "kms:GetKeyRotationStatus",
        "kms:DescribeKey",
        "kms:EnableKeyRotation",
        "kms:GetKeyRotationStatus",
    ]


def test_known_key_costs_a_read_and_is_not_counted_again(world: World) -> None:
    """If this fails, a weakened resource costs more than four calls of the engine, or its state is not read first."""
    arn = _key()
    world.run("kms-key-rotation", request("kms-key-rotation", arn, creates=True))
    client("kms").disable_key_rotation(KeyId=arn)
    world.run("kms-key-rotation", request("kms-key-rotation", arn))
    assert [name for name in world.wire.names() if name.startswith("dynamodb:")] == [
        "dynamodb:GetItem",
        "dynamodb:GetItem",
        "dynamodb:TransactWriteItems",
        "dynamodb:TransactWriteItems",
    ]


def test_new_table_costs_three_calls_of_the_control_however_many_tables_there_are(world: World) -> None:
    """If this fails, a CreateTable event grows dearer with the account, as it does at a peer."""
    for number in range(12):
        _table(f"other-{number}")
    arn = _table("orders")
    world.run("dynamodb-point-in-time-recovery", request("dynamodb-point-in-time-recovery", arn, creates=True))
    engine = {"GetItem", "UpdateItem", "TransactWriteItems"}
    assert [made.operation for made in world.wire.calls if made.operation not in engine] == [
        "DescribeContinuousBackups",
        "UpdateContinuousBackups",
        "DescribeContinuousBackups",
    ]


def test_compliant_resource_is_only_read(world: World) -> None:
    """If this fails, a resource that is as it should be causes writes somewhere."""
    arn = _key()
    client("kms").enable_key_rotation(KeyId=arn)
    result = world.run("kms-key-rotation", request("kms-key-rotation", arn, creates=True))
    assert result.outcome == "COMPLIANT"
    assert world.wire.names() == ["kms:GetKeyRotationStatus"]


def test_settling_resource_is_not_even_read(world: World) -> None:
    """If this fails, a tool that sets rotation in its second call is raced instead of waited for."""
    arn = _key()
    wish = request("tagging-required-tags", arn, creates=True)
    result = world.run("tagging-required-tags", wish)
    assert (result.outcome, world.wire.names()) == ("RETURNED", [])
    assert 55 <= result.delay_seconds <= 60
    world.sleep(61)
    assert world.run("tagging-required-tags", wish.again(world.now)).outcome != "RETURNED"


def test_record_counts_the_calls_made_for_the_control(world: World) -> None:
    """If this fails, the audit's ``aws_calls`` is not what was sent."""
    world.run("kms-key-rotation", request("kms-key-rotation", _key(), creates=True))
    outcome = world.records()[-1]
    assert outcome["aws_calls"] == len([name for name in world.wire.names() if name.startswith("kms:")])


def test_window_of_the_announcement_is_a_day(world: World) -> None:
    """If this fails, an open finding is announced at every event, or never again."""
    document = {"schema_version": 1, "controls": {"kms-key-rotation": {"mode": "notify"}}}
    wish = request("kms-key-rotation", _key())
    outcomes = []
    for pause in (timedelta(), timedelta(hours=23), timedelta(hours=2)):
        world.now += pause
        outcomes.append(world.run("kms-key-rotation", wish, document=document).outcome)
    assert outcomes == ["ANNOUNCED", "SKIPPED", "ANNOUNCED"]
    assert world.outcomes() == ["ANNOUNCED", "ANNOUNCED"]
    assert not [name for name in world.wire.changes() if name.startswith("kms:")]
