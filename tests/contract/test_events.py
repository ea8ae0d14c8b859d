"""Every control's example events against the patterns that the template's rules get and the parser behind them."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import groups
from evenkeel.events import parsing
from evenkeel.events.eventbridge import MAX_PATTERN_CHARACTERS
from evenkeel.events.parsing import API_CALL
from tests.contract.registry import (
    CONTROLS,
    EVENTS,
    MATCHES,
    MISSES,
    Example,
    event_names,
    load,
    matched_names,
    passes,
    pattern_texts,
)
from tests.world import ACCOUNT, PLACE

if TYPE_CHECKING:
    from pathlib import Path

ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
ITEMS = [example for example in MATCHES if "configurationItem" in example.event["detail"]]
CALLS = [example for example in MATCHES if example.event["detail-type"] == API_CALL]


@pytest.mark.parametrize("example", MATCHES, ids=str)
def test_match_passes_the_pattern_and_names_its_resource(example: Example) -> None:
    """If this fails, an event that must trigger a control does not reach it, or is read as another resource's."""
    assert passes(example.control.group, example.event)
    parsed = parsing.parse(example.event, groups()[example.control.group], PLACE)
    mine = [request for request in parsed.requests if request.control == example.control.id]
    assert tuple(request.resource.arn for request in mine) == example.resources


@pytest.mark.parametrize("example", MISSES, ids=str)
def test_miss_is_stopped_where_it_says(example: Example) -> None:
    """If this fails, an event that does not concern a control triggers it, or costs an unexpected invocation."""
    assert example.stopped_by in {"pattern", "parse"}
    assert passes(example.control.group, example.event) is (example.stopped_by == "parse")
    parsed = parsing.parse(example.event, groups()[example.control.group], PLACE)
    assert not [request for request in parsed.requests if request.control == example.control.id]
    if example.stopped_by == "parse":
        assert parsing.parse(example.event, [example.control], PLACE).irrelevant


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_every_event_of_every_trigger_has_an_example(control: Any) -> None:
    """If this fails, a control names an event that nobody has shown to reach it."""
    mine = [example.event for example in MATCHES if example.control is control]
    missing = [
        (trigger, name)
        for trigger in control.all_triggers
        for name in sorted(event_names(trigger))
        if not any(name in matched_names(trigger, event) for event in mine)
    ]
    assert not missing


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_every_control_has_near_misses(control: Any) -> None:
    """If this fails, nobody has shown what a control leaves alone."""
    misses = [example for example in MISSES if example.control is control]
    assert len(misses) >= 5
    assert any("errorCode" in example.event["detail"] for example in misses)
    assert any("role/evenkeel/" in str(example.event["detail"].get("userIdentity")) for example in misses)


def test_every_example_says_why_and_belongs_to_a_control() -> None:
    """If this fails, an example is left over from a control that is gone, or explains nothing."""
    assert {folder.name for folder in EVENTS.iterdir()} == {control.id for control in CONTROLS}
    assert all(example.why.endswith(".") and len(example.why) > 15 for example in (*MATCHES, *MISSES))
    names = {path.name.split("-")[0] for path in EVENTS.glob("*/*")}
    assert names == {"match", "miss"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("match-x.json", "['event', 'resource', 'why']"), ("miss-x.json", "['event', 'stopped_by', 'why']")],
)
def test_example_with_other_keys_is_refused_by_name(tmp_path: Path, name: str, wanted: str) -> None:
    """If this fails, whoever writes an example must guess which file is wrong, and what it lacks."""
    path = tmp_path / name
    path.write_text(json.dumps({"why": "It is made.", "event": {}}))
    with pytest.raises(AssertionError) as refused:
        load(CONTROLS[0], path)
    assert str(refused.value) == f"{path}: has the keys ['event', 'why']; a file of its name has {wanted}"


@pytest.mark.parametrize("example", CALLS, ids=str)
def test_call_that_failed_reaches_nobody(example: Example) -> None:
    """If this fails, refused calls invoke Lambda functions for nothing."""
    event = deepcopy(example.event)
    event["detail"]["errorCode"] = "AccessDenied"
    assert not passes(example.control.group, event)
    assert parsing.parse(event, [example.control], PLACE).irrelevant


@pytest.mark.parametrize("example", ITEMS, ids=str)
def test_item_too_large_for_a_message_is_read_by_its_summary(example: Example) -> None:
    """If this fails, AWS Config's record of a large resource reaches nobody, or ends among the dead letters."""
    event = deepcopy(example.event)
    detail = event["detail"]
    detail["configurationItemSummary"] = {
        name: value for name, value in detail.pop("configurationItem").items() if not isinstance(value, dict | list)
    }
    detail["messageType"] = "OversizedConfigurationItemChangeNotification"
    assert passes(example.control.group, event)
    [request] = parsing.parse(event, [example.control], PLACE).requests
    assert request.resource.arn == example.resources[0]
    detail["configurationItemSummary"]["configurationItemStatus"] = "ResourceDeleted"
    assert not passes(example.control.group, event)
    assert not parsing.parse(event, [example.control], PLACE).requests


IDENTITIES = {
    "root": ({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root"}, True),
    "IAM user": ({"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/x", "userName": "x"}, True),
    "IAM user with a session": (
        {"type": "IAMUser", "userName": "x", "sessionContext": {"attributes": {"mfaAuthenticated": "true"}}},
        True,
    ),
    "AWS service": ({"type": "AWSService", "invokedBy": "cloudformation.amazonaws.com"}, True),
    "role": ({"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": f"{ROLE}deployer"}}}, True),
    "role named like ours": (
        {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": f"{ROLE}evenkeel-admin"}}},
        True,
    ),
    "role under a path like ours": (
        {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": f"{ROLE}team/evenkeel/x"}}},
        True,
    ),
    "our role": ({"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": f"{ROLE}evenkeel/x"}}}, False),
}


@pytest.mark.parametrize(("identity", "heard"), IDENTITIES.values(), ids=list(IDENTITIES))
@pytest.mark.parametrize("example", CALLS[:: max(1, len(CALLS) // 8)], ids=str)
def test_everybody_is_heard_but_ourselves(example: Example, identity: dict[str, Any], heard: bool) -> None:
    """If this fails, root's or IAM users' events are lost, or Evenkeel triggers itself forever."""
    event = deepcopy(example.event)
    event["detail"]["userIdentity"] = identity
    assert passes(example.control.group, event) is heard
    assert bool(parsing.parse(event, [example.control], PLACE).requests) is heard


@pytest.mark.parametrize("group", groups())
def test_patterns_are_within_eventbridges_limit(group: str) -> None:
    """If this fails, CloudFormation refuses the stack."""
    texts = pattern_texts(group)
    assert texts
    assert all(len(text) <= MAX_PATTERN_CHARACTERS for text in texts)
