"""Tables on the real stack with IAM enforced: several controls and the owner change one table, one at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel_cli.local import local_stack
from tests.sandbox.cli_stack import Place, eventually, on, strict

if TYPE_CHECKING:
    from tests.sandbox.shared import Shared

PROTECTION, RECOVERY, TAGS = "dynamodb-deletion-protection", "dynamodb-point-in-time-recovery", "tagging-required-tags"


@pytest.fixture(scope="module")
def place(shared: Shared) -> Place:
    """The real stack with protection enforced, on an engine whose tables take a second to be made or changed."""
    return on(shared, strict())


@pytest.fixture(scope="module")
def alice(place: Place, shared: Shared) -> Any:
    """A DynamoDB client of an IAM user who may do everything."""
    return place.sandbox.client("dynamodb", shared.user("alice"))


def _table(alice: Any, name: str, **params: Any) -> str:
    made = alice.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        **params,
    )
    return str(made["TableDescription"]["TableArn"])


def _protected(alice: Any, name: str) -> bool:
    return bool(alice.describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"])


def test_one_new_table_gets_everything(place: Place, alice: Any) -> None:
    """If this fails, of the controls that want the same new table one forestalls another for good."""
    arn = _table(alice, "orders")
    for control in (PROTECTION, RECOVERY, TAGS):
        place.outcome(arn, control=control)
    assert _protected(alice, "orders")
    backups = alice.describe_continuous_backups(TableName="orders")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    tags = {tag["Key"]: tag["Value"] for tag in alice.list_tags_of_resource(ResourceArn=arn)["Tags"]}
    assert tags == {**local_stack.TAG_VALUES, "Owner": "alice"}


def test_protection_comes_after_the_owners_own_change_and_can_be_taken_back(place: Place, alice: Any) -> None:
    """If this fails, Evenkeel and a table's owner make each other's UpdateTable fail, or a table cannot be deleted."""
    arn = _table(alice, "carts", DeletionProtectionEnabled=True)
    alice.get_waiter("table_exists").wait(TableName="carts", WaiterConfig={"Delay": 1})
    alice.update_table(TableName="carts", DeletionProtectionEnabled=False)
    assert alice.describe_table(TableName="carts")["Table"]["TableStatus"] == "UPDATING"
    record = place.outcome(arn, control=PROTECTION)
    assert _protected(alice, "carts")
    with pytest.raises(alice.exceptions.ClientError):
        alice.delete_table(TableName="carts")
    time.sleep(1.5)  # until it is ACTIVE again
    assert place.run("undo", record["record_id"], "--yes").exit_code == 0
    assert not _protected(alice, "carts")
    eventually(lambda: _deleted(alice, "carts"), "the deletion of a table that is not protected any more")


def _deleted(alice: Any, name: str) -> bool:
    try:
        alice.delete_table(TableName=name)
    except alice.exceptions.ResourceInUseException:
        return False
    return True
