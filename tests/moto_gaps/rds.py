"""Databases that are not available, or slow: moto's always are, at once, and take any change in any state.

- A change of a database that is not available is refused (API reference, ModifyDBInstance: InvalidDBInstanceState;
  ModifyDBCluster: InvalidDBClusterStateFault); ``held`` puts a database into a state.
- A change takes a while, in which the database is ``modifying`` and may show its old settings; ``slow`` has it so.
- An instance for which nobody named a subnet group is public, one of Aurora is not (API reference, CreateDBInstance).
- Deletion protection is refused on a member of a cluster (API reference, ModifyDBInstance).
- A DB cluster that is not there is a fault of its own, not a crash.
- Every instance has a resource id of its own, and clusters are found by theirs (API reference, DescribeDBClusters).
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.rds.exceptions import DBClusterNotFoundError, InvalidDBClusterStateFault, RDSClientError
from moto.rds.models import DBCluster, RDSBackend, rds_backends
from moto.rds.utils import FilterDef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

_OPEN = {"available", "storage-optimization"}


@dataclass
class Slow:
    """What is still to be done of slow changes; ``shown`` says whether the new settings show meanwhile."""

    shown: bool
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def settle(self) -> None:
        """Let all changes be done."""
        while self.waiting:
            self.waiting.pop()()


_slow: list[Slow] = []


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gaps until ``patch`` is undone."""
    _slow.clear()
    patch.setattr(RDSBackend, "create_db_instance", _public(RDSBackend.create_db_instance))
    patch.setattr(RDSBackend, "modify_db_instance", _instance(RDSBackend.modify_db_instance))
    patch.setattr(RDSBackend, "modify_db_cluster", _cluster(RDSBackend.modify_db_cluster))
    by_id = {"db-cluster-resource-id": FilterDef(["db_cluster_resource_id"], "DB Cluster Resource Ids")}
    patch.setattr(DBCluster, "SUPPORTED_FILTERS", DBCluster.SUPPORTED_FILTERS | by_id)


@contextmanager
def held(arn: str, status: str) -> Iterator[None]:
    """Hold a database in a state, then make it available."""
    database = _database(arn)
    database.status = status
    yield
    database.status = "available"


@contextmanager
def slow(*, shown: bool) -> Iterator[Slow]:
    """Let changes take until they are settled."""
    _slow.append(Slow(shown))
    yield _slow[-1]
    _slow.pop().settle()


def _database(arn: str) -> Any:
    _, _, _, region, account, kind, name = arn.split(":")
    backend = rds_backends[account][region]
    return backend.clusters[name] if kind == "cluster" else backend.databases[name]


def _public(real: Callable[..., Any]) -> Callable[..., Any]:
    def create(self: RDSBackend, db_kwargs: dict[str, Any]) -> Any:
        made = real(self, db_kwargs)
        if made.publicly_accessible is None:
            made.publicly_accessible = not (made.engine.startswith("aurora") or db_kwargs.get("db_subnet_group_name"))
        made.dbi_resource_id = f"db-{hashlib.sha256(made.db_instance_arn.encode()).hexdigest()[:26].upper()}"
        return made

    return create


def _instance(real: Callable[..., Any]) -> Callable[..., Any]:
    def modify(self: RDSBackend, db_instance_identifier: str, db_kwargs: dict[str, Any]) -> Any:
        database = self.describe_db_instances(db_instance_identifier)[0]
        if database.status not in _OPEN:
            raise RDSClientError("InvalidDBInstanceState", "Database instance is not in available state.")
        if database.db_cluster_identifier and "deletion_protection" in db_kwargs:
            raise RDSClientError(
                "InvalidParameterCombination",
                "Deletion Protection can only be applied on the Cluster level, not for individual instances",
            )
        return _in_time(database, lambda: real(self, db_instance_identifier, dict(db_kwargs)))

    return modify


def _cluster(real: Callable[..., Any]) -> Callable[..., Any]:
    def modify(self: RDSBackend, kwargs: dict[str, Any]) -> Any:
        cluster = self.clusters.get(kwargs["db_cluster_identifier"])
        if cluster is None:
            raise DBClusterNotFoundError(kwargs["db_cluster_identifier"])
        if cluster.status not in _OPEN:
            raise InvalidDBClusterStateFault(
                f"DB cluster is not available for modification with status {cluster.status}"
            )
        return _in_time(cluster, lambda: real(self, dict(kwargs)))

    return modify


def _in_time(database: Any, change: Callable[[], Any]) -> Any:
    """Make a change at once, or (while changes are slow) when they are settled; return the database."""
    if not _slow:
        return change()
    slow_one = _slow[-1]
    if slow_one.shown:
        change()

    def finish() -> None:
        if not slow_one.shown:
            change()
        database.status = "available"

    database.status = "modifying"
    slow_one.waiting.append(finish)
    return database
