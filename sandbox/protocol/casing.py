"""Spell parameters and results as CloudTrail does: member names with the first letter lowered, map keys as they are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
SECRET_NAMES = frozenset({"MasterUserPassword", "AuthToken", "Password", "TdeCredentialPassword"})
OMITTED_NAMES = frozenset({"SecretBinary", "SecretString", "Plaintext", "PrivateKeyPlaintext"})


def lower_first(name: str) -> str:
    """Lower the first letter and no other: ``SSESpecification`` becomes ``sSESpecification``."""
    return name[:1].lower() + name[1:]


def spell(value: Any, shape: Any) -> Any:
    """Return a parsed value as CloudTrail shows it, without secrets; members the model lacks are only lowered."""
    if shape is None:
        return value
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return _structure(value, shape)
    if kind == "list" and isinstance(value, list):
        return [spell(each, shape.member) for each in value]
    if kind == "map" and isinstance(value, dict):
        return {key: spell(each, shape.value) for key, each in value.items()}
    if kind == "timestamp":
        return moment(value, shape)
    return value


def _structure(value: dict[str, Any], shape: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, each in value.items():
        member = shape.members.get(name)
        if name in OMITTED_NAMES or (member is not None and _dropped(member)):
            continue
        if name in SECRET_NAMES or (member is not None and member.metadata.get("sensitive")):
            found[lower_first(name)] = HIDDEN
        else:
            found[lower_first(name)] = spell(each, member)
    return found


def _dropped(shape: Any) -> bool:
    """Say whether a member never appears: blobs, and whole maps or structures of secrets (Lambda's variables)."""
    if shape.type_name == "blob":
        return True
    return bool(shape.metadata.get("sensitive")) and shape.type_name in ("map", "structure", "list")


def moment(value: Any, shape: Any) -> Any:
    """Return a timestamp: ISO 8601 where the service sends text, else ``Nov 20, 2026, 9:16:05 AM``."""
    if isinstance(value, int | float):
        value = datetime.fromtimestamp(value, UTC)
    if not isinstance(value, datetime):
        return value
    at = value.astimezone(UTC)
    if shape.serialization.get("timestampFormat") == "iso8601":
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{at:%b} {at.day}, {at.year}, {at.hour % 12 or 12}:{at:%M:%S} {at:%p}"


def spell_ec2(value: Any, shape: Any) -> Any:
    """Return an EC2 value as CloudTrail shows classic actions: XML names, lists as ``{"items": [...]}``."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            _ec2_name(name, shape.members[name]): spell_ec2(each, shape.members[name])
            for name, each in value.items()
            if name in shape.members
        }
    if kind == "list" and isinstance(value, list):
        return {"items": [spell_ec2(each, shape.member) for each in value]} if value else {}
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    return value


def _ec2_name(name: str, shape: Any) -> str:
    plain = lower_first(str(shape.serialization.get("name", name)))
    return "_return" if plain == "return" else plain


def spell_wrapped(value: Any, shape: Any) -> Any:
    """Return an EC2 value as CloudTrail shows newer actions: form names, numbered elements, one of them plain."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            _form_name(name, shape.members[name]): spell_wrapped(each, shape.members[name])
            for name, each in value.items()
            if name in shape.members
        }
    if kind == "list" and isinstance(value, list):
        elements = [_numbered(spell_wrapped(each, shape.member), tag) for tag, each in enumerate(value, 1)]
        return elements[0] if len(elements) == 1 else elements
    return value


def _numbered(value: Any, tag: int) -> dict[str, Any]:
    return {**value, "tag": tag} if isinstance(value, dict) else {"content": value, "tag": tag}


def _form_name(name: str, shape: Any) -> str:
    """Return a member's name in a form of the ec2 protocol."""
    if "queryName" in shape.serialization:
        return str(shape.serialization["queryName"])
    plain = str(shape.serialization.get("name", name))
    return plain[:1].upper() + plain[1:]
