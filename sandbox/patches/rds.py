"""RDS's databases, which take time to be created and changed, refuse changes meanwhile, and need no container.

Source: the RDS API reference of CreateDBInstance, CreateDBCluster, ModifyDBInstance and ModifyDBCluster; the RDS user
guide, "Viewing Amazon RDS DB instance status"; the Service Authorization Reference of RDS.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from sandbox.patches.hooks import Answer, module, succeeded, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[dict[str, Any]], Answer]

OPEN = frozenset({"available", "storage-optimization"})
MAKES_INSTANCE = ("CreateDBInstance", "CreateDBInstanceReadReplica", "RestoreDBInstanceFromDBSnapshot")
LISTS = {"DescribeDBInstances": "db", "DescribeDBClusters": "cluster"}
"""Listings are authorized on every name of their type."""
IDENTIFIERS = ("DBInstanceIdentifier", "NewDBInstanceIdentifier", "DBClusterIdentifier", "NewDBClusterIdentifier")
"""Identifiers that are stored in lower case and found in any case."""


@dataclass(frozen=True)
class _Passing:
    """A database in a state that ends at ``until`` (monotonic seconds)."""

    record: dict[str, Any]
    field: str
    status: str
    until: float


_passing: list[_Passing] = []
_lock = threading.Lock()


def apply(seconds: float) -> None:
    """Patch the engine's RDS; databases are ``creating`` and ``modifying`` for ``seconds``."""
    rds = module("services.rds")
    wrap(rds, "_get_docker", lambda _: None)
    wrap(rds, "_handle_request_sync", _handle)
    wrap(rds, "_cluster_xml", _cluster_xml)
    wrap(module("core.iam_actions"), "extract_resource_arn", _resource)
    for operation in MAKES_INSTANCE:
        _wrap_action(operation, _making_instance(seconds))
    _wrap_action("CreateDBCluster", _making_cluster(seconds))
    _wrap_action("ModifyDBInstance", _modifying_instance(seconds))
    _wrap_action("ModifyDBCluster", _modifying_cluster(seconds))


def _wrap_action(operation: str, wrapper: Callable[[Handler, dict[str, Any]], Answer]) -> None:
    """Replace an operation in the engine's table of operations."""
    actions = module("services.rds")._ACTION_MAP
    original = actions[operation]
    actions[operation] = lambda params: wrapper(original, params)


def _handle(original: Callable[..., Answer], *given: Any) -> Answer:
    """Handle a request, after the end of all states whose time is over."""
    now = time.monotonic()
    with _lock:
        for each in [each for each in _passing if each.until <= now]:
            _passing.remove(each)
            if each.record[each.field] == each.status:
                each.record[each.field] = "available"
    return original(*given)


def _begin(record: dict[str, Any], field: str, status: str, seconds: float) -> None:
    if seconds > 0:
        record[field] = status
        with _lock:
            _passing.append(_Passing(record, field, status, time.monotonic() + seconds))


def _lower(params: dict[str, Any]) -> dict[str, Any]:
    return {name: [each.lower() for each in value] if name in IDENTIFIERS else value for name, value in params.items()}


def _given(params: dict[str, Any], name: str) -> str:
    return str((params.get(name) or [""])[0])


def _is_public(params: dict[str, Any]) -> bool:
    """Return a database's public access: as requested, or the default of engines other than Aurora."""
    asked = _given(params, "PubliclyAccessible")
    return asked == "true" if asked else _given(params, "DBSubnetGroupName") in {"", "default"}


def _creating(answer: Answer, field: str, seconds: float) -> Answer:
    """Return a creation's answer with the database's state."""
    if seconds <= 0:
        return answer
    status, headers, body = answer
    return status, headers, body.replace(f"<{field}>available<".encode(), f"<{field}>creating<".encode())


def _making_instance(seconds: float) -> Callable[[Handler, dict[str, Any]], Answer]:
    def make(original: Handler, given: dict[str, Any]) -> Answer:
        params, rds = _lower(given), module("services.rds")
        if not _given(params, "DBClusterIdentifier"):
            params["PubliclyAccessible"] = ["true" if _is_public(params) else "false"]
        answer = original(params)
        if succeeded(answer):
            _begin(rds._instances[_given(params, "DBInstanceIdentifier")], "DBInstanceStatus", "creating", seconds)
        return _creating(answer, "DBInstanceStatus", seconds)

    return make


def _making_cluster(seconds: float) -> Callable[[Handler, dict[str, Any]], Answer]:
    def make(original: Handler, given: dict[str, Any]) -> Answer:
        params, rds = _lower(given), module("services.rds")
        answer = original(params)
        if succeeded(answer):
            record = rds._clusters[_given(params, "DBClusterIdentifier")]
            if not record["Engine"].startswith("aurora"):
                record["PubliclyAccessible"] = _is_public(params)
            _begin(record, "Status", "creating", seconds)
        return _creating(answer, "Status", seconds)

    return make


def _modifying_instance(seconds: float) -> Callable[[Handler, dict[str, Any]], Answer]:
    def modify(original: Handler, given: dict[str, Any]) -> Answer:
        params, rds = _lower(given), module("services.rds")
        record = rds._resolve_instance(_given(params, "DBInstanceIdentifier"))
        refusal = _instance_refuses(record, params) if record else None
        answer = refusal or original(params)
        if record and succeeded(answer):
            _begin(record, "DBInstanceStatus", "modifying", seconds)
        return answer

    return modify


def _instance_refuses(record: dict[str, Any], params: dict[str, Any]) -> Answer | None:
    if record["DBInstanceStatus"] not in OPEN:
        return _error("InvalidDBInstanceState", "Database instance is not in available state.")
    if record.get("DBClusterIdentifier") and "DeletionProtection" in params:
        message = "Deletion Protection can only be applied on the Cluster level, not for individual instances"
        return _error("InvalidParameterCombination", message)
    return None


def _error(code: str, message: str) -> Answer:
    answer: Answer = module("services.rds")._error(code, message, 400)
    return answer


def _modifying_cluster(seconds: float) -> Callable[[Handler, dict[str, Any]], Answer]:
    def modify(original: Handler, given: dict[str, Any]) -> Answer:
        params, rds = _lower(given), module("services.rds")
        record = rds._clusters.get(_given(params, "DBClusterIdentifier"))
        if record and record["Status"] not in OPEN:
            message = f"DB cluster is not available for modification with status {record['Status']}"
            return _error("InvalidDBClusterStateFault", message)
        answer = original(params)
        if record and succeeded(answer):
            _begin(record, "Status", "modifying", seconds)
        return answer

    return modify


def _cluster_xml(original: Callable[[dict[str, Any]], str], record: dict[str, Any]) -> str:
    """Return a cluster's XML with the public access of a Multi-AZ DB cluster, which the engine drops."""
    if "PubliclyAccessible" not in record:
        return original(record)
    return f"{original(record)}<PubliclyAccessible>{str(record['PubliclyAccessible']).lower()}</PubliclyAccessible>"


def _resource(original: Callable[..., Any], *given: Any) -> Any:
    """Return the ARN that a listing is authorized on."""
    found = original(*given)
    if given[0] != "rds" or found != "*":
        return found
    _, _, _, _, body, query, region, account = given
    operation = _given(query or {}, "Action") or _given(parse_qs(bytes(body or b"").decode()), "Action")
    return f"arn:aws:rds:{region}:{account}:{LISTS[operation]}:*" if operation in LISTS else found
