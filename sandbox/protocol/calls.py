"""The AWS call in an HTTP request: service, operation, region, caller and parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from sandbox.protocol import models, requests

if TYPE_CHECKING:
    from moto.core.model import OperationModel

    from sandbox.protocol.requests import HttpRequest

CREDENTIAL = re.compile(r"Credential=(?P<key>[^/,]+)/\d{8}/(?P<region>[^/]*)/(?P<service>[^/]+)/aws4_request")


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
        """Return the request's parameters by the model's member names."""
        return requests.parse(self.request, self.model, self.labels or {}) if self.model else {}

    @property
    def protocol(self) -> str:
        """The protocol of this request; REST's for services without a model."""
        rest = "rest-xml" if self.service == "s3" else "rest-json"
        default = self.model.service_model.protocol if self.model else rest
        return requests.protocol_of(self.request, self.service, default)


def recognise(request: HttpRequest, recorded: frozenset[str]) -> Call | None:
    """Return the AWS call in a request; None if the request is not signed."""
    scope = _scope(request)
    if scope is None:
        return None
    access_key, region, signing_name = scope
    names = models.candidates(signing_name)
    for name in names:
        found = requests.match(name, request) if name in recorded else None
        if found is not None:
            model, labels = found
            return Call(name, model.name, region, access_key, request, model, labels)
    return Call(names[-1], _operation_name(request), region, access_key, request)


def _scope(request: HttpRequest) -> tuple[str, str, str] | None:
    """Return access key, region and signing name of a request's signature."""
    text = request.headers.get("authorization", "")
    if "Credential=" not in text:
        text = "Credential=" + dict(parse_qsl(request.query_string)).get("X-Amz-Credential", "")
    found = CREDENTIAL.search(text)
    return (found["key"], found["region"], found["service"]) if found else None


def _operation_name(request: HttpRequest) -> str:
    """Return the operation of a service without a model: its target, its Action, or method and path."""
    if request.target():
        return request.target()
    if request.is_form:
        return request.form().get("Action", "")
    if "/operation/" in request.path:
        return request.path.rpartition("/")[2]
    return f"{request.method} {request.path}"
