"""Every control's judgement, as its decision table in ``tests/cases`` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from evenkeel.model import Change, NonCompliant, NotApplicable, NotReady
from evenkeel.registry import all_controls

from tests.cases.case import Case, cases

if TYPE_CHECKING:
    from evenkeel.control import Control

TABLE = [
    pytest.param(control, case, id=f"{control.id}: {case.why}")
    for control in all_controls().values()
    for case in cases(control.id)
]


@pytest.mark.parametrize(("control", "case"), TABLE)
def test_judgement(control: Control, case: Case) -> None:
    """If this fails, a control changes what it should leave, leaves what it should change, or changes it otherwise."""
    judged = control.judge(case.state, case.context(control))
    assert type(judged).__name__ == case.kind
    if isinstance(judged, NotApplicable | NotReady | NonCompliant):
        assert case.says
        assert case.says in judged.reason
    if isinstance(judged, NonCompliant):
        assert judged.change == (
            Change(case.calls, case.undo, judged.change.residue) if judged.change and case.calls else None
        )
        assert bool(judged.change and judged.change.residue) is case.residue
        assert bool(judged.caution) is bool(case.caution)
        assert case.caution in judged.caution
        assert bool(judged.remains) is bool(case.remains)
        assert case.remains in judged.remains


@pytest.mark.parametrize("control", all_controls().values(), ids=lambda control: control.id)
def test_table_reaches_every_kind_of_judgement_that_matters(control: Control) -> None:
    """If this fails, a control's table lacks a compliant state, a finding, or a state it must leave alone."""
    kinds = {case.kind for case in cases(control.id)}
    assert {"Compliant", "NonCompliant"} <= kinds
    assert len(cases(control.id)) >= 10


@pytest.mark.parametrize(("control", "case"), TABLE)
def test_judge_leaves_the_evidence_as_it_was(control: Control, case: Case) -> None:
    """If this fails, a judgement changes the state that the audit record holds as evidence."""
    before = repr(case.state)
    control.judge(case.state, case.context(control))
    assert repr(case.state) == before
