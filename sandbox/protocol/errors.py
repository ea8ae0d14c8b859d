"""AWS's errors in the wire shape of each protocol, written by moto's serializers."""

from __future__ import annotations

import struct
import uuid
from functools import cache
from typing import TYPE_CHECKING

from moto.core.model import ServiceModel
from moto.core.serialize import SerializationContext, get_serializer_class

from sandbox.protocol.asgi import Response

if TYPE_CHECKING:
    from moto.core.model import OperationModel

    from sandbox.protocol.calls import Call


class _ServiceError(Exception):
    """An error in the form that moto's serializers expect."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def response(call: Call, code: str, message: str, status: int) -> Response:
    """Return an AWS error in the wire shape of the call's protocol."""
    identifier = str(uuid.uuid4())
    headers = {"x-amzn-requestid": identifier, "x-amz-request-id": identifier}
    if call.request.headers.get("smithy-protocol") == "rpc-v2-cbor":
        headers |= {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return Response(status, headers, _cbor({"__type": code, "message": message}))
    serializer = get_serializer_class(call.service, call.protocol)
    written = serializer(_any_operation(call.protocol), SerializationContext(identifier))
    answer = written.serialize(_ServiceError(code, message))
    body = answer["body"]
    headers |= {name.lower(): value for name, value in answer["headers"].items()}
    return Response(status, headers, body.encode() if isinstance(body, str) else body)


@cache
def _any_operation(protocol: str) -> OperationModel:
    """Return an operation of a service without errors of its own, so that any code may be injected."""
    operations = {"Any": {"name": "Any", "http": {"method": "POST", "requestUri": "/"}}}
    description = {"metadata": {"protocol": protocol}, "operations": operations, "shapes": {}}
    model: OperationModel = ServiceModel(description, "any").operation_model("Any")
    return model


def _cbor(texts: dict[str, str]) -> bytes:
    """Return a small map of texts in CBOR, which moto 5.2.5 has no serializer for."""
    parts = [bytes([0xA0 | len(texts)])]
    for text in (part for pair in texts.items() for part in pair):
        data = text.encode()
        parts.append(b"\x79" + struct.pack(">H", len(data)) + data)
    return b"".join(parts)
