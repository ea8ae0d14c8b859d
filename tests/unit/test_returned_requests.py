"""Requests on their way through a queue and back."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import pytest

from evenkeel.control.registry import all_controls, groups
from evenkeel.errors import MalformedPayloadError
from evenkeel.events import parsing
from evenkeel.events.message import decode, encode
from evenkeel.model import Actor, Cause, Request, Resource
from tests.samples import stored
from tests.samples.story import FULL_REQUEST
from tests.world import ACCOUNT, PLACE, REGION

KMS, LOGS, TAGS = groups()["kms"], groups()["logs"], groups()["tagging"]
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
REQUEST = Request(
    "kms-key-rotation",
    Resource(KEY, ACCOUNT, REGION),
    Cause("cloudtrail", "e", "CreateKey", "2026-11-20T09:00:00Z"),
    Actor("p", "k", "o", "u", "i", "s"),
    creates=True,
    dry_run=False,
    attempt=3,
    first_seen="2026-11-20T09:00:00+00:00",
    plan="p-1",
)


def test_request_survives_the_queue() -> None:
    """If this fails, a returned request comes back as another one."""
    for request in (REQUEST, replace(REQUEST, settles=True)):
        assert parsing.parse(encode(request), KMS, PLACE).requests == (request,)


def test_queue_has_its_own_names_for_a_request() -> None:
    """If this fails, renaming a field of a Python class, or adding one, changes the messages that wait in queues."""

    @dataclass(frozen=True, slots=True)
    class Later(Request):
        more: str = "a field that the form does not name"

    @dataclass(frozen=True, slots=True)
    class LaterCause(Cause):
        more: str = "a field that the form does not name"

    written = stored.load("v0.1", "request")
    assert encode(FULL_REQUEST) == written
    own = {each.name: getattr(FULL_REQUEST, each.name) for each in fields(Request)}
    cause = LaterCause(**{each.name: getattr(FULL_REQUEST.cause, each.name) for each in fields(Cause)})
    assert encode(Later(**{**own, "cause": cause})) == written
    assert decode(written, tuple(all_controls().values()), PLACE) == FULL_REQUEST


def test_request_that_was_put_back_by_an_older_version_is_still_read() -> None:
    """If this fails, what waits in the queues when the stack is updated goes to the dead letters."""
    message = encode(REQUEST)
    cause = {name: value for name, value in message["request"]["cause"].items() if name.startswith(("origin", "event"))}
    before = {name: value for name, value in message["request"].items() if name != "settles"}
    older = {**message, "request": {**before, "cause": cause}}
    assert parsing.parse(older, KMS, PLACE).requests == (REQUEST,)


def _spoiled(**fields: Any) -> dict[str, Any]:
    message = encode(REQUEST)
    return {**message, "request": {**message["request"], **fields}}


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ({"request": {}}, "a request of schema version None, not 1"),
        ({"schema_version": 2, "request": {}}, "a request of schema version 2, not 1"),
        ({"schema_version": 1, "request": {}}, "a returned request of unknown form"),
        ({"schema_version": 1, "request": "x"}, "a returned request of unknown form"),
        (_spoiled(resource=5), "a returned request of unknown form"),
        (_spoiled(resource={"arn": KEY}), "a returned request of unknown form"),
        (_spoiled(more=1), "a returned request of unknown form"),
        (_spoiled(attempt="3"), "a returned request of unknown form"),
        (_spoiled(attempt=-1), "a returned request of unknown form"),
        (_spoiled(first_seen=5), "a returned request of unknown form"),
        (_spoiled(first_seen="yesterday"), "a returned request of unknown form"),
        (_spoiled(first_seen="2026-11-20T09:00:00"), "a returned request of unknown form"),
        (_spoiled(creates="yes"), "a returned request of unknown form"),
        (_spoiled(settles="yes"), "a returned request of unknown form"),
        (_spoiled(plan=None), "a returned request of unknown form"),
        (_spoiled(control=[]), "a returned request of unknown form"),
        (_spoiled(control="sqs-encryption"), "a returned request for the unknown control 'sqs-encryption'"),
        (
            _spoiled(resource={"arn": 5, "account": ACCOUNT, "region": REGION}),
            "a returned request of unknown form",
        ),
        (
            _spoiled(resource={"arn": "arn:aws:s3:::b", "account": ACCOUNT, "region": REGION}),
            "'arn:aws:s3:::b' is not an AWS::KMS::Key",
        ),
        (
            _spoiled(resource={"arn": KEY.replace(REGION, "us-east-1"), "account": ACCOUNT, "region": REGION}),
            f"'{KEY.replace(REGION, 'us-east-1')}' is not in partition aws, account {ACCOUNT}, {REGION}",
        ),
        (
            _spoiled(resource={"arn": KEY, "account": "210987654321", "region": REGION}),
            f"'{KEY}' is not in partition aws, account {ACCOUNT}, {REGION}",
        ),
        (
            _spoiled(resource={"arn": KEY, "account": ACCOUNT, "region": "us-east-1"}),
            f"'{KEY}' is not in partition aws, account {ACCOUNT}, {REGION}",
        ),
    ],
)
def test_requests_that_are_not_ours_are_refused(message: dict[str, Any], told: str) -> None:
    """If this fails, a forged or broken message in the queue is acted on or crashes the worker."""
    with pytest.raises(MalformedPayloadError) as caught:
        parsing.parse(message, KMS, PLACE)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("group", "control", "arn"),
    [
        (KMS, "kms-key-rotation", KEY),
        (LOGS, "logs-group-retention", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/a"),
        (TAGS, "tagging-required-tags", "arn:aws:s3:::b"),
    ],
)
def test_first_request_of_every_kind_of_arn_survives_the_queue(group: Any, control: str, arn: str) -> None:
    """If this fails, the clerk's first question, or one about a bucket, is refused as malformed."""
    wish = Request(control, Resource(arn, ACCOUNT, REGION), Cause("verify"))
    assert parsing.parse(encode(wish), group, PLACE).requests == (wish,)
