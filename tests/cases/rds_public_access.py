"""What a database's state means for its public access."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case
from tests.cases.rds_deletion_protection import CLUSTER, INSTANCE
from tests.factories.rds import multi_az_cluster


def instance(**differs: Any) -> dict[str, Any]:
    """Return the state of a public instance, but for what differs."""
    return {"Engine": "postgres", "Status": "available", "MemberOf": "", "PubliclyAccessible": True, **differs}


def set_public(value: bool) -> tuple[Call, ...]:
    """Return the call that sets the instance's public access."""
    return (Call("rds", "modify_db_instance", {"DBInstanceIdentifier": "orders", "PubliclyAccessible": value}),)


def _case(why: str, kind: str, says: str, arn: str = INSTANCE, **differs: Any) -> Case:
    fix = {"calls": set_public(False), "undo": set_public(True), "residue": True} if kind == "NonCompliant" else {}
    return Case(why, instance(**differs), kind, says, arn=arn, **fix)


def public_cluster() -> str:
    """Make a public Multi-AZ DB cluster; return its ARN."""
    return multi_az_cluster("orders-public", PubliclyAccessible=True)


MAKE = {"AWS::RDS::DBCluster": public_cluster}
ANNOUNCED = frozenset({"AWS::RDS::DBCluster"})

CASES = (
    _case("a private instance is what is wanted", "Compliant", "", PubliclyAccessible=False),
    _case("a private one that is being made is, too", "Compliant", "", PubliclyAccessible=False, Status="creating"),
    _case("a public instance is made private", "NonCompliant", "publicly accessible"),
    _case("a public read replica is an instance of its own", "NonCompliant", "publicly", Engine="mariadb"),
    _case("an Aurora instance is public or not by itself", "NonCompliant", "publicly", Engine="aurora-mysql",
          MemberOf="shop"),
    _case("a member of a Multi-AZ DB cluster is as its cluster is", "NotApplicable", "cluster shop", MemberOf="shop"),
    _case("an Aurora cluster has no setting of its own", "NotApplicable", "by itself", CLUSTER, Engine="aurora-mysql",
          PubliclyAccessible=False),
    Case("a public Multi-AZ DB cluster is told to people", instance(Engine="mysql"), "NonCompliant", "restore it",
         arn=CLUSTER),
    _case("a private Multi-AZ DB cluster is right", "Compliant", "", CLUSTER, Engine="mysql", PubliclyAccessible=False),
    Case("RDS Custom is told to people", instance(Engine="custom-sqlserver-se"), "NonCompliant", "by hand",
         arn=INSTANCE),
    _case("Neptune is another service", "NotApplicable", "Neptune", Engine="neptune", MemberOf="graph"),
    _case("DocumentDB is another service", "NotApplicable", "DocumentDB", Engine="docdb", MemberOf="docs"),
    *(_case(f"an instance that is {status} is waited for", "NotReady", status, Status=status)
      for status in ("creating", "modifying", "backing-up", "upgrading", "rebooting", "starting", "stopping")),
    _case("storage-optimization may last for days, so it is tried", "NonCompliant", "publicly",
          Status="storage-optimization"),
    _case("a stopped instance takes no change", "NotApplicable", "when it is started", Status="stopped"),
    _case("an instance on its way out is left", "NotApplicable", "being deleted", Status="deleting"),
)  # fmt: skip
