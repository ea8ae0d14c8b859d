"""Where the engine keeps the tags of services that keep them as a list of pairs, by ARN."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Pairs = list[dict[str, str]]
"""Tags as the engine has them; changing the list changes the tags."""

_EC2_STORES = {
    "instance": "_instances", "volume": "_volumes", "natgateway": "_nat_gateways",
    "security-group": "_security_groups", "vpc": "_vpcs",
}  # fmt: skip
ID_PREFIXES = {"i-": "instance", "vol-": "volume", "nat-": "natgateway"}
"""Start of an id of EC2's to the type that its ARN names, for the types that are tagged."""


def store(module: str) -> Any:
    """Return the module of the engine that keeps a service's resources."""
    return importlib.import_module(f"ministack.services.{module}")


def _name(arn: str) -> str:
    """Return what follows the type in an ARN: ``shop/orders`` of ``…:repository/shop/orders``."""
    tail = arn.split(":", 5)[5]
    return tail.partition("/")[2] or tail.partition(":")[2]


def _ec2(arn: str) -> Pairs | None:
    ec2, kind, name = store("ec2"), arn.split(":", 5)[5].partition("/")[0], _name(arn)
    known = kind in _EC2_STORES and name in getattr(ec2, _EC2_STORES[kind])
    return _kept(ec2._tags, name) if known else None


def _ecr(arn: str) -> Pairs | None:
    repository = store("ecr")._repositories.get(_name(arn))
    return None if repository is None else _kept(repository, "tags")


def _ecs(arn: str) -> Pairs | None:
    ecs = store("ecs")
    return _kept(ecs._tags, arn) if _name(arn) in ecs._clusters else None


def _efs(arn: str) -> Pairs | None:
    system = store("efs")._file_systems.get(_name(arn))
    return None if system is None else _kept(system, "Tags")


def _rds(arn: str) -> Pairs | None:
    rds = store("rds")
    held = rds._clusters if ":cluster:" in arn else rds._instances
    return _kept(rds._tags, arn) if ":snapshot:" not in arn and _name(arn) in held else None


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
"""Service of an ARN to what finds its tags; None where there is no such resource."""


def every(service: str, place: str) -> Iterator[str]:
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


def read(arn: str) -> dict[str, str] | None:
    """Return a resource's tags, or None where there is no such resource."""
    pairs = LISTS[arn.split(":")[2]](arn)
    return None if pairs is None else {_part(pair, "key"): _part(pair, "value") for pair in pairs}


def write(arn: str, tags: dict[str, str]) -> None:
    """Give a resource that exists these tags and no others."""
    service = arn.split(":")[2]
    key, value = ("key", "value") if service in ("ecs", "states") else ("Key", "Value")
    pairs = LISTS[service](arn)
    if pairs is None:
        raise KeyError(arn)
    pairs[:] = [{key: name, value: text} for name, text in tags.items()]


def _part(pair: dict[str, str], part: str) -> str:
    return pair[part] if part in pair else pair[part.title()]
