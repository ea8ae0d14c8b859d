"""CloudTrail's spelling of parameters and results: first letter of members in lower case, map keys unchanged."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
SECRET_NAMES = frozenset({"MasterUserPassword", "AuthToken", "Password", "TdeCredentialPassword"})
OMITTED_NAMES = frozenset({"SecretBinary", "SecretString", "Plaintext", "PrivateKeyPlaintext"})


def lower_first(name: str) -> str:
    """Return a name with its first letter in lower case: ``SSESpecification`` becomes ``sSESpecification``."""
    return name[:1].lower() + name[1:]


def spell(value: Any, shape: Any) -> Any:
    """Return a parsed value as CloudTrail shows it, without secrets."""
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
    """Return whether a member never appears: blobs, and whole maps or structures of secrets (Lambda's variables)."""
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
