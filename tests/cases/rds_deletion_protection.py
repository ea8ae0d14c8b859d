"""What a database's state means for its protection against deletion."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case
from tests.world import ACCOUNT, REGION

INSTANCE = f"arn:aws:rds:{REGION}:{ACCOUNT}:db:orders"
CLUSTER = f"arn:aws:rds:{REGION}:{ACCOUNT}:cluster:orders"


def instance(**differs: Any) -> dict[str, Any]:
    """Return the state of an unprotected instance, but for what differs."""
    return {"Engine": "postgres", "Status": "available", "MemberOf": "", "DeletionProtection": False, **differs}


def cluster(**differs: Any) -> dict[str, Any]:
    """Return the state of an unprotected Aurora cluster, but for what differs."""
    return instance(**{"Engine": "aurora-mysql", **differs})


def set_instance(value: bool) -> tuple[Call, ...]:
    """Return the call that sets the instance's protection."""
    return (Call("rds", "modify_db_instance", {"DBInstanceIdentifier": "orders", "DeletionProtection": value}),)


def set_cluster(value: bool) -> tuple[Call, ...]:
    """Return the call that sets the cluster's protection."""
    return (Call("rds", "modify_db_cluster", {"DBClusterIdentifier": "orders", "DeletionProtection": value}),)


def _instance(why: str, kind: str, says: str, **differs: Any) -> Case:
    fix = {"calls": set_instance(True), "undo": set_instance(False)} if kind == "NonCompliant" else {}
    return Case(why, instance(**differs), kind, says, arn=INSTANCE, **fix)


def _cluster(why: str, kind: str, says: str, **differs: Any) -> Case:
    fix = {"calls": set_cluster(True), "undo": set_cluster(False)} if kind == "NonCompliant" else {}
    return Case(why, cluster(**differs), kind, says, arn=CLUSTER, **fix)


CASES = (
    _instance("a protected instance is what is wanted", "Compliant", "", DeletionProtection=True),
    _instance("protection counts while it is being made", "Compliant", "", DeletionProtection=True, Status="creating"),
    _instance("an unprotected instance is protected", "NonCompliant", "off"),
    _instance("a read replica is an instance of its own", "NonCompliant", "off", Engine="mysql"),
    _cluster("a protected cluster is what is wanted", "Compliant", "", DeletionProtection=True),
    _cluster("an unprotected Aurora cluster is protected", "NonCompliant", "off"),
    _cluster("a Multi-AZ DB cluster is protected, too", "NonCompliant", "off", Engine="postgres"),
    _instance("a member of an Aurora cluster is protected by it", "NotApplicable", "DB cluster shop",
              Engine="aurora-mysql", MemberOf="shop"),
    _instance("a member of a Multi-AZ DB cluster is protected by it", "NotApplicable", "DB cluster shop",
              MemberOf="shop"),
    _instance("Neptune is another service", "NotApplicable", "Neptune", Engine="neptune", MemberOf="graph"),
    _cluster("Neptune's clusters, too", "NotApplicable", "Neptune", Engine="neptune"),
    _cluster("DocumentDB is another service", "NotApplicable", "DocumentDB", Engine="docdb"),
    Case("RDS Custom is told to people", instance(Engine="custom-oracle-ee"), "NonCompliant", "by hand", arn=INSTANCE),
    _instance("RDS Custom that is protected is right", "Compliant", "", Engine="custom-sqlserver-se",
              DeletionProtection=True),
    *(_instance(f"an instance that is {status} is waited for", "NotReady", status, Status=status)
      for status in ("backing-up", "configuring-log-exports", "creating", "maintenance", "modifying", "rebooting",
                     "renaming", "starting", "stopping", "upgrading", "a-state-that-is-new")),
    *(_cluster(f"a cluster that is {status} is waited for", "NotReady", status, Status=status)
      for status in ("backing-up", "creating", "failing-over", "migrating", "modifying", "promoting", "upgrading")),
    *(_instance(f"{status} may last, so it is tried", "NonCompliant", "off", Status=status)
      for status in ("incompatible-parameters", "storage-full", "storage-initialization", "storage-optimization")),
    _instance("a stopped instance takes no change", "NotApplicable", "when it is started", Status="stopped"),
    _cluster("a stopped cluster takes no change", "NotApplicable", "when it is started", Status="stopped"),
    _instance("an instance on its way out is left", "NotApplicable", "being deleted", Status="deleting"),
    _instance("an instance about to be deleted is left", "NotApplicable", "being deleted", Status="delete-precheck"),
    _instance("a failed instance is left", "NotApplicable", "has failed", Status="failed"),
    _instance("a restore that failed is left", "NotApplicable", "never fully created", Status="restore-error"),
    _cluster("a clone that failed is left", "NotApplicable", "never fully created", Status="cloning-failed"),
    _instance("without its key nothing can be changed", "NotApplicable", "restore access",
              Status="inaccessible-encryption-credentials"),
)  # fmt: skip
