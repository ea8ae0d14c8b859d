"""The check that the engine has every property that a template declares, unchanged."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.client import ask
from sandbox.readback import readers
from sandbox.readback.services import World

if TYPE_CHECKING:
    from sandbox.client import Sandbox

ABSENT = "(absent)"
NESTED = "AWS::CloudFormation::Stack"

UNREPRESENTED = {
    (NESTED, "TemplateURL"): "no call returns it; the nested template's resources are compared one by one",
    ("AWS::KMS::Key", "PendingWindowInDays"): "it only sets how long a deletion takes; no call returns it",
    ("AWS::Lambda::LayerVersion", "Content"): "the engine keeps the zip but not where it came from",
    ("AWS::Lambda::Function", "Code"): "the engine keeps the zip but not where it came from",
}
"""Properties that no call of the engine returns, each with the reason."""


class DroppedProperty(RuntimeError):  # noqa: N818 - it names what happened to the template
    """The engine dropped or changed declared properties; the message lists each of them."""


@dataclass(frozen=True)
class Difference:
    """A property whose value differs from the template's."""

    resource: str
    kind: str
    name: str
    claimed: Any
    found: Any

    def __str__(self) -> str:
        """Return the difference as one line."""
        return f"{self.resource} ({self.kind}) {self.name}: claimed {_short(self.claimed)}, found {_short(self.found)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]}..."  # noqa: PLR2004 - long enough to recognise it


def check(sandbox: Sandbox, stack: str) -> int:
    """Compare every resource of a stack with its service's answer, and return how many properties were compared.

    Raises:
        DroppedProperty: a property differs, is missing, or belongs to a type that has no reader.
    """
    found, compared = differences(sandbox, stack)
    if found:
        raise DroppedProperty("\n".join(["properties that the engine does not have:", *map(str, found)]))
    return compared


def differences(sandbox: Sandbox, stack: str) -> tuple[list[Difference], int]:
    """Return all differences, and how many properties were compared."""
    resources: dict[str, dict[str, Any]] = ask(sandbox.endpoint, f"stack?name={stack}&region={sandbox.region}")[
        "resources"
    ]
    world = World(sandbox)
    differing: list[Difference] = []
    compared = 0
    for name, resource in resources.items():
        kind, claimed = resource["type"], resource["properties"]
        if kind == NESTED:
            inner, count = differences(sandbox, resource["id"].split("/")[1])
            differing += [replace(each, resource=f"{name}/{each.resource}") for each in inner]
            compared += count
        wanted = {key: value for key, value in claimed.items() if (kind, key) not in UNREPRESENTED}
        reader = readers.READERS.get(kind)
        actual = reader(world, resource["id"], claimed) if reader else {}
        compared += len(wanted)
        differing += [
            Difference(name, kind, key, value, actual.get(key, ABSENT))
            for key, value in wanted.items()
            if not covers(value, actual.get(key, ABSENT))
        ]
    return differing, compared


def covers(claimed: Any, found: Any) -> bool:
    """Return whether the found value contains everything that is claimed; extra members found are defaults."""
    claimed, found = _parsed(claimed), _parsed(found)
    if isinstance(claimed, dict):
        return isinstance(found, dict) and all(covers(value, found.get(key, ABSENT)) for key, value in claimed.items())
    if isinstance(claimed, list):
        if not isinstance(found, list):
            return len(claimed) == 1 and covers(claimed[0], found)
        rest = list(found)
        for each in claimed:
            match = next((index for index, other in enumerate(rest) if covers(each, other)), None)
            if match is None:
                return False
            del rest[match]
        return not rest or _are_tags(claimed)
    return _plain(claimed) == _plain(found)


def _are_tags(claimed: list[Any]) -> bool:
    """Return whether a list holds tags, to which a stack adds its own."""
    return bool(claimed) and all(isinstance(each, dict) and set(each) == {"Key", "Value"} for each in claimed)


def _parsed(value: Any) -> Any:
    """Return a JSON text parsed: policies and patterns come as text or as data."""
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _plain(value: Any) -> str:
    """Return a scalar as text: CloudFormation's booleans and numbers may arrive as either."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
