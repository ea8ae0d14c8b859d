"""What each outcome means, said once."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType

import pytest

from evenkeel import cli_lines, outcome
from evenkeel.outcome import Calls, Kind, NextStep, Outcome
from evenkeel_cli.audit import reader
from notifier import next_steps


@pytest.mark.parametrize("each", list(Outcome))
def test_each_outcome_has_a_complete_meaning(each: Outcome) -> None:
    """If this fails, docs, alerts or listings show an outcome that nobody can make sense of."""
    meaning = each.meaning
    assert meaning.says.endswith(".")
    assert each.value == each.name
    if meaning.kind is Kind.ANSWER:
        assert (meaning.next_step, meaning.noted, meaning.done) == (NextStep.NONE, False, "")
    if meaning.kind is Kind.SYSTEM:
        assert (meaning.calls, meaning.out_of_line, meaning.noted) == (Calls.NONE, False, False)
    if meaning.kind is Kind.RESOURCE and meaning.announced:
        assert meaning.done
        assert meaning.next_step is not NextStep.NONE
        assert meaning.calls is not Calls.NONE
    assert meaning.out_of_line or not meaning.prevented


def test_a_new_outcome_without_a_meaning_is_refused_at_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, an outcome can be added that no listing, alert or page knows anything of."""
    source = inspect.getsource(outcome)
    more = source.replace("    # fmt: on", '    NEWER = "NEWER"\n    # fmt: on')
    assert more != source
    module = ModuleType("newer")
    monkeypatch.setitem(sys.modules, "newer", module)
    with pytest.raises(TypeError, match="NEWER: an outcome needs a meaning"):
        exec(more, module.__dict__)  # noqa: S102 - our own source


def test_all_audited_outcomes_can_be_listed() -> None:
    """If this fails, an outcome of the audit table cannot be asked for, or one that is not in it can."""
    audited = {
        *("REMEDIATED", "PARTIAL", "APPLIED", "ANNOUNCED", "DENIED", "FAILED", "AWAITING", "REJECTED", "HELD"),
        *("UNDONE", "EXPIRING", "DROPPED", "REDRIVEN", "PAUSED", "RESUMED", "PUSHED", "STOPPED", "OPENED", "ENDED"),
    }
    assert {each.value for each in Outcome if each.meaning.audited} == audited
    assert {*reader.KINDS} == {*audited, "PLANNED"}


def test_each_next_step_is_worded() -> None:
    """If this fails, an alert cannot be made of an outcome, and all alerts behind it wait."""
    assert {*next_steps.STEPS} == {*NextStep}


def test_what_was_changed_is_shown_as_changed_before_its_proof() -> None:
    """If this fails, ``audit show`` does not say of a change without proof that its calls were made."""
    assert cli_lines.done("APPLIED") == "Changed"
    assert cli_lines.done("PLANNED") == "Calls"
    assert cli_lines.back("APPLIED").startswith("Undo by hand")
    assert cli_lines.back("HELD") == "Would undo"
