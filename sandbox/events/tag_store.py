"""Tags in the engine's own stores, by ARN: read for tag change events, written for the Tagging API."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RESOURCE_TYPES = {"s3": "bucket", "sns": "topic", "sqs": "queue"}
"""Service to the ``resource-type`` of its tag change events, where the ARN has no type."""

ARN_PARTS = 6
SEPARATOR = re.compile(r"[/:]")


Pairs = list[dict[str, str]]
"""Tags in the engine's own list; changing the list changes the tags."""

_EC2_STORES = {
    "instance": "_instances", "volume": "_volumes", "natgateway": "_nat_gateways",
    "security-group": "_security_groups", "vpc": "_vpcs",
}  # fmt: skip
ID_PREFIXES = {"i-": "instance", "vol-": "volume", "nat-": "natgateway"}
"""Prefix of an EC2 id to the type in its ARN, for the types that are tagged."""


def store(module: str) -> Any:
    """Return the module of the engine that keeps a service's resources."""
    return importlib.import_module(f"ministack.services.{module}")


def _last(arn: str) -> str:
    """Return what follows the type in an ARN: ``shop/orders`` of ``…:repository/shop/orders``."""
    tail = arn.split(":", 5)[5]
    return tail.partition("/")[2] or tail.partition(":")[2]


def _ec2(arn: str) -> Pairs | None:
    ec2, kind, name = store("ec2"), arn.split(":", 5)[5].partition("/")[0], _last(arn)
    known = kind in _EC2_STORES and name in getattr(ec2, _EC2_STORES[kind])
    return _kept(ec2._tags, name) if known else None


def _ecr(arn: str) -> Pairs | None:
    repository = store("ecr")._repositories.get(_last(arn))
    return None if repository is None else _kept(repository, "tags")


def _ecs(arn: str) -> Pairs | None:
    ecs = store("ecs")
    return _kept(ecs._tags, arn) if _last(arn) in ecs._clusters else None


def _efs(arn: str) -> Pairs | None:
    system = store("efs")._file_systems.get(_last(arn))
    return None if system is None else _kept(system, "Tags")


def _rds(arn: str) -> Pairs | None:
    rds = store("rds")
    held = rds._clusters if ":cluster:" in arn else rds._instances
    return _kept(rds._tags, arn) if ":snapshot:" not in arn and _last(arn) in held else None


def _secret(arn: str) -> Pairs | None:
    for secret in store("secretsmanager")._secrets.values():
        if secret["ARN"] == arn:
            return _kept(secret, "Tags")
    return None


def _state_machine(arn: str) -> Pairs | None:
    machines = store("stepfunctions")
    return _kept(machines._tags, arn) if arn in machines._state_machines else None


def _kept(holder: Any, key: str) -> Pairs:
    pairs: Pairs = holder.setdefault(key, [])
    return pairs


LISTS: dict[str, Callable[[str], Pairs | None]] = {
    "ec2": _ec2, "ecr": _ecr, "ecs": _ecs, "elasticfilesystem": _efs, "rds": _rds, "secretsmanager": _secret,
    "states": _state_machine,
}  # fmt: skip
"""Finders of the tags that a service keeps as pairs, by its name in ARNs; they return None for an unknown resource."""


def arns_of(service: str, place: str) -> Iterator[str]:
    """Yield the ARNs of a service's resources; ``place`` is region and account, ``eu-west-1:123456789012``."""
    if service == "ec2":
        for kind, held in _EC2_STORES.items():
            yield from (f"arn:aws:ec2:{place}:{kind}/{name}" for name in getattr(store("ec2"), held))
    elif service == "rds":
        yield from (instance["DBInstanceArn"] for instance in store("rds")._instances.values())
        yield from (cluster["DBClusterArn"] for cluster in store("rds")._clusters.values())
    elif service == "secretsmanager":
        yield from (secret["ARN"] for secret in store("secretsmanager")._secrets.values())
    elif service == "states":
        yield from store("stepfunctions")._state_machines


def _read_list(arn: str) -> dict[str, str] | None:
    pairs = LISTS[arn.split(":")[2]](arn)
    return None if pairs is None else {_part(pair, "key"): _part(pair, "value") for pair in pairs}


def write(arn: str, tags: dict[str, str]) -> None:
    """Replace the tags of a resource; raise KeyError if it does not exist."""
    service = arn.split(":")[2]
    key, value = ("key", "value") if service in ("ecs", "states") else ("Key", "Value")
    pairs = LISTS[service](arn)
    if pairs is None:
        raise KeyError(arn)
    pairs[:] = [{key: name, value: text} for name, text in tags.items()]


def _part(pair: dict[str, str], part: str) -> str:
    return pair[part] if part in pair else pair[part.title()]


def _tail(arn: str) -> str:
    return arn.split(":", 5)[5]


def _kms(arn: str) -> dict[str, str] | None:
    record = store("kms")._resolve_key(arn)
    return None if record is None else {each["TagKey"]: each["TagValue"] for each in record.get("Tags") or []}


def _dynamodb(arn: str) -> dict[str, str] | None:
    dynamodb = store("dynamodb")
    table = dynamodb._tables.get(_tail(arn).removeprefix("table/"))
    if table is None:
        return None
    return dict(table.get("tags") or {}) | {each["Key"]: each["Value"] for each in dynamodb._tags.get(arn) or []}


def _logs(arn: str) -> dict[str, str] | None:
    group = store("cloudwatch_logs")._log_groups.get(_tail(arn).removeprefix("log-group:"))
    return None if group is None else dict(group.get("tags") or {})


def _s3(arn: str) -> dict[str, str] | None:
    s3, name = store("s3"), _tail(arn)
    return dict(s3._bucket_tags.get(name) or {}) if name in s3._buckets else None


def _lambda(arn: str) -> dict[str, str] | None:
    function = store("lambda_svc")._functions.get(_tail(arn).removeprefix("function:").partition(":")[0])
    return None if function is None else dict(function.get("tags") or {})


def _sns(arn: str) -> dict[str, str] | None:
    topic = store("sns")._topics.get(arn)
    return None if topic is None else dict(topic.get("tags") or {})


def _sqs(arn: str) -> dict[str, str] | None:
    for queue in store("sqs")._queues.values():
        if queue.get("attributes", {}).get("QueueArn") == arn:
            return dict(queue.get("tags") or {})
    return None


READERS: dict[str, Callable[[str], dict[str, str] | None]] = {
    "kms": _kms, "dynamodb": _dynamodb, "logs": _logs, "s3": _s3, "lambda": _lambda, "sns": _sns, "sqs": _sqs,
    **dict.fromkeys(LISTS, _read_list),
}  # fmt: skip


def resource_type(arn: str) -> str:
    """Return the ``resource-type`` of a resource's tag change events."""
    return RESOURCE_TYPES.get(arn.split(":")[2]) or SEPARATOR.split(_tail(arn), maxsplit=1)[0]


def read(arn: str) -> dict[str, str] | None:
    """Return the tags of a resource; None if it does not exist or its service has no reader."""
    parts = arn.split(":", 5)
    reader = READERS.get(parts[2]) if len(parts) == ARN_PARTS else None
    return reader(arn) if reader else None
