"""Recognise the AWS call in an HTTP request: service, operation, region, caller and parameters."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from sandbox.protocol import models, query, rest

if TYPE_CHECKING:
    from botocore.model import OperationModel

CREDENTIAL = re.compile(r"Credential=(?P<key>[^/,]+)/\d{8}/(?P<region>[^/]*)/(?P<service>[^/]+)/aws4_request")
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came over the wire."""

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Call:
    """An AWS call. ``model`` is None for services whose calls the sandbox does not turn into events."""

    service: str
    operation: str
    region: str
    access_key: str
    request: HttpRequest
    model: OperationModel | None = None
    labels: dict[str, str] | None = None

    def parameters(self) -> dict[str, Any]:
        """Parse the request's parameters; keys are the model's member names (S3 bodies keep their XML names)."""
        if self.model is None:
            return {}
        shape, protocol = self.model.input_shape, protocol_of(self)
        if protocol in ("query", "ec2"):
            form = query.form_of(self.request.body, self.request.query_string)
            return query.parse(form, shape, ec2=protocol == "ec2")
        if protocol == "json":
            return _json(self.request.body)
        target = rest.Target(self.operation, self.labels or {})
        return rest.parse(target, shape, self.request.query_string, self.request.headers, self.request.body)


def protocol_of(call: Call) -> str:
    """Return the protocol of this very request: a service may speak two (SQS: json and query)."""
    if "x-amz-target" in call.request.headers:
        return "json"
    if call.request.headers.get("content-type", "").startswith(FORM):
        return "ec2" if call.service == "ec2" else "query"
    return str(call.model.service_model.protocol) if call.model else ""


def recognise(request: HttpRequest, recorded: frozenset[str]) -> Call | None:
    """Return the AWS call in a request, or None when it is not signed as one."""
    scope = _scope(request)
    if scope is None:
        return None
    access_key, region, signing_name = scope
    names = [name for name in models.candidates(signing_name) if name in recorded]
    for name in names:
        found = _modelled(name, request)
        if found is not None:
            model, labels = found
            return Call(name, model.name, region, access_key, request, model, labels)
    return Call(models.candidates(signing_name)[-1], _plain_operation(request), region, access_key, request)


def _scope(request: HttpRequest) -> tuple[str, str, str] | None:
    text = request.headers.get("authorization", "")
    if "Credential=" not in text:
        text = "Credential=" + dict(parse_qsl(request.query_string)).get("X-Amz-Credential", "")
    found = CREDENTIAL.search(text)
    return (found["key"], found["region"], found["service"]) if found else None


def _modelled(name: str, request: HttpRequest) -> tuple[OperationModel, dict[str, str] | None] | None:
    target = request.headers.get("x-amz-target")
    if target:
        model = models.operation(name, target.rpartition(".")[2])
        return (model, None) if model else None
    protocol = models.service(name).protocol
    if protocol in ("query", "ec2", "json"):
        action = query.form_of(request.body, request.query_string).get("Action", "")
        model = models.operation(name, action)
        return (model, None) if model else None
    found = rest.match(name, request.method, request.path, request.query_string, request.headers)
    model = models.operation(name, found.operation) if found else None
    return (model, found.labels) if found and model else None


def _plain_operation(request: HttpRequest) -> str:
    """Name the operation of an unmodelled service: its target, its Action, or method and path."""
    target = request.headers.get("x-amz-target")
    if target:
        return target.rpartition(".")[2]
    if request.headers.get("content-type", "").startswith(FORM):
        return query.form_of(request.body, request.query_string).get("Action", "")
    if "/operation/" in request.path:
        return request.path.rpartition("/")[2]
    return f"{request.method} {request.path}"


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
