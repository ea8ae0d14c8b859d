"""The example events in `events/` have the shape that a real call's event has: the sandbox's, made by its own calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control import resource_arn
from evenkeel.control.registry import groups
from evenkeel.control.triggers import CloudTrail, find
from evenkeel.events import parsing
from sandbox.client import Sandbox
from tests.cases.case import maker
from tests.contract.registry import CONTROLS, MATCHES
from tests.factories import ARNS
from tests.world import PLACE, reaching

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.control import Control

ALWAYS = ("eventVersion", "eventSource", "eventName", "awsRegion", "recipientAccountId", "userIdentity", "eventTime")


LOGS = PLACE.arn("arn:{partition}:s3:::{id}", "log-of-orders")
"""What a trail's maker makes beside the trail."""


@dataclass(frozen=True)
class Emitted:
    """What the bus told while resources were made: events by ``source/name``, and the ARNs of what was made."""

    events: dict[str, list[dict[str, Any]]]
    made: frozenset[str]


@pytest.fixture(scope="module")
def emitted() -> Iterator[Emitted]:
    """Make one resource of each type as an IAM user."""
    with Sandbox(table_seconds=0.0) as running:
        alice = running.create_user("alice")
        with reaching(lambda service: running.client(service, alice)):
            made = {make() for make in _makers()}
        found: dict[str, list[dict[str, Any]]] = {}
        for event in running.events():
            detail = event["detail"]
            if "eventName" in detail and "errorCode" not in detail:
                found.setdefault(f"{detail['eventSource']}/{detail['eventName']}", []).append(event)
        yield Emitted(found, frozenset(made))


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


def test_examples_name_their_resource_where_real_events_do(emitted: Emitted) -> None:
    """If this fails, an example proves a path that no real event has, or that finds another resource there."""
    compared = 0
    for example, trigger in _called():
        detail, control = example.event["detail"], example.control
        for event in emitted.events.get(f"{detail['eventSource']}/{detail['eventName']}", ()):
            real = event["detail"]
            assert _named(trigger, control, real) & (emitted.made | {LOGS}), f"{example}: {trigger.at}"
            assert [name for name in ALWAYS if type(real[name]) is not type(detail[name])] == [], example
            compared += 1
    assert compared >= 50


def _named(trigger: CloudTrail, control: Control, detail: dict[str, Any]) -> set[str]:
    """Return the ARNs that a trigger finds in an event."""
    return {resource_arn(trigger.arn or control.arn, value, PLACE) for value in find(trigger.at, detail)}


def test_every_real_event_is_understood(emitted: Emitted) -> None:
    """If this fails, a real creation is dropped as malformed, names another resource, or wakes nobody."""
    named: dict[str, set[str]] = {}
    for event in (event for happened in emitted.events.values() for event in happened):
        for controls in groups().values():
            for wish in parsing.parse(event, controls, PLACE).requests:
                named.setdefault(wish.resource.arn, set()).add(wish.control)
    assert set(named) == emitted.made | {LOGS}
    assert set().union(*named.values()) == {control.id for control in CONTROLS}
