"""Databases on the real stack with IAM enforced: two findings on one new instance, Aurora's halves, and who is told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.factories import rds as making
from tests.sandbox.cli_stack import Place, eventually, on, strict
from tests.world import reaching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.shared import Shared

PROTECTION, PUBLIC = "rds-deletion-protection", "rds-public-access"
BOTH = (PROTECTION, PUBLIC)


@pytest.fixture(scope="module")
def place(shared: Shared) -> Place:
    """The real stack with both controls enforced, on an engine whose databases take a second to be made or changed."""
    return on(shared, strict())


@pytest.fixture(scope="module")
def alice(place: Place, shared: Shared) -> Iterator[Any]:
    """An RDS client of an IAM user who may do everything; what tests make is made by her."""
    client = place.sandbox.client("rds", shared.user("alice"))
    with reaching(lambda _: client):
        yield client


def _settings(alice: Any, name: str) -> tuple[bool, bool]:
    """Return whether an instance is protected and public."""
    [found] = alice.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    return found["DeletionProtection"], found["PubliclyAccessible"]


def _available(alice: Any, name: str) -> None:
    """Wait until an instance takes another change."""
    alice.get_waiter("db_instance_available").wait(DBInstanceIdentifier=name, WaiterConfig={"Delay": 1})


def _own_calls(place: Place, function: str, operation: str) -> int:
    """Return how often a function's role made a call."""
    role = place.stack.resources[f"{function}Role"]
    calls = place.sandbox.calls()["calls"]
    return sum(each["count"] for each in calls if each["operation"] == operation and role in each["principal"])


def test_both_findings_on_one_new_instance_are_repaired_and_taken_back(place: Place, alice: Any) -> None:
    """If this fails, two findings cost two calls, one control loses its finding, or undo leaves something behind."""
    place.sandbox.forget()
    arn = making.instance("orders")
    records = {control: place.outcome(arn, control=control) for control in BOTH}
    assert _settings(alice, "orders") == (True, False)
    assert {record["actor"]["principal"].rpartition("/")[2] for record in records.values()} == {"alice"}
    assert [list(records[control]["sent_with"]) for control in BOTH] == [[PUBLIC], [PROTECTION]]
    assert _own_calls(place, "Rds", "ModifyDBInstance") == 1
    assert _own_calls(place, "Rds", "DescribeDBInstances") <= 10  # two each, and a look now and then while it is busy
    for control in BOTH:
        _available(alice, "orders")
        assert place.run("undo", records[control]["record_id"], "--yes").exit_code == 0
    assert _settings(alice, "orders") == (False, True)
    _available(alice, "orders")
    alice.modify_db_instance(DBInstanceIdentifier="orders", BackupRetentionPeriod=7)
    time.sleep(3)
    assert _settings(alice, "orders") == (False, True)  # held, since a person wants it so


def test_both_are_repaired_though_rds_refuses_calls_that_its_status_allowed(place: Place, alice: Any) -> None:
    """If this fails, a call that meets another one's change before the status shows it counts as a failure."""
    place.sandbox.forget()
    refusal = {"code": "InvalidDBInstanceState", "times": 2, "principal": place.stack.resources["RdsRole"]}
    fault = place.sandbox.faults.add("rds", "ModifyDBInstance", **refusal)
    arn = making.instance("parcels")
    for control in BOTH:
        place.outcome(arn, control=control)
    place.sandbox.faults.clear(fault)
    assert _settings(alice, "parcels") == (True, False)
    assert _own_calls(place, "Rds", "ModifyDBInstance") == 3
    assert place.ask("audit", "list", "--resource", arn, "--outcome", "FAILED") == []


def test_weakened_instance_is_repaired_and_others_pending_change_stays_pending(place: Place, alice: Any) -> None:
    """If this fails, a later weakening stays, or Evenkeel applies what somebody put off to the maintenance window."""
    arn = making.instance("carts", DeletionProtection=True, PubliclyAccessible=False)
    _available(alice, "carts")
    alice.modify_db_instance(DBInstanceIdentifier="carts", DBInstanceClass="db.m7g.large", PubliclyAccessible=True)
    place.outcome(arn, control=PUBLIC)
    [found] = alice.describe_db_instances(DBInstanceIdentifier="carts")["DBInstances"]
    assert found["PendingModifiedValues"] == {"DBInstanceClass": "db.m7g.large"}
    assert found["DBInstanceClass"] == "db.t4g.micro"
    assert place.ask("audit", "list", "--resource", arn, "--control", PROTECTION) == []


def test_aurora_is_repaired_where_each_setting_belongs(place: Place, alice: Any) -> None:
    """If this fails, a cluster can be deleted or its instances stay public, or calls are made that AWS refuses."""
    whole = making.cluster("shop")
    part = making.member("shop", "shop-1", PubliclyAccessible=True)
    place.outcome(whole, control=PROTECTION)
    place.outcome(part, control=PUBLIC)
    [found] = alice.describe_db_clusters(DBClusterIdentifier="shop")["DBClusters"]
    assert found["DeletionProtection"]
    assert _settings(alice, "shop-1") == (False, False)
    assert place.ask("audit", "list", "--resource", part, "--control", PROTECTION) == []
    assert place.ask("audit", "list", "--resource", whole, "--control", PUBLIC) == []


def test_public_multi_az_cluster_is_told_of(place: Place, alice: Any) -> None:
    """If this fails, a public Multi-AZ DB cluster passes in silence, because no call can mend it."""
    arn = making.multi_az_cluster("ledger", PubliclyAccessible=True)
    record = place.outcome(arn, "ANNOUNCED", PUBLIC)
    assert (record["severity"], record["calls"]) == ("CRITICAL", [])
    place.outcome(arn, control=PROTECTION)
    [found] = alice.describe_db_clusters(DBClusterIdentifier="ledger")["DBClusters"]
    assert (found["DeletionProtection"], found["PubliclyAccessible"]) == (True, True)


def test_stopped_instance_is_repaired_when_it_is_started(place: Place, alice: Any) -> None:
    """If this fails, a database that was stopped when it was looked at is never looked at again."""
    arn = making.instance("nightly", DeletionProtection=True, PubliclyAccessible=False)
    _available(alice, "nightly")
    alice.modify_db_instance(DBInstanceIdentifier="nightly", DeletionProtection=False)
    alice.stop_db_instance(DBInstanceIdentifier="nightly")
    time.sleep(3)
    assert not _settings(alice, "nightly")[0]
    alice.start_db_instance(DBInstanceIdentifier="nightly")
    place.outcome(arn, control=PROTECTION)
    assert eventually(lambda: _settings(alice, "nightly") == (True, False), "a protected instance")
