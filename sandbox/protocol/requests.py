"""HTTP requests to AWS, read with moto's routers and parsers, whose errors are corrected here and nowhere else.

Wrong or missing in moto 5.2.5; ``tests/sandbox/test_protocol.py`` has a test of each:

- The protocol is chosen by content type alone, and an unexpected type is an error: see :func:`protocol_of`.
- The router of S3 imports all of moto's S3 to find buckets in host names. Clients of 127.0.0.1 name the bucket in the
  path, so the plain REST router serves.
- Members that a REST request lacks are parsed as None, or as an empty list or map: see :func:`_was_sent`.
- Timestamps lose their time zone: botocore's parser is given instead.
- A request that is no valid URL or does not fit its model raises any error: see :func:`match` and :func:`parse`.
- The keys of an S3 object's metadata change their case, and Smithy's CBOR is neither routed nor parsed: left as it is,
  since no event shows the one and no recorded service speaks the other.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from botocore.utils import parse_timestamp
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request
from moto.core.routing import RestRouter
from werkzeug.exceptions import NotFound

from sandbox.protocol import models

if TYPE_CHECKING:
    from moto.core.model import OperationModel, Shape

LOG = logging.getLogger("sandbox")
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came over the wire; names of headers in lower case, the path still percent-encoded."""

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes

    @property
    def is_form(self) -> bool:
        """Whether the body is a form, as in the query and ec2 protocols."""
        return self.headers.get("content-type", "").startswith(FORM)

    def form(self) -> dict[str, str]:
        """Return the fields of query string and body; those of the body win."""
        fields = dict(parse_qsl(self.query_string, keep_blank_values=True))
        fields.update(parse_qsl(self.body.decode("utf-8", errors="replace"), keep_blank_values=True))
        return fields

    def target(self) -> str:
        """Return the operation that a JSON request names in ``X-Amz-Target``; empty where it names none."""
        return self.headers.get("x-amz-target", "").rpartition(".")[2]

    def as_wsgi(self) -> Request:
        """Return the request in the form that moto's routers and parsers take."""
        names = ((name, name.upper().replace("-", "_")) for name in self.headers)
        own = ("CONTENT_TYPE", "CONTENT_LENGTH")
        headers = {wsgi if wsgi in own else f"HTTP_{wsgi}": self.headers[name] for name, wsgi in names}
        return Request(headers | {
            "HTTP_HOST": "127.0.0.1", "wsgi.url_scheme": "http", "REQUEST_METHOD": self.method,
            "RAW_URI": self.path, "PATH_INFO": self.path, "QUERY_STRING": self.query_string,
            "wsgi.input": BytesIO(self.body),
        })  # fmt: skip


def protocol_of(request: HttpRequest, service: str, default: str) -> str:
    """Return the protocol of this very request: a service may speak two (SQS: json and query)."""
    if request.target():
        return "json"
    if request.is_form:
        return "ec2" if service == "ec2" else "query"
    return default


def match(service: str, request: HttpRequest) -> tuple[OperationModel, dict[str, str]] | None:
    """Return the operation of a service that a request calls and the labels of its path; None when it calls none."""
    name = request.target()
    if name or not models.service(service).protocol.startswith("rest"):
        model = models.operation(service, name or request.form().get("Action", ""))
        return (model, {}) if model else None
    try:
        return _router(service).match(request.as_wsgi())
    except (NotFound, ValueError):  # the latter of paths that are not valid in a URL
        return None


@cache
def _router(service: str) -> RestRouter:
    return RestRouter(models.service(service))


def parse(request: HttpRequest, model: OperationModel, labels: dict[str, str]) -> dict[str, Any]:
    """Return the parameters of a request by the model's member names; none when the request does not fit the model."""
    protocol = protocol_of(request, model.service_model.service_name, model.service_model.protocol)
    try:
        parser = PROTOCOL_PARSERS[protocol](model, timestamp_parser=parse_timestamp)
        parsed = parser.parse(_parts(request, protocol, labels))
    except Exception as error:  # noqa: BLE001 - nothing is lost: the engine gets the request as it came, and refuses it
        LOG.warning("the parameters of a %s do not fit its model (%s)", model.name, type(error).__name__)
        return {}
    members: Any = model.input_shape.members if model.input_shape else {}
    return {name: value for name, value in (parsed or {}).items() if _was_sent(value, members[name])}


def _parts(request: HttpRequest, protocol: str, labels: dict[str, str]) -> Any:
    """Return the parts of a request that a protocol's parser reads."""
    if protocol.startswith("rest"):
        wsgi = request.as_wsgi()
        return {"body": request.body, "url_params": labels, "headers": wsgi.headers, "values": wsgi.args}
    return {"body": request.body} if protocol == "json" else {"values": request.form()}


def _was_sent(value: Any, shape: Shape) -> bool:
    """Return whether a member was in the request: REST parsers invent those of path, query string and headers."""
    return "location" not in shape.serialization or value not in (None, [], {})
