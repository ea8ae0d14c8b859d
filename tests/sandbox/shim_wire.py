"""Make the HTTP requests that boto3 would send, without sending them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import boto3

from sandbox import calls

ENDPOINT = "http://127.0.0.1:9"
REGION = "eu-west-1"
RECORDED = frozenset({"kms", "dynamodb", "logs", "s3", "s3control", "lambda", "sns", "sqs", "ec2", "rds"})


class Stop(Exception):  # noqa: N818 - it only carries a request out of boto3
    """Ends a boto3 call once its request is known."""


def request(service: str, operation: str, **parameters: Any) -> calls.HttpRequest:
    """Return the request that boto3 sends for a call (``operation`` in snake case)."""
    caught: list[Any] = []

    def catch(request: Any, **_: Any) -> None:
        caught.append(request)
        raise Stop

    client = boto3.client(
        service, endpoint_url=ENDPOINT, region_name=REGION, aws_access_key_id="AKIA", aws_secret_access_key="secret"
    )
    client.meta.events.register("before-send", catch)
    try:
        getattr(client, operation)(**parameters)
    except Stop:
        pass
    sent = caught[0]
    url = urlsplit(sent.url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value) for name, value in sent.headers.items()
    }
    body = sent.body or b""
    if hasattr(body, "read"):
        body = body.read()
    return calls.HttpRequest(
        sent.method, url.path, url.query, headers, body.encode() if isinstance(body, str) else bytes(body)
    )


def call(service: str, operation: str, **parameters: Any) -> calls.Call:
    """Return the call that the shim recognises in that request."""
    found = calls.recognise(request(service, operation, **parameters), RECORDED)
    assert found is not None
    return found
