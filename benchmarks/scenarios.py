"""The scenarios: for each control, a new weak resource and the first event about it.

No event is named here: a control's first CloudTrail trigger, its example in ``events/`` and the tests' factory of its
resources are found through the registry.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import signature
from itertools import count, product
from typing import TYPE_CHECKING, Any

from evenkeel.control.registry import groups
from evenkeel.control.triggers import CloudTrail
from evenkeel.errors import MalformedPayloadError
from evenkeel.events import parsing
from tests.cases.case import changes_type, maker
from tests.contract.registry import MATCHES, matched_names
from tests.factories import ARNS
from tests.factories.cloudtrail import logging_trail
from tests.world import PLACE, client, sqs_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.control import Control


_TRAILS = count()


def _stopped_trail(name: str) -> str:
    """Create a stopped trail and return its ARN, after deleting the trails of the previous pair."""
    if next(_TRAILS) % 2 == 0:
        for trail in client("cloudtrail").describe_trails()["trailList"]:
            client("cloudtrail").delete_trail(Name=trail["TrailARN"])
    arn: str = logging_trail(name)
    client("cloudtrail").stop_logging(Name=arn)
    return arn


_USUAL: dict[str, Callable[..., str]] = {"cloudtrail-logging": _stopped_trail}
"""Resources other than the tests': for a stopped trail, the control reads all other trails, so that its calls grow
with the number of trails."""


@dataclass(frozen=True)
class Scenario:
    """A control, a type of its resources, and an example of its event."""

    control: Control
    kind: str
    example: dict[str, Any]
    of: str
    """ARN of the resource in the example."""

    @property
    def event_name(self) -> str:
        """Return the API call of the event."""
        return str(self.example["detail"]["eventName"])

    @property
    def package(self) -> str:
        """Return the import name of the control's group."""
        return type(self.control).__module__.partition(".")[0]

    def make(self) -> str:
        """Create a weak resource with a new name; return its ARN."""
        make = _USUAL.get(self.control.id) or maker(self.control.id, self.kind)
        named = {"name": f"bench-{uuid.uuid4().hex[:12]}"} if "name" in signature(make).parameters else {}
        arn: str = make(**named)
        return arn

    def event(self, arn: str) -> dict[str, Any]:
        """Return the EventBridge event about a resource, with the current time."""
        text = json.dumps(self.example).replace(self.of, arn).replace(name_of(self.of), name_of(arn))
        event: dict[str, Any] = json.loads(text)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event |= {"id": str(uuid.uuid4()), "time": now}
        event["detail"] |= {"eventID": str(uuid.uuid4()), "eventTime": now}
        return event

    def names(self, arn: str) -> bool:
        """Return whether the event about a resource triggers the control for exactly that one."""
        try:
            asked = parsing.parse(self.event(arn), (self.control,), PLACE).requests
        except MalformedPayloadError:  # the call is about a resource of another type
            return False
        return [request.resource.arn for request in asked] == [arn]

    def order(self, arn: str) -> dict[str, Any]:
        """Return the order for a worker to handle the event; see :mod:`benchmarks.worker`."""
        return {"package": self.package, "control": self.control.id, "batch": sqs_event(self.event(arn))}


def scenarios() -> tuple[Scenario, ...]:
    """Return one scenario for each control of the registry, in the order of the groups."""
    return tuple(_scenario(control) for controls in groups().values() for control in controls)


def name_of(arn: str) -> str:
    """Return a resource's name or id: what follows the type in its ARN."""
    return re.sub(r"^[A-Za-z-]+[:/]", "", arn.split(":", 5)[5])


def _scenario(control: Control) -> Scenario:
    """Return the first trigger's example that names a resource of a type that can be made.

    Raises:
        LookupError: there is none.
    """
    mine = [example for example in MATCHES if example.control.id == control.id]
    kinds = [
        kind
        for kind, arn in ARNS.items()
        if control.applies_to(arn) and (control.only_announces or changes_type(control, kind))
    ]
    for trigger in control.triggers:
        names = trigger.names if isinstance(trigger, CloudTrail) else ()
        for name, example, kind in product(names, mine, kinds):
            found = Scenario(control, kind, example.event, example.resources[0])
            if matched_names(trigger, example.event) == {name} and found.names(ARNS[kind]):
                return found
    raise LookupError(
        f"{control.id}: no example of a CloudTrail event names a resource that tests.factories can create"
    )
