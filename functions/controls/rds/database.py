"""Shared by the controls of databases: naming, reading and changing a database, and whether it can be changed now.

Instances and DB clusters are two types with ARNs of their own. Those of Neptune and DocumentDB use the same API, the
same events and the same ARNs.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from evenkeel.control import (
    Aws,
    Call,
    CloudTrail,
    Config,
    Context,
    Control,
    Grant,
    Merge,
    NotApplicable,
    NotReady,
    Place,
    Resource,
    ResourceMissingError,
    Stage,
    State,
    fits,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTANCE = "arn:{partition}:rds:{region}:{account}:db:{id}"
CLUSTER = "arn:{partition}:rds:{region}:{account}:cluster:{id}"
RESOURCE_TYPES = "AWS::RDS::DBInstance, AWS::RDS::DBCluster"
INSTANCES = (INSTANCE.replace("{id}", "*"),)
CLUSTERS = (CLUSTER.replace("{id}", "*"),)
# Listing is authorized on all names (Service Authorization Reference, RDS: DescribeDBInstances has resource db*).
READ_GRANTS = (
    Grant(Stage.READ, ("rds:DescribeDBInstances",), on=INSTANCES),
    Grant(Stage.READ, ("rds:DescribeDBClusters",), on=CLUSTERS),
)

_SOURCE = "rds.amazonaws.com"
_INSTANCE_AT = "responseElements.dBInstanceArn || requestParameters.dBInstanceIdentifier"
_CLUSTER_AT = "responseElements.dBClusterArn || requestParameters.dBClusterIdentifier"
CREATED = (
    CloudTrail(
        _SOURCE,
        (
            "CreateDBInstance",
            "CreateDBInstanceReadReplica",
            "RestoreDBInstanceFromDBSnapshot",
            "RestoreDBInstanceFromS3",
            "RestoreDBInstanceToPointInTime",
        ),
        at=f"{_INSTANCE_AT} || requestParameters.targetDBInstanceIdentifier",
        creates=True,
        arn=INSTANCE,
        lower_case=True,
    ),
    CloudTrail(
        _SOURCE,
        ("CreateDBCluster", "RestoreDBClusterFromS3", "RestoreDBClusterFromSnapshot", "RestoreDBClusterToPointInTime"),
        at=_CLUSTER_AT,
        creates=True,
        arn=CLUSTER,
        lower_case=True,
    ),
)
INSTANCE_CHANGED = CloudTrail(
    _SOURCE, ("ModifyDBInstance", "StartDBInstance"), at=_INSTANCE_AT, arn=INSTANCE, lower_case=True
)
CLUSTER_CHANGED = CloudTrail(
    _SOURCE, ("ModifyDBCluster", "StartDBCluster"), at=_CLUSTER_AT, arn=CLUSTER, lower_case=True
)
# The call may also rename: both names are checked, since only one of them exists. AWS stores the new name in lower case
# (API reference, ModifyDBInstance and ModifyDBCluster). If the rename waits for the maintenance window, the setting,
# which takes effect at once, is read under the old name.
INSTANCE_RENAMED = CloudTrail(
    _SOURCE,
    ("ModifyDBInstance",),
    at="requestParameters.newDBInstanceIdentifier",
    unless="!(requestParameters.newDBInstanceIdentifier) && 'not renamed'",
    creates=True,
    arn=INSTANCE,
    lower_case=True,
)
CLUSTER_RENAMED = CloudTrail(
    _SOURCE,
    ("ModifyDBCluster",),
    at="requestParameters.newDBClusterIdentifier",
    unless="!(requestParameters.newDBClusterIdentifier) && 'not renamed'",
    creates=True,
    arn=CLUSTER,
    lower_case=True,
)
# Events name a deployment's green databases once they exist, at the latest in the switchover call; before that they
# name only the source. The fields are those of the API's BlueGreenDeployment. That CloudTrail leaves that name out, as
# it does for a DBInstance, is inferred, so both forms are read.
_DEPLOYMENT = "responseElements.[@, blueGreenDeployment][]"
_GREEN = f"{_DEPLOYMENT}.[target, switchoverDetails[].targetMember][][]"
_BLUE = f"{_DEPLOYMENT}.[source, switchoverDetails[].sourceMember][][]"
BLUE_GREEN = tuple(
    trigger
    for arn in (INSTANCE, CLUSTER)
    for trigger in (
        CloudTrail(
            _SOURCE, ("CreateBlueGreenDeployment",), at=f"{_GREEN} || requestParameters.source", creates=True, arn=arn
        ),
        CloudTrail(_SOURCE, ("SwitchoverBlueGreenDeployment",), at=f"[{_GREEN}, {_BLUE}][]", arn=arn),
    )
)
APPEARS_WITHIN = timedelta(minutes=30)
"""A new name takes about ten minutes (RDS user guide, "Renaming a DB instance")."""
RECORDED = (Config("AWS::RDS::DBInstance", arn=INSTANCE), Config("AWS::RDS::DBCluster", arn=CLUSTER))

# API reference of the codes: ModifyDBInstance, ModifyDBCluster, DescribeDBInstances, DescribeDBClusters. CloudTrail and
# some answers spell the instance's with "Fault", too.
BUSY_CODES = frozenset({"InvalidDBInstanceState", "InvalidDBInstanceStateFault", "InvalidDBClusterStateFault"})
GONE_CODES = frozenset({"DBInstanceNotFound", "DBInstanceNotFoundFault", "DBClusterNotFoundFault"})

# AWS stores names in lower case, as letters, digits and hyphens (API reference, CreateDBInstance). Another spelling
# would be another ARN, which matches no scope and no exemption.
_NAME = re.compile(r"[a-z0-9-]{1,63}")
# AWS Config's rules identify a database by its resource id (Systems Manager's runbook
# AWSConfigRemediation-EnableRDSInstanceDeletionProtection finds the name by it).
_RESOURCE_ID = re.compile(r"(db|cluster)-[A-Z0-9]{10,60}")
_OTHERS = {"neptune": "Neptune", "docdb": "DocumentDB"}

# States in which a change is tried. Only "available" is sure to accept it (RDS user guide, "Viewing Amazon RDS DB
# instance status"); the others last for hours or until somebody fixes them, and AWS refuses by itself if it must.
_OPEN = frozenset({
    "available", "incompatible-network", "incompatible-option-group", "incompatible-parameters",
    "insufficient-capacity", "storage-full", "storage-initialization", "storage-optimization",
})  # fmt: skip
_DELETED = "the database is being deleted"
_NEVER_MADE = "the database was never fully created"
_NO_KEY = "the database's key cannot be used; restore access to the key first"
_LEFT_ALONE = {
    "delete-precheck": _DELETED,
    "deleting": _DELETED,
    "cloning-failed": _NEVER_MADE,
    "incompatible-create": _NEVER_MADE,
    "incompatible-restore": _NEVER_MADE,
    "migration-failed": _NEVER_MADE,
    "restore-error": _NEVER_MADE,
    "failed": "the database has failed; restore it from a backup",
    "inaccessible-encryption-credentials": _NO_KEY,
    "inaccessible-encryption-credentials-recoverable": _NO_KEY,
    "stopped": "a stopped database cannot be changed; it is checked again when it is started",
}


def is_database(arn: str) -> bool:
    """Return whether an ARN is that of an instance or a DB cluster, by name or by resource id."""
    name = _name(arn)
    of_type = fits(INSTANCE, arn) or fits(CLUSTER, arn)
    return of_type and bool(_NAME.fullmatch(name) or _RESOURCE_ID.fullmatch(name))


class DatabaseControl(Control):
    """A control of one setting of instances and DB clusters."""

    setting: ClassVar[str]
    """Its name in RDS's answers and calls."""
    resource_type = RESOURCE_TYPES
    arn = ""
    appears_within = APPEARS_WITHIN
    busy_codes = BUSY_CODES
    gone_codes = GONE_CODES
    # A call changes only the settings it names (API reference, ModifyDBInstance and ModifyDBCluster).
    merges = MappingProxyType(
        {
            "modify_db_instance": Merge(keys=("DBInstanceIdentifier",)),
            "modify_db_cluster": Merge(keys=("DBClusterIdentifier",)),
        }
    )

    def applies_to(self, arn: str) -> bool:
        """Return whether an ARN is that of an instance or a DB cluster."""
        return is_database(arn)

    def resolve(self, aws: Aws, resource: Resource) -> Resource:
        """Return a database under its own ARN: rules of AWS Config use its resource id."""
        return resource if _NAME.fullmatch(_name(resource.arn)) else _by_resource_id(aws, resource)

    def read(self, aws: Aws, context: Context) -> State:
        """Read the setting, and whether it can be changed now, in one call.

        Raises:
            ResourceMissingError: there is no such database.
        """
        arn = context.resource.arn
        name = _name(arn)
        if is_cluster(arn):
            found, status = aws("rds", "describe_db_clusters", DBClusterIdentifier=name)["DBClusters"], "Status"
        else:
            found, status = (
                aws("rds", "describe_db_instances", DBInstanceIdentifier=name)["DBInstances"],
                "DBInstanceStatus",
            )
        if not found:
            raise ResourceMissingError(f"{arn}: RDS has no such database")
        return {
            "Engine": found[0]["Engine"],
            "Status": found[0][status],
            "MemberOf": "" if is_cluster(arn) else found[0].get("DBClusterIdentifier") or "",
            self.setting: bool(found[0].get(self.setting)),
        }

    def essence(self, state: State) -> Any:
        """Compare the setting."""
        return state.get(self.setting)

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List the instances and DB clusters of RDS itself."""
        for page in aws.pages("rds", "describe_db_instances"):
            for one in page["DBInstances"]:
                if one["Engine"] not in _OTHERS:
                    yield place.arn(INSTANCE, one["DBInstanceIdentifier"])
        for page in aws.pages("rds", "describe_db_clusters"):
            for one in page["DBClusters"]:
                if one["Engine"] not in _OTHERS:
                    yield place.arn(CLUSTER, one["DBClusterIdentifier"])


def is_cluster(arn: str) -> bool:
    """Return whether a database's ARN is that of a DB cluster."""
    return fits(CLUSTER, arn)


def not_judged(state: State) -> NotApplicable | None:
    """Return why these controls do not apply to a database, or None."""
    if state["Engine"] in _OTHERS:
        return NotApplicable(f"a {_OTHERS[state['Engine']]} database, which only shares the API of RDS")
    return None


def unready(state: State) -> NotApplicable | NotReady | None:
    """Return why a database cannot be changed, now or ever; None if a change may be tried.

    Creating or restoring takes minutes, and hours for a large database. If the database is not ready after the six
    hours in which a request is returned to the queue, the request becomes a dead letter with this reason; redrive it
    from there, or leave it to the next sweep.
    """
    status = state["Status"]
    if status in _LEFT_ALONE:
        return NotApplicable(_LEFT_ALONE[status])
    return None if status in _OPEN else NotReady(f"the database is {status}")


def is_custom(state: State) -> bool:
    """Return whether it is RDS Custom, where a change from outside may end AWS's support for the instance."""
    engine: str = state["Engine"]
    return engine.startswith("custom-")


def is_aurora(state: State) -> bool:
    """Return whether it is Aurora; a DB cluster of any other engine is a Multi-AZ DB cluster."""
    engine: str = state["Engine"]
    return engine.startswith("aurora")


def modify(context: Context, setting: str, *, value: bool) -> Call:
    """Return the call that changes one setting of the requested database, and nothing else.

    It never sets ``ApplyImmediately``: both settings take effect at once without it (API reference, ModifyDBInstance
    and ModifyDBCluster; RDS user guide, "Settings for DB instances"). With it, all pending changes would be applied as
    well, which may restart the database (RDS user guide, "Using the schedule modifications setting").
    """
    operation = f"modify_db_{'cluster' if is_cluster(context.resource.arn) else 'instance'}"
    [identifier] = DatabaseControl.merges[operation].keys
    return Call("rds", operation, {identifier: _name(context.resource.arn), setting: value})


def _name(arn: str) -> str:
    """Return the name in an ARN: what follows the type."""
    return arn.split(":", 6)[-1]


def _by_resource_id(aws: Aws, resource: Resource) -> Resource:
    """Return the database with a resource id, which never changes (API reference of both calls: filters).

    Raises:
        ResourceMissingError: there is none.
    """
    name = _name(resource.arn)
    if is_cluster(resource.arn):
        wanted, an_id, an_arn = "db-cluster-resource-id", "DbClusterResourceId", "DBClusterArn"
        found = aws("rds", "describe_db_clusters", Filters=[{"Name": wanted, "Values": [name]}])["DBClusters"]
    else:
        wanted, an_id, an_arn = "dbi-resource-id", "DbiResourceId", "DBInstanceArn"
        found = aws("rds", "describe_db_instances", Filters=[{"Name": wanted, "Values": [name]}])["DBInstances"]
    for each in found:
        if each[an_id] == name:
            return replace(resource, arn=each[an_arn])
    raise ResourceMissingError(f"{resource.arn}: RDS has no database with this resource id")
