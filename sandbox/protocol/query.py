"""Parse the form of a query- or ec2-protocol request into the parameters a boto3 caller passed."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from sandbox.protocol.scalars import scalar

Form = dict[str, str]


def form_of(body: bytes, query_string: str) -> Form:
    """Return the form's fields, those of the body first."""
    fields = dict(parse_qsl(query_string, keep_blank_values=True))
    fields.update(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))
    return fields


def parse(form: Form, shape: Any, *, ec2: bool) -> dict[str, Any]:
    """Return the structure that a form carries, with the model's member names; absent members are left out."""
    if shape is None:
        return {}
    found = _structure(form, shape, "", ec2=ec2)
    return found if isinstance(found, dict) else {}


def _value(form: Form, shape: Any, prefix: str, *, ec2: bool) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return _structure(form, shape, prefix, ec2=ec2)
    if kind == "list":
        return _list(form, shape, prefix, ec2=ec2)
    if kind == "map":
        return _map(form, shape, prefix, ec2=ec2)
    return scalar(form[prefix], shape) if prefix in form else None


def _structure(form: Form, shape: Any, prefix: str, *, ec2: bool) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        path = ".".join(filter(None, (prefix, wire_name(name, member, ec2=ec2))))
        if any(key == path or key.startswith(f"{path}.") for key in form):
            found[name] = _value(form, member, path, ec2=ec2)
    return found or None


def wire_name(name: str, shape: Any, *, ec2: bool) -> str:
    """Return the name of a member in the form."""
    if not ec2:
        inner = shape.member.serialization if shape.type_name == "list" and flattened(shape) else {}
        return str(inner.get("name") or shape.serialization.get("name", name))
    if "queryName" in shape.serialization:
        return str(shape.serialization["queryName"])
    plain = str(shape.serialization.get("name", name))
    return plain[:1].upper() + plain[1:]


def flattened(shape: Any) -> bool:
    """Say whether a list or map has no element of its own around its entries."""
    return bool(shape.serialization.get("flattened"))


def _list(form: Form, shape: Any, prefix: str, *, ec2: bool) -> list[Any]:
    base = prefix
    if not ec2 and not flattened(shape):
        base = f"{prefix}.{shape.member.serialization.get('name', 'member')}"
    return [_value(form, shape.member, f"{base}.{number}", ec2=ec2) for number in _numbers(form, base)]


def _map(form: Form, shape: Any, prefix: str, *, ec2: bool) -> dict[str, Any]:
    base = prefix if flattened(shape) else f"{prefix}.entry"
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    found: dict[str, Any] = {}
    for number in _numbers(form, base):
        key = form.get(f"{base}.{number}.{key_name}", "")
        found[key] = _value(form, shape.value, f"{base}.{number}.{value_name}", ec2=ec2)
    return found


def _numbers(form: Form, base: str) -> list[int]:
    start = f"{base}."
    heads = {key[len(start) :].partition(".")[0] for key in form if key.startswith(start)}
    return sorted(int(head) for head in heads if head.isdigit())
