"""A catalogue as large as Evenkeel's is meant to become: 30 groups and 110 controls, derived from the real ones.

A derived control has the docstring, and as many triggers, API calls, types, ids and permissions as its original, under
names of its own, so that nothing of two controls becomes one. The largest real group is among them as it is.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, cycle, islice
from typing import TYPE_CHECKING, Any

from evenkeel.control.triggers import CloudTrail, Config
from evenkeel.names import GROUP_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenkeel.control import Control

    Groups = Mapping[str, Sequence[Control]]

LARGEST = "tagging"
"""The real group with the longest patterns and the largest policies."""
SIZES = (*[8] * 6, *[4] * 6, *[3] * 8, *[2] * 4, *[1] * 5)
"""Controls of each derived group; with the largest real one they are 30 groups and 110 controls."""


def thirty_groups(real: Groups) -> dict[str, tuple[Control, ...]]:
    """Return the catalogue, each derived group after one of the real ones in turn."""
    originals = cycle(controls for group, controls in real.items() if group != LARGEST)
    derived = (
        _group(number, size, controls)
        for number, (size, controls) in enumerate(zip(SIZES, originals, strict=False), start=1)
    )
    largest = tuple(real[LARGEST])
    return {controls[0].group: controls for controls in chain(derived, [largest])}


def _group(number: int, size: int, originals: Sequence[Control]) -> tuple[Control, ...]:
    """Return a group of so many controls; its name is as long as one may be."""
    package = f"group{number:02}".ljust(GROUP_CHARACTERS, "x")
    return tuple(
        _derived(original, package, f"{place:02}")
        for place, original in enumerate(islice(cycle(originals), size), start=1)
    )


def _derived(original: Control, package: str, mark: str) -> Control:
    """Return a control like another, its names marked."""
    kind = type(original)
    members: dict[str, Any] = {
        "__module__": f"{package}.control_{mark}",
        "__doc__": kind.__doc__,
        "triggers": tuple(_marked(trigger, mark) for trigger in kind.triggers),
        "permissions": tuple(
            replace(grant, actions=tuple(action + mark for action in grant.actions), on=_on(original, grant.on, mark))
            for grant in kind.permissions
        ),
        "frameworks": replace(
            kind.frameworks, security_hub=tuple(f"{an_id}{mark}" for an_id in kind.frameworks.security_hub)
        ),
    }
    derived: Control = type(f"Derived{mark}", (kind,), members)()
    return derived


def _on(original: Control, on: tuple[str, ...], mark: str) -> tuple[str, ...]:
    """Return resources that no other control of the group has; ``*`` stays."""
    return tuple(template if template == "*" else f"{template}{mark}" for template in on or (original.arn,))


def _marked(trigger: Any, mark: str) -> Any:
    """Return a trigger of other calls or another type."""
    if isinstance(trigger, CloudTrail):
        return replace(trigger, names=tuple(name + mark for name in trigger.names))
    return replace(trigger, resource_type=trigger.resource_type + mark) if isinstance(trigger, Config) else trigger
