"""What the tests of databases share: both controls enforced, and what an instance is like by now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.world import client

if TYPE_CHECKING:
    from tests.world import World

PROTECTION, PUBLIC = BOTH = ("rds-deletion-protection", "rds-public-access")
ENFORCE: dict[str, Any] = {
    "schema_version": 1,
    "settle_seconds": 0,
    "controls": {control: {"mode": "enforce"} for control in BOTH},
}
SETTING = {PROTECTION: "DeletionProtection", PUBLIC: "PubliclyAccessible"}
UNION = {"DBInstanceIdentifier": "orders", "DeletionProtection": True, "PubliclyAccessible": False}
"""What one call for both controls says."""
READ, WRITE = "rds:DescribeDBInstances", "rds:ModifyDBInstance"


def rds_calls(world: World) -> list[str]:
    """Return the calls of RDS that were made, as ``rds:Operation``."""
    return [name for name in world.wire.names() if name.startswith("rds:")]


def switches(name: str = "orders") -> tuple[bool, bool]:
    """Return whether an instance is protected and public."""
    [found] = client("rds").describe_db_instances(DBInstanceIdentifier=name)["DBInstances"]
    return found["DeletionProtection"], found["PubliclyAccessible"]


def ended(world: World) -> dict[str, dict[str, Any]]:
    """Return the last outcome's record of each control."""
    return {record["control"]: record for record in world.records() if "outcome" in record}


def outcomes(world: World) -> dict[str, str]:
    """Return the last outcome of each control."""
    return {control: record["outcome"] for control, record in ended(world).items()}
