"""Recognise a REST request's operation and parse its parameters: path, query string, headers and body."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote
from xml.etree import ElementTree as ET  # nosec B405 - as below

from sandbox.protocol import models
from sandbox.protocol.scalars import scalar


@dataclass(frozen=True)
class Target:
    """What a REST request aims at: its operation and the labels of its path."""

    operation: str
    labels: dict[str, str]


def match(service: str, method: str, raw_path: str, query_string: str, headers: dict[str, str]) -> Target | None:
    """Return the operation a request calls, or None when the service has no such route."""
    query = dict(parse_qsl(query_string, keep_blank_values=True))
    for route in models.routes(service):
        if route.method != method or not all(name in headers for name in route.headers):
            continue
        found = route.path.fullmatch(raw_path)
        if found and all(_present(query, name, value) for name, value in route.literals):
            labels = (unquote(group) for group in found.groups())
            return Target(route.operation, dict(zip(route.labels, labels, strict=True)))
    return None


def _present(query: dict[str, str], name: str, value: str | None) -> bool:
    return name in query and (value is None or query[name] == value)


def parse(target: Target, shape: Any, query_string: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return the parameters with the model's member names; absent members are left out."""
    pairs = parse_qsl(query_string, keep_blank_values=True)
    query = dict(pairs)
    found: dict[str, Any] = {}
    for name, member in models.members(shape):
        place, wire = member.serialization.get("location"), member.serialization.get("name", name)
        source = {"uri": target.labels, "querystring": query, "header": headers}.get(place or "")
        if place == "querystring" and member.type_name == "list" and wire in query:
            found[name] = [value for key, value in pairs if key == wire]
        elif source is not None and _spelled(place, wire) in source:
            found[name] = scalar(source[_spelled(place, wire)], member)
        elif place == "headers":
            found |= _prefixed(name, wire, headers)
    return found | _body(shape, body)


def _spelled(place: str | None, wire: str) -> str:
    return wire.lower() if place == "header" else wire


def _prefixed(name: str, prefix: str, headers: dict[str, str]) -> dict[str, dict[str, str]]:
    start = prefix.lower()
    found = {key[len(start) :]: value for key, value in headers.items() if key.startswith(start)}
    return {name: found} if found else {}


def _body(shape: Any, body: bytes) -> dict[str, Any]:
    if shape is None or not body:
        return {}
    payload = shape.serialization.get("payload")
    if payload and shape.members[payload].type_name in ("blob", "string"):
        return {payload: body.decode("utf-8", errors="replace")}
    text = body.lstrip()
    if text[:1] == b"{":
        return _json(payload, text)
    if text[:1] == b"<":
        return {payload: xml(text)} if payload else _content(xml(text))
    return {}


def _json(payload: str | None, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return {payload: found} if payload else dict(found)


def _content(document: dict[str, Any]) -> dict[str, Any]:
    """Return what is inside a document's root element."""
    inner: Any = next(iter(document.values()), {})
    return {name: value for name, value in inner.items() if name != "xmlns"} if isinstance(inner, dict) else {}


def xml(text: bytes) -> dict[str, Any]:
    """Return an XML document as CloudTrail shows S3's: element names kept, one child plain, several a list."""
    try:
        root = ET.fromstring(text)  # noqa: S314  # nosec B314 - only what a local client just sent
    except ET.ParseError:
        return {}
    namespace, name = _split(root.tag)
    content = _element(root)
    if isinstance(content, dict) and namespace:
        content = {"xmlns": namespace, **content}
    return {name: content}


def _element(element: ET.Element) -> Any:
    if len(element) == 0:
        return element.text or ""
    found: dict[str, Any] = {}
    for child in element:
        name, value = _split(child.tag)[1], _element(child)
        if name in found:
            earlier = found[name] if isinstance(found[name], list) else [found[name]]
            found[name] = [*earlier, value]
        else:
            found[name] = value
    return found


def _split(tag: str) -> tuple[str, str]:
    namespace, brace, name = tag.rpartition("}")
    return namespace.lstrip("{"), name if brace else tag
