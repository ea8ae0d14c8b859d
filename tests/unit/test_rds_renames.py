"""Databases that are renamed in the call that weakens them: the new name is there only minutes later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evenkeel.control.registry import groups
from evenkeel.events import parsing
from rds import database
from tests.factories.rds import instance
from tests.moto_gaps.rds import held
from tests.world import PLACE, client, cloudtrail

if TYPE_CHECKING:
    from evenkeel.model import Request, Result
    from tests.world import World

PROTECTION, PUBLIC = "rds-deletion-protection", "rds-public-access"
ENFORCE: dict[str, Any] = {
    "schema_version": 1,
    "controls": {control: {"mode": "enforce"} for control in (PROTECTION, PUBLIC)},
}


def _again(world: World, result: Result) -> Result:
    """Bring a request back from the queue when its delay is over."""
    assert result.outcome == "RETURNED"
    world.sleep(result.delay_seconds)
    return world.run(PUBLIC, result.request.again(world.now), document=ENFORCE)


def _renamed(world: World, name: str, **parameters: Any) -> list[Request]:
    """Return the requests that a change of the database ``orders`` leads to, as the group's worker reads them."""
    event = cloudtrail("rds.amazonaws.com", name, world.now, requestParameters=parameters, responseElements=None)
    return list(parsing.parse(event, groups()["rds"], PLACE).requests)


def test_instance_that_is_weakened_and_renamed_in_one_call_is_repaired_under_its_new_name(world: World) -> None:
    """If this fails, a database is public for good once it is renamed in the call that opens it."""
    instance()
    asked = _renamed(
        world, "ModifyDBInstance", dBInstanceIdentifier="orders", newDBInstanceIdentifier="Carts",
        publiclyAccessible=True,
    )  # fmt: skip
    before, after = (each for each in asked if each.control == PUBLIC)
    assert after.resource.arn.endswith(":db:carts")
    with held(before.resource.arn, "renaming"):
        old, new = (world.run(PUBLIC, each, document=ENFORCE) for each in (before, after))
        for _ in range(6):
            old, new = (_again(world, each) for each in (old, new))
        assert (old.outcome, new.outcome) == ("RETURNED", "RETURNED")
    client("rds").modify_db_instance(DBInstanceIdentifier="orders", NewDBInstanceIdentifier="carts")
    assert [_again(world, each).outcome for each in (old, new)] == ["GONE", "REMEDIATED"]
    [found] = client("rds").describe_db_instances(DBInstanceIdentifier="carts")["DBInstances"]
    assert not found["PubliclyAccessible"]


def test_cluster_is_looked_at_under_its_new_name(world: World) -> None:
    """If this fails, a DB cluster loses its protection in the call that renames it, and nobody notices."""
    asked = _renamed(world, "ModifyDBCluster", dBClusterIdentifier="orders", newDBClusterIdentifier="Carts")
    assert [(each.control, each.resource.name, each.creates) for each in asked] == [
        (PROTECTION, "cluster:orders", False),
        (PROTECTION, "cluster:carts", True),
    ]
    assert world.run(PROTECTION, asked[1], document=ENFORCE).outcome == "RETURNED"


def test_new_name_that_does_not_come_is_waited_for_half_an_hour(world: World) -> None:
    """If this fails, a rename that waits for the maintenance window fills the dead letters."""
    arn = instance()
    parameters = {"dBInstanceIdentifier": "orders", "newDBInstanceIdentifier": "carts"}
    after = next(each for each in _renamed(world, "ModifyDBInstance", **parameters) if each.resource.arn != arn)
    result, began = world.run(PUBLIC, after, document=ENFORCE), world.now
    while result.outcome == "RETURNED":
        result = _again(world, result)
    assert result.outcome == "GONE"
    assert timedelta(minutes=30) <= world.now - began < timedelta(minutes=45)


def test_change_without_a_new_name_is_no_rename() -> None:
    """If this fails, every change of a database counts as a rename that names nothing."""
    for trigger in (database.INSTANCE_RENAMED, database.CLUSTER_RENAMED):
        plain = {"eventSource": trigger.source, "eventName": trigger.names[0], "requestParameters": {}}
        new_name = trigger.at.rpartition(".")[2]
        assert not trigger.matches(plain)
        assert trigger.matches({**plain, "requestParameters": {new_name: "carts"}})
