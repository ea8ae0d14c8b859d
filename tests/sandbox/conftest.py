"""Sandboxes for the tests of the sandbox itself: one shared by all that only add to it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest

from sandbox.client import Sandbox
from sandbox.protocol import calls
from sandbox.protocol.requests import HttpRequest
from tests.sandbox import shared as stacks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLE_SECONDS = 1.0


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox that records ec2 and rds, too; tests share it and make resources of their own."""
    with Sandbox(table_seconds=TABLE_SECONDS, record=("ec2", "rds")) as running:
        yield running


@pytest.fixture(scope="session")
def shared() -> Iterator[stacks.Shared]:
    """The real stack, for all files that bring their own settings and leave the stack as it is."""
    with stacks.started() as there:
        yield there


@pytest.fixture(scope="session")
def alice(sandbox: Sandbox) -> Any:
    """The session of a created IAM user who may do everything."""
    return sandbox.create_user("alice")


ENDPOINT = "http://127.0.0.1:9"
REGION = "eu-west-1"
RECORDED = frozenset({"kms", "dynamodb", "logs", "s3", "s3control", "lambda", "sns", "sqs", "ec2", "rds"})


class Stop(Exception):  # noqa: N818 - it only carries a request out of boto3
    """Ends a boto3 call once its request is known."""


def _request(service: str, operation: str, **parameters: Any) -> HttpRequest:
    """Return the request that boto3 sends for a call (``operation`` in snake case)."""
    caught: list[Any] = []

    def catch(request: Any, **_: Any) -> None:
        caught.append(request)
        raise Stop

    make: Any = boto3.client  # its types want a literal service name
    client = make(
        service, endpoint_url=ENDPOINT, region_name=REGION, aws_access_key_id="AKIA", aws_secret_access_key="secret"
    )
    client.meta.events.register("before-send", catch)
    with contextlib.suppress(Stop):
        getattr(client, operation)(**parameters)
    sent = caught[0]
    url = urlsplit(sent.url)
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else str(value) for name, value in sent.headers.items()
    }
    body = sent.body or b""
    if hasattr(body, "read"):
        body = body.read()
    return HttpRequest(
        sent.method, url.path, url.query, headers, body.encode() if isinstance(body, str) else bytes(body)
    )


def _call(service: str, operation: str, **parameters: Any) -> calls.Call:
    """Return the call that the shim recognises in that request."""
    found = calls.recognise(_request(service, operation, **parameters), RECORDED)
    assert found is not None
    return found


@pytest.fixture
def call() -> Callable[..., calls.Call]:
    """Make a call as the shim recognises it, from the request that boto3 would send, without sending it."""
    return _call
