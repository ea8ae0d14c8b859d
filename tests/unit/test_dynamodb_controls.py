"""The controls of tables that change the same table at the same time as each other and as its owner."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from evenkeel.model import Cause
from tests import factories, moto_gaps
from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

PROTECTION, RECOVERY = "dynamodb-deletion-protection", "dynamodb-point-in-time-recovery"
DOCUMENT = {"schema_version": 1, "settle_seconds": 0, "controls": {PROTECTION: {"mode": "enforce"}}}


def _protected() -> bool:
    return bool(client("dynamodb").describe_table(TableName="orders")["Table"]["DeletionProtectionEnabled"])


def test_protection_is_only_announced_by_default(world: World) -> None:
    """If this fails, Evenkeel breaks the next tear-down of every stack with a table, unasked."""
    arn = factories.table()
    assert world.run(PROTECTION, request(PROTECTION, arn, creates=True)).outcome == "ANNOUNCED"
    assert not _protected()


def test_protected_table_takes_one_look_and_an_unprotected_one_a_call_more(world: World) -> None:
    """If this fails, a look at a table costs more than it must."""
    arn = factories.table()
    assert world.run(PROTECTION, request(PROTECTION, arn), document=DOCUMENT).outcome == "REMEDIATED"
    tables = [made.operation for made in world.wire.calls if made.params.get("TableName") == "orders"]
    assert tables == ["DescribeTable", "UpdateTable", "DescribeTable"]
    assert world.run(PROTECTION, request(PROTECTION, arn), document=DOCUMENT).outcome == "COMPLIANT"
    assert world.wire.names() == ["dynamodb:DescribeTable"]


def test_protected_table_cannot_be_deleted(world: World) -> None:
    """If this fails, what the control sets does not do what it is there for."""
    arn = factories.table()
    world.run(PROTECTION, request(PROTECTION, arn), document=DOCUMENT)
    with pytest.raises(client("dynamodb").exceptions.ClientError, match="DeletionProtectionEnabled"):
        client("dynamodb").delete_table(TableName="orders")


def test_both_controls_wait_for_one_new_table(world: World) -> None:
    """If this fails, a new table gets one of recovery and protection, and the other is lost."""
    arn = factories.table()
    with moto_gaps.creating("orders"):
        first = [
            world.run(name, request(name, arn, creates=True), document=DOCUMENT) for name in (PROTECTION, RECOVERY)
        ]
    assert [result.outcome for result in first] == ["RETURNED", "RETURNED"]
    for result in first:
        again = result.request.again(world.now)
        assert world.run(result.request.control, again, document=DOCUMENT).outcome == "REMEDIATED"
    assert _protected()
    backups = client("dynamodb").describe_continuous_backups(TableName="orders")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


@pytest.mark.parametrize("code", ["ResourceInUseException", "LimitExceededException"])
def test_change_that_another_one_forestalls_comes_back(world: World, code: str) -> None:
    """If this fails, a table whose owner adds an index at that moment is given up, or two changes are planned."""
    arn = factories.table()
    world.wire.fail("dynamodb", "UpdateTable", code)
    first = world.run(PROTECTION, request(PROTECTION, arn), document=DOCUMENT)
    assert (first.outcome, code in first.reason) == ("RETURNED", True)
    again = first.request.again(world.now)
    assert world.run(PROTECTION, again, document=DOCUMENT, owner="worker-2").outcome == "REMEDIATED"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_table_that_is_being_changed_is_not_touched(world: World) -> None:
    """If this fails, Evenkeel runs into the owner's own update and makes that fail instead."""
    arn = factories.table()
    described = client("dynamodb").describe_table(TableName="orders")["Table"]
    world.wire.answer("dynamodb", "DescribeTable", {"Table": {**described, "TableStatus": "UPDATING"}})
    first = world.run(PROTECTION, request(PROTECTION, arn), document=DOCUMENT)
    assert (first.outcome, "UPDATING" in first.reason) == ("RETURNED", True)
    assert world.wire.changes() == []


def test_table_deleted_meanwhile_is_gone_or_on_its_way(world: World) -> None:
    """If this fails, the second half of a wanted deletion is called a failure."""
    arn = factories.table()
    described = client("dynamodb").describe_table(TableName="orders")["Table"]
    world.wire.answer("dynamodb", "DescribeTable", {"Table": {**described, "TableStatus": "DELETING"}})
    assert world.run(PROTECTION, request(PROTECTION, arn), document=DOCUMENT).outcome == "NOT_APPLICABLE"
    client("dynamodb").delete_table(TableName="orders")
    assert world.run(PROTECTION, request(PROTECTION, arn), document=DOCUMENT).outcome == "GONE"
    assert world.records() == []


def test_protection_that_an_old_answer_leaves_out_counts_as_off(world: World) -> None:
    """If this fails, an answer without the field crashes the look or passes for protected."""
    arn = factories.table()
    described = client("dynamodb").describe_table(TableName="orders")["Table"]
    del described["DeletionProtectionEnabled"]
    world.wire.answer("dynamodb", "DescribeTable", {"Table": described})
    assert world.run(PROTECTION, request(PROTECTION, arn), document=DOCUMENT).outcome == "REMEDIATED"


@pytest.mark.parametrize(("ago", "ends"), [(timedelta(days=20), "ANNOUNCED"), (timedelta(minutes=5), "REMEDIATED")])
def test_creation_that_waited_for_long_is_not_believed_to_be_new(world: World, ago: timedelta, ends: str) -> None:
    """If this fails, a table that grew while a freeze held its request is backed up at any cost."""
    arn = factories.table()
    large = client("dynamodb").describe_table(TableName="orders")["Table"] | {"TableSizeBytes": 5 * 1024**4}
    world.wire.stand_ins["dynamodb", "DescribeTable"] = lambda _: {"Table": large}
    made = Cause("cloudtrail", "event-1", "CreateTable", (world.now - ago).isoformat())
    assert world.run(RECOVERY, request(RECOVERY, arn, creates=True, cause=made)).outcome == ends


def test_restored_table_whose_size_is_not_told_yet_is_announced(world: World) -> None:
    """If this fails, a restored table of terabytes, whose size still reads 0, is backed up at any cost."""
    arn = factories.table()
    described = client("dynamodb").describe_table(TableName="orders")["Table"]
    restored = described | {"TableSizeBytes": 0, "RestoreSummary": {"RestoreInProgress": False}}
    world.wire.stand_ins["dynamodb", "DescribeTable"] = lambda _: {"Table": restored}
    result = world.run(RECOVERY, request(RECOVERY, arn))
    assert (result.outcome, "does not report its size yet" in result.reason) == ("ANNOUNCED", True)
