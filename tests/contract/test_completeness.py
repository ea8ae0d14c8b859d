"""Every control is whole: people can read about it, be audited by it, find all its resources, and see its events."""

from __future__ import annotations

import inspect
import re
from dataclasses import astuple
from typing import TYPE_CHECKING

import pytest

from evenkeel.control.triggers import CloudTrail, find
from evenkeel.model import Mode
from evenkeel.runtime.aws import Aws
from tests.cases.case import cases, changes, maker
from tests.contract.registry import CONTROLS, MATCHES, ROOT, matched_names
from tests.factories import ARNS
from tests.world import PLACE, client

if TYPE_CHECKING:
    from evenkeel.control import Control
    from tests.world import World

EACH = pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)


@EACH
def test_control_has_its_page(control: Control) -> None:
    """If this fails, people find nothing about a control that may change their resources."""
    page = (ROOT / "docs" / "controls" / f"{control.id}.md").read_text()
    assert control.title in page
    assert f"| Default mode | {control.default_mode} |" in page


@EACH
def test_default_mode_has_its_reason(control: Control) -> None:
    """If this fails, nobody knows why a control acts, or only tells, when nothing is set."""
    text = inspect.cleandoc(type(control).__doc__ or "")
    reason = re.search(r"^Mode: (\w+), since (.{15,})", text, flags=re.MULTILINE)
    assert reason, control.id
    assert Mode(reason[1]) is control.default_mode


@EACH
def test_control_is_known_to_a_framework(control: Control) -> None:
    """If this fails, an auditor cannot tell which of their checks a control answers."""
    assert any(astuple(control.frameworks))


@EACH
def test_what_undo_cannot_take_back_is_said(control: Control) -> None:
    """If this fails, people learn only afterwards that something stays."""
    for change in changes(control):
        assert change.undo or change.residue
        assert not change.residue or change.residue == change.residue.strip(" .")


@pytest.mark.parametrize(
    ("control", "kind"),
    [
        pytest.param(control, kind, id=f"{control.id}: {kind}")
        for control in CONTROLS
        for kind, arn in ARNS.items()
        if control.applies_to(arn)
    ],
)
def test_discovery_finds_what_is_there(world: World, control: Control, kind: str) -> None:
    """If this fails, a backfill over all resources leaves some out."""
    arn = maker(control.id, kind)()
    assert arn in set(control.discover(Aws(client), PLACE))


@EACH
def test_every_way_to_the_resource_is_shown_by_an_example(control: Control) -> None:
    """If this fails, a path into an event is misspelt, or stands there for an event that nobody has seen."""
    mine = [example.event for example in MATCHES if example.control is control]
    for trigger in control.triggers:
        if isinstance(trigger, CloudTrail):
            events = [event["detail"] for event in mine if matched_names(trigger, event)]
            unseen = [path for path in _alternatives(trigger.at) if not any(find(path, event) for event in events)]
            assert unseen == [], trigger


def _alternatives(path: str) -> list[str]:
    """Return the parts of ``a || b || c``, but not those of an inner expression."""
    parts, depth = [""], 0
    for word in path.split(" "):
        if word == "||" and not depth:
            parts.append("")
            continue
        depth += word.count("[") + word.count("{") - word.count("]") - word.count("}")
        parts[-1] = f"{parts[-1]} {word}".strip()
    return parts


@EACH
def test_table_has_what_the_control_leaves_alone(control: Control) -> None:
    """If this fails, nobody has said what a control must not touch."""
    assert {case.kind for case in cases(control.id)} - {"NonCompliant"}
