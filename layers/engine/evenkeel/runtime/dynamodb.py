"""DynamoDB's wire form of items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from evenkeel import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping

_to_wire = TypeSerializer().serialize
_from_wire = TypeDeserializer().deserialize


def wire(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item in DynamoDB's wire form."""
    return {name: _to_wire(canonical.plain(value)) for name, value in item.items()}


def unwire(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item of DynamoDB's wire form as plain data, whole numbers as ``int``."""
    plain: dict[str, Any] = canonical.plain({name: _from_wire(value) for name, value in item.items()})
    return plain
