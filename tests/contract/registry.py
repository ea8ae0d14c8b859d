"""The registry and its example events, as the contract tests walk them; no control is named here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evenkeel.control.registry import all_controls, groups
from evenkeel.control.triggers import CloudTrail, Config, SecurityHub
from evenkeel.events.eventbridge import patterns
from evenkeel.events.parsing import API_CALL, CONFIG_ITEM, CONFIG_RULE, TAG_CHANGE
from evenkeel.events.security_hub import FINDINGS
from tests.world import ACCOUNT, REGION

if TYPE_CHECKING:
    from evenkeel.control import Control
    from evenkeel.control.triggers import Trigger

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
CONTROLS = tuple(all_controls().values())


@dataclass(frozen=True)
class Example:
    """One file of ``events/<control id>/``."""

    control: Control
    name: str
    why: str
    event: dict[str, Any]
    resources: tuple[str, ...]
    """What the event is about: one resource, or the two names of one that is renamed."""
    stopped_by: str

    def __str__(self) -> str:
        """Name the file."""
        return f"{self.control.id}/{self.name}"


def load(control: Control, path: Path) -> Example:
    """Read an example.

    Raises:
        AssertionError: it has not exactly the keys of its kind.
    """
    document = json.loads(path.read_text())
    wanted = {"why", "event", "resource" if path.name.startswith("match-") else "stopped_by"}
    if set(document) != wanted:
        raise AssertionError(f"{path}: has the keys {sorted(document)}; a file of its name has {sorted(wanted)}")
    given = document.get("resource", [])
    return Example(
        control, path.stem, document["why"], document["event"],
        tuple(given if isinstance(given, list) else [given]), document.get("stopped_by", ""),
    )  # fmt: skip


EXAMPLES = tuple(load(control, path) for control in CONTROLS for path in sorted((EVENTS / control.id).glob("*.json")))
MATCHES = tuple(example for example in EXAMPLES if example.name.startswith("match-"))
MISSES = tuple(example for example in EXAMPLES if example.name.startswith("miss-"))


@lru_cache(maxsize=64)
def pattern_texts(group: str) -> tuple[str, ...]:
    """Return the EventBridge patterns of a group's rules as they are once CloudFormation has filled them in."""
    texts = [json.dumps(pattern, separators=(",", ":")) for pattern in patterns(groups()[group]).values()]
    filled = {"${AWS::Partition}": "aws", "${AWS::AccountId}": ACCOUNT, "${AWS::Region}": REGION}
    for placeholder, value in filled.items():
        texts = [text.replace(placeholder, value) for text in texts]
    return tuple(texts)


def passes(group: str, event: dict[str, Any]) -> bool:
    """Say whether one of a group's rules would deliver an event, by MiniStack's matcher."""
    from ministack.services.eventbridge import _matches_pattern  # noqa: PLC0415 - an engine, only where it is asked

    put = {
        "Source": event["source"],
        "DetailType": event["detail-type"],
        "Detail": json.dumps(event["detail"]),
        "Resources": event["resources"],
        "Account": event["account"],
        "Region": event["region"],
        "EventId": event["id"],
        "Version": event["version"],
    }
    return any(_matches_pattern(text, put) for text in pattern_texts(group))


def matched_names(trigger: Trigger, event: dict[str, Any]) -> set[str]:
    """Return which of a trigger's names an event has: an API call, a Security Hub id, or a kind of event."""
    kind, detail = event["detail-type"], event["detail"]
    if isinstance(trigger, CloudTrail):
        here = kind == API_CALL and detail["eventSource"] == trigger.source
        return {detail["eventName"]} & set(trigger.names) if here else set()
    if isinstance(trigger, Config):
        kind_of_resource = detail.get("resourceType") or detail.get("configurationItem", {}).get("resourceType")
        return {kind} if kind in {CONFIG_RULE, CONFIG_ITEM} and kind_of_resource == trigger.resource_type else set()
    if isinstance(trigger, SecurityHub):
        found = detail["findings"] if kind == FINDINGS else []
        return {finding["Compliance"]["SecurityControlId"] for finding in found} & set(trigger.ids)
    here = kind == TAG_CHANGE and detail["service"] == trigger.service
    return {kind} if here and trigger.resource_type in {"", detail.get("resource-type")} else set()


def event_names(trigger: Trigger) -> set[str]:
    """Return all names of a trigger: API calls, Security Hub ids, or kinds of event."""
    if isinstance(trigger, CloudTrail):
        return set(trigger.names)
    if isinstance(trigger, SecurityHub):
        return set(trigger.ids)
    return {CONFIG_RULE, CONFIG_ITEM} if isinstance(trigger, Config) else {TAG_CHANGE}
