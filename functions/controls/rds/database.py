"""What both controls of databases share: how one is named, read and changed, and when it can be.

An instance and a DB cluster are of two types with ARNs of their own. Neptune's and DocumentDB's come through the same
API and the same events, with the same ARNs.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from evenkeel.control import Call, CloudTrail, Config, Control, Grant, Merge, NotApplicable, NotReady, Stage, fits
from evenkeel.errors import ResourceMissingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.control import Context, Place, Resource, State
    from evenkeel.runtime.aws import Aws

INSTANCE = "arn:{partition}:rds:{region}:{account}:db:{id}"
CLUSTER = "arn:{partition}:rds:{region}:{account}:cluster:{id}"
RESOURCE_TYPES = "AWS::RDS::DBInstance, AWS::RDS::DBCluster"
INSTANCES = (INSTANCE.replace("{id}", "*"),)
CLUSTERS = (CLUSTER.replace("{id}", "*"),)
# Listing is authorized on every name (Service Authorization Reference, RDS: DescribeDBInstances is of resource db*).
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
# A call may rename, too: both names are looked at, for one of them is not there. The new one is kept in lower case (API
# reference, ModifyDBInstance and ModifyDBCluster). Where it comes in the maintenance window, the setting, which holds
# at once, is seen under the old name.
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
# A deployment's databases are named once they are there, at the latest by the call that switches over; until then only
# the source is. The fields are those of the API's BlueGreenDeployment; that CloudTrail writes them without that name,
# as it does for a DBInstance, is inferred, so both are read.
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

# Stored in lower case, of letters, digits and hyphens (API reference, CreateDBInstance). Another spelling of a name
# would be another ARN, which no scope and no exemption knows.
_NAME = re.compile(r"[a-z0-9-]{1,63}")
# AWS Config's rules name a database by its resource id (Systems Manager's runbook
# AWSConfigRemediation-EnableRDSInstanceDeletionProtection finds the name by it).
_RESOURCE_ID = re.compile(r"(db|cluster)-[A-Z0-9]{10,60}")
_OTHERS = {"neptune": "Neptune", "docdb": "DocumentDB"}

# States in which a change is tried. Only "available" promises to take it (RDS user guide, "Viewing Amazon RDS DB
# instance status"); the others last for hours or until somebody mends them, and AWS says itself whether it refuses.
_OPEN = frozenset({
    "available", "incompatible-network", "incompatible-option-group", "incompatible-parameters",
    "insufficient-capacity", "storage-full", "storage-initialization", "storage-optimization",
})  # fmt: skip
_DELETED = "the database is being deleted"
_NEVER_MADE = "the database was never completed"
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
    "stopped": "a stopped database takes no change; it is looked at again when it is started",
}


def is_database(arn: str) -> bool:
    """Say whether an ARN is an instance's or a DB cluster's, by its name or by its resource id."""
    name = _name(arn)
    of_type = fits(INSTANCE, arn) or fits(CLUSTER, arn)
    return of_type and bool(_NAME.fullmatch(name) or _RESOURCE_ID.fullmatch(name))


class DatabaseControl(Control):
    """A control of one setting of instances and DB clusters."""

    setting: ClassVar[str]
    """As RDS's answers and calls name it."""
    resource_type = RESOURCE_TYPES
    arn = ""
    appears_within = APPEARS_WITHIN
    busy_codes = BUSY_CODES
    gone_codes = GONE_CODES
    # What a call does not name stays as it is (API reference, ModifyDBInstance and ModifyDBCluster).
    merges = MappingProxyType(
        {
            "modify_db_instance": Merge(keys=("DBInstanceIdentifier",)),
            "modify_db_cluster": Merge(keys=("DBClusterIdentifier",)),
        }
    )

    def applies_to(self, arn: str) -> bool:
        """Say whether an ARN is an instance's or a DB cluster's."""
        return is_database(arn)

    def resolve(self, aws: Aws, resource: Resource) -> Resource:
        """Return a database by its ARN: rules of AWS Config know its resource id."""
        return resource if _NAME.fullmatch(_name(resource.arn)) else _by_resource_id(aws, resource)

    def read(self, aws: Aws, context: Context) -> State:
        """Read the setting, and what says whether it can be changed, in one call.

        Raises:
            ResourceMissingError: AWS answered without the database.
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
    """Say whether a database's ARN is a DB cluster's."""
    return fits(CLUSTER, arn)


def not_judged(state: State) -> NotApplicable | None:
    """Return why a database is none of RDS's controls' business, or nothing."""
    if state["Engine"] in _OTHERS:
        return NotApplicable(f"a database of {_OTHERS[state['Engine']]}, which only shares the API of RDS")
    return None


def unready(state: State) -> NotApplicable | NotReady | None:
    """Return why a database takes no change, ever or for now; nothing where it may be tried.

    Creating and restoring take minutes, of a large database hours. What is not ready after the six hours in which a
    request may come back ends in the dead-letter queue with this reason, and is redriven from there or swept.
    """
    status = state["Status"]
    if status in _LEFT_ALONE:
        return NotApplicable(_LEFT_ALONE[status])
    return None if status in _OPEN else NotReady(f"the database is {status}")


def is_custom(state: State) -> bool:
    """Say whether it is of RDS Custom, where a change from outside may end AWS's support of the instance."""
    engine: str = state["Engine"]
    return engine.startswith("custom-")


def is_aurora(state: State) -> bool:
    """Say whether it is of Aurora; any other engine's DB cluster is a Multi-AZ DB cluster."""
    engine: str = state["Engine"]
    return engine.startswith("aurora")


def modify(context: Context, setting: str, *, value: bool) -> Call:
    """Return the call that sets one setting of the database that was asked about, and nothing else.

    It never says ``ApplyImmediately``: both settings hold at once without (API reference, ModifyDBInstance and
    ModifyDBCluster; RDS user guide, "Settings for DB instances"), and with it everybody's pending changes would be
    applied, too, which may restart the database (RDS user guide, "Using the schedule modifications setting").
    """
    operation = f"modify_db_{'cluster' if is_cluster(context.resource.arn) else 'instance'}"
    [identifier] = DatabaseControl.merges[operation].keys
    return Call("rds", operation, {identifier: _name(context.resource.arn), setting: value})


def _name(arn: str) -> str:
    """Return what follows the type. Calls name the resource that was asked about, whatever a recorded state says."""
    return arn.split(":", 6)[-1]


def _by_resource_id(aws: Aws, resource: Resource) -> Resource:
    """Return the database of a resource id, which AWS assigns for good (API reference of both calls: filters).

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
    raise ResourceMissingError(f"{resource.arn}: RDS has no database of this resource id")
