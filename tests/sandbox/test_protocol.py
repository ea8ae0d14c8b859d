"""Requests read back into calls: what botocore writes for every operation of each recorded service, and odd ones."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.serialize import create_serializer

from sandbox.protocol import calls, models, requests
from sandbox.protocol.requests import HttpRequest

SIGNING_NAMES = {name: signing for signing, names in models.SIGNING_NAMES.items() for name in names}
SCALARS: dict[str, Any] = {
    "integer": 7, "long": 7, "float": 0.5, "double": 0.5, "boolean": True, "blob": b"\x00\xff",
    "timestamp": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
}  # fmt: skip
DEEP = 4
OTHER_HOST = "ListDirectoryBuckets"
"""An operation with the method and path of ListBuckets: S3 Express has a host and a signing name of its own."""


def _value(shape: Any, dice: random.Random, depth: int = 0) -> Any:
    """Return a value of a shape; structures have some of their members, at least one."""
    kind = shape.type_name
    if kind == "structure":
        names = [name for name in shape.members if _is_needed(shape, name) or (depth < DEEP and dice.random() < 0.6)]
        return {name: _value(shape.members[name], dice, depth + 1) for name in names or list(shape.members)[:1]}
    if kind == "list":
        return [_value(shape.member, dice, depth + 1) for _ in range(dice.choice((1, 2)))]
    if kind == "map":
        return {f"key{number}": _value(shape.value, dice, depth + 1) for number in range(dice.choice((1, 2)))}
    if shape.serialization.get("hostLabel"):
        return "123456789012"
    if kind == "string":
        return dice.choice(shape.enum) if shape.enum else "".join(dice.choices("ab/é:+&=<", k=6))
    return SCALARS[kind]


def _is_needed(shape: Any, name: str) -> bool:
    return name in shape.required_members or shape.members[name].serialization.get("location") == "uri"


def _request(service: str, model: Any, given: dict[str, Any]) -> HttpRequest:
    protocol = model.service_model.protocol
    sent: Any = create_serializer(protocol, include_validation=False).serialize_to_request(given, model)
    path, _, literals = sent["url_path"].partition("?")
    query = "&".join(filter(None, (literals, urlencode(sent["query_string"] or {}, doseq=True))))
    headers = {name.lower(): str(value) for name, value in sent["headers"].items()}
    signing_name = SIGNING_NAMES.get(service, model.service_model.signing_name)
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/{signing_name}/aws4_request"
    body = urlencode(sent["body"]) if isinstance(sent["body"], dict) else sent["body"]
    return HttpRequest(sent["method"], path, query, headers, body.encode() if isinstance(body, str) else bytes(body))


@pytest.mark.parametrize("service", models.RECORDED)
def test_every_operation_is_recognised_with_its_parameters(service: str) -> None:
    """Events would name another call than the one made, or show parameters that its caller did not send."""
    for name in models.service(service).operation_names:
        model = models.operation(service, name)
        assert model is not None
        if model.deprecated or model.input_shape is None or name == OTHER_HOST:
            continue
        given = _value(model.input_shape, random.Random(name))  # noqa: S311 - a seeded game of chance
        given.pop("Metadata", None)  # of objects in S3: the parser changes the case of its keys, and no event shows it
        call = calls.recognise(_request(service, model, given), frozenset({service}))
        assert call is not None
        assert (call.operation, call.parameters()) == (name, given)


@pytest.mark.parametrize(
    ("service", "default"), [("sqs", "json"), ("rds", "query"), ("ec2", "ec2"), ("lambda", "rest-json")]
)
def test_a_form_is_read_as_one_whatever_the_service_prefers(service: str, default: str) -> None:
    """Calls of older SDKs would show no parameters, and a form sent to a REST service would end in a server error."""
    body = urlencode({"Action": "CreateQueue", "QueueName": "orders"}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = HttpRequest("POST", "/", "", headers, body)
    assert requests.protocol_of(request, service, default) == ("ec2" if service == "ec2" else "query")
    if service == "sqs":
        model, labels = requests.match("sqs", request) or pytest.fail("CreateQueue was not recognised")
        assert requests.parse(request, model, labels) == {"QueueName": "orders"}


def test_members_that_a_request_lacks_are_not_made_up() -> None:
    """Parameters would show empty lists and metadata that the caller did not send."""
    listing = HttpRequest("GET", "/v20180820/jobs", "", {"x-amz-account-id": "123456789012"}, b"")
    model, labels = requests.match("s3control", listing) or pytest.fail("ListJobs was not recognised")
    assert requests.parse(listing, model, labels) == {"AccountId": "123456789012"}
    put = HttpRequest("PUT", "/photos/a.jpg", "", {"content-length": "0"}, b"")
    model, labels = requests.match("s3", put) or pytest.fail("PutObject was not recognised")
    assert requests.parse(put, model, labels) == {"Bucket": "photos", "Key": "a.jpg", "ContentLength": 0}


def test_times_keep_their_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine is not on UTC, events would show other times than the ones sent."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        body = b'{"RestoreDateTime": 1767323045, "SourceTableName": "a", "TargetTableName": "b"}'
        request = HttpRequest("POST", "/", "", {"x-amz-target": "DynamoDB_20120810.RestoreTableToPointInTime"}, body)
        model, labels = requests.match("dynamodb", request) or pytest.fail("the call was not recognised")
        assert requests.parse(request, model, labels)["RestoreDateTime"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "body", [b"null", b"[1]", b"{", b'{"RetentionInDays": "soon"}', b'{"retentionInDays": "soon"}', b"\xff"]
)
def test_a_request_that_does_not_fit_its_model_reaches_the_engine(body: bytes) -> None:
    """A client's mistake would end in a server error of the shim, not in the service's own answer."""
    request = HttpRequest("POST", "/", "", {"x-amz-target": "Logs_20140328.PutRetentionPolicy"}, body)
    model, labels = requests.match("logs", request) or pytest.fail("the call was not recognised")
    assert requests.parse(request, model, labels) == {}


@pytest.mark.parametrize("path", ["//[/a", "/photos/\xe9", "/photos//[a", "/%ff/%"])
def test_an_odd_path_reaches_the_engine(path: str) -> None:
    """A request for an object with an unusual key would end in a server error of the shim."""
    request = HttpRequest("PUT", path, "versioning=\xff", {"content-type": "text/plain"}, b"x")
    found = requests.match("s3", request)
    assert found is None or isinstance(requests.parse(request, *found), dict)
