"""The example events in `events/` have the shape that a real call's event has: the sandbox's, made by its own calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from evenkeel import events
from evenkeel.registry import groups
from evenkeel.triggers import CloudTrail, find
from sandbox.client import Sandbox
from tests.cases.case import maker
from tests.contract.registry import CONTROLS, MATCHES
from tests.making import ARNS
from tests.world import PLACE, reaching

if TYPE_CHECKING:
    from collections.abc import Iterator

ALWAYS = ("eventVersion", "eventSource", "eventName", "awsRegion", "recipientAccountId", "userIdentity", "eventTime")


@pytest.fixture(scope="module")
def emitted() -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Make one resource of each type as an IAM user; return the events by ``source/name`` and the ARNs made."""
    with Sandbox(table_seconds=0.0) as running:
        alice = running.create_user("alice")
        with reaching(lambda service: running.client(service, alice)):
            for make in _makers():
                make()
        found: dict[str, list[dict[str, Any]]] = {}
        for event in running.events():
            detail = event["detail"]
            if "eventName" in detail and "errorCode" not in detail:
                found.setdefault(f"{detail['eventSource']}/{detail['eventName']}", []).append(event)
        yield found


def _makers() -> list[Any]:
    """Return one maker a type: names are fixed, so that two of one type would be in each other's way."""
    pairs = [(control, kind) for control in CONTROLS for kind, arn in ARNS.items() if control.applies_to(arn)]
    return list({kind: maker(control.id, kind) for control, kind in pairs}.values())


def _called() -> Iterator[tuple[Any, CloudTrail]]:
    """Yield each example of a call with the trigger that it wakes."""
    for example in MATCHES:
        for trigger in example.control.triggers:
            if isinstance(trigger, CloudTrail) and trigger.matches(example.event["detail"]):
                yield example, trigger


def test_examples_name_their_resource_where_real_events_do(emitted: dict[str, list[dict[str, Any]]]) -> None:
    """If this fails, an example proves a path that no real event has."""
    compared = 0
    for example, trigger in _called():
        detail = example.event["detail"]
        told = [event["detail"] for event in emitted.get(f"{detail['eventSource']}/{detail['eventName']}", ())]
        real = [each for each in told if trigger.matches(each)]
        for each in real:
            assert find(trigger.at, each), f"{example}: {trigger.at}"
            assert [name for name in ALWAYS if type(each[name]) is not type(detail[name])] == [], example
        compared += bool(real)
    assert compared >= 50


def test_every_real_event_is_understood(emitted: dict[str, list[dict[str, Any]]]) -> None:
    """If this fails, a real creation is dropped as malformed, or names another resource."""
    understood = 0
    for happened in emitted.values():
        for event in happened:
            for controls in groups().values():
                parsed = events.parse(event, controls, PLACE)
                understood += len(parsed.requests)
    assert understood >= len(CONTROLS)
