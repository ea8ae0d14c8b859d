"""One row of a control's decision table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

from evenkeel.control import Context
from evenkeel.control.registry import all_controls
from evenkeel.model import Actor, Call, NonCompliant, Resource
from tests.factories import BY_TYPE
from tests.world import ACCOUNT, LOG_KEY, PLACE, REGION

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from evenkeel.control import Control
    from evenkeel.model import Change

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_NAMES = {"kms": "1234abcd-12ab-34cd-56ef-1234567890ab", "logs": "/app/orders"}


@dataclass(frozen=True)
class Case:
    """A state, and what the control must make of it.

    ``says`` is part of the reason; ``calls`` and ``undo`` are compared whole; ``caution`` and ``remains`` are parts,
    and empty where there must be none.
    """

    why: str
    state: dict[str, Any]
    kind: str
    says: str = ""
    calls: tuple[Call, ...] = ()
    undo: tuple[Call, ...] = ()
    residue: bool = False
    caution: str = ""
    remains: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    arn: str = ""
    """The resource's; where it is empty, the one that the group's tables speak of."""
    creates: bool = False
    event: str = ""
    found: bool = False
    owner: str = ""
    severity: str = ""
    """The finding's, where it is not the control's."""

    def context(self, control: Control) -> Context:
        """Return the context of the look."""
        filled = {name: LOG_KEY if name == "key_arn" else value for name, value in control.parameters.items()}
        template = control.arn or "arn:{partition}:dynamodb:{region}:{account}:table/{id}"
        resource = Resource(self.arn or PLACE.arn(template, _NAMES.get(control.group, "orders")), ACCOUNT, REGION)
        actor = Actor(owner=self.owner)
        return Context(
            resource,
            {**filled, **self.parameters},
            NOW,
            actor=actor,
            creates=self.creates,
            event=self.event,
            found=self.found,
        )


def cases(control_id: str) -> tuple[Case, ...]:
    """Return a control's table: ``tests/cases/<control id in snake case>.py``."""
    table: tuple[Case, ...] = _module(control_id).CASES
    return table


def changes(control: Control) -> list[Change]:
    """Return every change that a control computes over its table."""
    judged = [control.judge(case.state, case.context(control)) for case in cases(control.id)]
    return [one.change for one in judged if isinstance(one, NonCompliant) and one.change]


def maker(control_id: str, kind: str) -> Callable[[], str]:
    """Return what makes a resource of a type that violates a control, and returns its ARN.

    It is in ``MAKE`` of the control's module where AWS's defaults do not violate it.
    """
    own: dict[str, Callable[[], str]] = getattr(_module(control_id), "MAKE", {})
    return own.get(kind) or BY_TYPE[kind]


def changes_type(control: Control, kind: str) -> bool:
    """Say whether a control changes resources of a type; what it only announces is its module's ``ANNOUNCED``."""
    return not control.only_announces and kind not in getattr(_module(control.id), "ANNOUNCED", ())


def enforcing(control_id: str) -> dict[str, Any]:
    """Return the settings under which a control changes a weak resource, whoever asks; ``SETTINGS`` of its module.

    A control that only announces has no such mode: it keeps its own.
    """
    mode = {} if all_controls()[control_id].only_announces else {"mode": "enforce"}
    return {**mode, **getattr(_module(control_id), "SETTINGS", {})}


def _module(control_id: str) -> ModuleType:
    return import_module(f"tests.cases.{control_id.replace('-', '_')}")
