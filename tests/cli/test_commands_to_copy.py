"""What people copy from alerts, errors and pages is a whole command that the real command line takes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from evenkeel.model import Outcome
from notifier import alert
from notifier.next_steps import Home
from tests.cli.parsing import ROOT, commands, parsed, written
from tests.unit.test_alert import RECORD

WHERE = {"stack": "evenkeel-prod", "region": "eu-west-1"}
WRITTEN = [*written(ROOT / "cli"), *written(ROOT / "functions")]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
AUDITED = [each for each in Outcome if each.meaning.audited]


@pytest.fixture(autouse=True)
def _no_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENKEEL_STACK", raising=False)


@pytest.mark.parametrize("undo", [True, False])
@pytest.mark.parametrize("more", [{}, {"undoes": "r-0"}, {"mode": "notify"}, {"calls": []}, {"undo": []}])
@pytest.mark.parametrize("outcome", AUDITED)
def test_each_command_of_an_alert_is_taken_and_names_its_stack(
    outcome: Outcome, more: dict[str, Any], undo: bool
) -> None:
    """If this fails, what on-call pastes at 3 a.m. ends in a usage error, or asks another stack."""
    odd = "arn:aws:logs:eu-west-1:123456789012:log-group:/it's a $HOME;rm"
    record = {**RECORD, "outcome": outcome, "resource": odd, **more}
    text = alert.outcome(record, Home(**WHERE, undo=undo)).text
    assert text.count("evenkeel ") == len(commands(text))
    for command in commands(text):
        values = parsed(command)
        assert {name: values[name] for name in WHERE} == WHERE
        given = values.get("resource")
        assert given in (None, "", odd) or list(given) == [odd]


def test_the_command_of_an_alert_of_tampering_is_taken() -> None:
    """If this fails, what on-call pastes after a tampered record ends in a usage error."""
    text = alert.tampering("REMOVE", RECORD, {}, Home(**WHERE, undo=True)).text
    [command] = commands(text)
    assert parsed(command).items() >= WHERE.items()


@pytest.mark.parametrize(("where", "command"), WRITTEN, ids=[where for where, _ in WRITTEN])
def test_each_command_that_the_code_writes_is_taken(where: str, command: str) -> None:
    """If this fails, an error or a next step names an option or a command that there is not."""
    assert parsed(command)["stack"] == "evenkeel", where


def test_no_command_with_a_stack_is_written_by_hand() -> None:
    """If this fails, a command goes around the one place that quotes it and names stack and region."""
    by_hand = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("cli", "functions", "layers")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"evenkeel [a-z ]*[^`]*--stack", line) and "Return e.g." not in line
    ]
    assert by_hand == []
    assert len(WRITTEN) > 30


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_each_command_of_a_page_is_taken(page: Any) -> None:
    """If this fails, a page teaches an option or a command that there is not."""
    text = re.sub(r"(?s)<details>.*?</details>", "", page.read_text(encoding="utf-8"))  # lists of modules
    found = re.findall(r"(?m)^ {4}(?:[A-Z_]+=\S+ )*(evenkeel [^\n]*)$", text) + re.findall(r"`(evenkeel [^`]*)`", text)
    for command in found:
        whole = command.split("  #")[0].strip()
        if re.search(r"[\[\]|…]|--help|--version", whole) or " -" not in whole:
            continue  # a synopsis, the name of a command, or what ends before it is taken
        parsed(whole)
