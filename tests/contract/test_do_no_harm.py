"""What a control leaves alone is left alone by the whole pipeline: no change, no record, no announcement."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.cases.case import NOW, Case, cases
from tests.contract.registry import CONTROLS
from tests.world import request

if TYPE_CHECKING:
    from evenkeel.control import Control
    from tests.world import World

ENGINES = {"dynamodb:TransactWriteItems", "dynamodb:UpdateItem"}
"""The engine's own writes: the record of what was announced, and counters."""
LEFT_ALONE = [
    pytest.param(control, case, id=f"{control.id}: {case.why}")
    for control in CONTROLS
    for case in cases(control.id)
    if case.kind in {"Compliant", "NotApplicable", "NotReady"}
]
ONLY_PEOPLE = [
    pytest.param(control, case, id=f"{control.id}: {case.why}")
    for control in CONTROLS
    for case in cases(control.id)
    if case.kind == "NonCompliant" and (case.caution or not case.calls)
]


def _run(world: World, monkeypatch: pytest.MonkeyPatch, control: Control, case: Case) -> Any:
    """Take a case's resource through the pipeline, its state read as the case has it and its control set to enforce."""
    context = case.context(control)
    monkeypatch.setattr(control, "read", lambda *_: case.state)
    mode = {"mode": "enforce"} if not control.only_announces else {}
    parameters = dict(context.parameters)
    document = {"schema_version": 1, "controls": {control.id: {**mode, "parameters": parameters}}}
    wish = request(control.id, context.resource.arn, creates=case.creates, actor=context.actor)
    if case.found:
        wish = replace(wish, cause=replace(wish.cause, origin="config"))
    world.now = NOW
    return world.run(control.id, wish, document={**document, "settle_seconds": 0})


@pytest.mark.parametrize(("control", "case"), LEFT_ALONE)
def test_what_is_left_alone_is_not_even_recorded(
    world: World, monkeypatch: pytest.MonkeyPatch, control: Control, case: Case
) -> None:
    """If this fails, something changes, or people are told, about a resource that is none of the control's business."""
    result = _run(world, monkeypatch, control, case)
    assert result.outcome in {"COMPLIANT", "NOT_APPLICABLE", "RETURNED"}
    assert world.wire.changes() == []
    assert world.records() == []


@pytest.mark.parametrize(("control", "case"), ONLY_PEOPLE)
def test_what_only_people_may_do_is_told_and_not_done(
    world: World, monkeypatch: pytest.MonkeyPatch, control: Control, case: Case
) -> None:
    """If this fails, a change that deletes, interrupts or costs is made because the mode is enforce."""
    result = _run(world, monkeypatch, control, case)
    assert result.outcome == "ANNOUNCED"
    assert set(world.wire.changes()) <= ENGINES
