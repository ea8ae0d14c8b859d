"""CloudTrail's form of S3 calls: the bucket, the query string, some headers, and the XML body with its own names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import xmltodict

if TYPE_CHECKING:
    from sandbox.protocol.calls import Call


def request_parameters(call: Call, found: dict[str, Any]) -> dict[str, Any]:
    """Return ``requestParameters``: bucketName, Host, the sub-resource, x-amz-* headers, the body by its XML names."""
    bucket = found.get("Bucket", "")
    spelled: dict[str, Any] = {"bucketName": bucket, "Host": f"{bucket}.s3.{call.region}.amazonaws.com"}
    spelled |= dict(parse_qsl(call.request.query_string, keep_blank_values=True))
    payload = call.model.input_shape.serialization.get("payload", "") if call.model and call.model.input_shape else ""
    body = found.get(payload)
    if call.operation == "PutBucketPolicy" and isinstance(body, str):
        spelled["bucketPolicy"] = _loads(body)
    elif isinstance(body, dict):
        spelled |= _document(call.request.body) or {payload: body}
    for name in ("x-amz-acl", "x-amz-bucket-object-lock-enabled", "x-amz-object-ownership"):
        if name in call.request.headers:
            spelled[name] = call.request.headers[name]
    return spelled


def _document(body: bytes) -> dict[str, Any]:
    """Return an XML body by its own names, a single child plain and several as a list; empty without a body.

    CloudFormation's calls have none: they are made from a resource's properties.
    """
    if not body:
        return {}
    return dict(xmltodict.parse(body, attr_prefix="", postprocessor=lambda _, name, value: (name, value or "")))


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}
