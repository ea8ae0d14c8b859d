"""``evenkeel controls``: the registry, for people and machines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from evenkeel.control import SECTIONS
from evenkeel.control.registry import all_controls
from tests.cli.running import evenkeel

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions" / "controls"
PROMISED = {"id", "title", "severity", "group", "mode", "triggers", "frameworks", "permissions", "cost", "mode_why"}
PROMISED |= {"runbook", "reference"}


def test_every_control_in_the_repository_is_listed() -> None:
    """A control that the registry's listing forgets would act without anybody knowing that it exists."""
    modules = FUNCTIONS.glob("*/*.py")
    classes = [path for path in modules if re.search(r"(?m)^    severity = ", path.read_text(encoding="utf-8"))]
    listed = {each["id"] for each in json.loads(evenkeel("controls", "--output", "json").stdout)}
    expected = {f"{path.parent.name.removeprefix('aws')}-{path.stem}".replace("_", "-") for path in classes}
    assert listed == expected


def test_json_says_all_that_is_promised_of_each_control() -> None:
    """A field that is missing or empty would leave a tool that reads the registry guessing."""
    for control in json.loads(evenkeel("controls", "-o", "json").stdout):
        assert control.keys() >= PROMISED
        assert all(control[name] for name in PROMISED)


def test_the_table_names_each_control_with_severity_and_mode() -> None:
    """People would not find the control's id, which every other command and setting asks for."""
    lines = evenkeel("controls").stdout.splitlines()
    for control in json.loads(evenkeel("controls", "-o", "json").stdout):
        row = next(line for line in lines if line.startswith(control["id"]))
        assert control["severity"] in row
        assert control["mode"] in row


def test_json_is_in_the_order_of_the_table() -> None:
    """If this fails, the two forms of one listing cannot be compared line by line."""
    names = [control["id"] for control in json.loads(evenkeel("controls", "-o", "json").stdout)]
    assert names == sorted(names)


def test_one_control_is_told_in_full() -> None:
    """Who asks what a control may call, and what it costs, would have to read code."""
    shown = " ".join(evenkeel("controls", "kms-key-rotation").stdout.split())
    for wanted in ("kms:EnableKeyRotation", "DisableKeyRotation", "KMS.4", "one dollar a month", "period_days = 365"):
        assert wanted in shown


def test_each_section_of_a_docstring_is_told_by_itself() -> None:
    """If this fails, why a control has its mode is glued to what its undo does, or is told nowhere."""
    told = json.loads(evenkeel("controls", "kms-key-rotation", "-o", "json").stdout)
    sections = all_controls()["kms-key-rotation"].sections
    keys = {"Why": "why", "Blast radius": "impact", "Cost": "cost", "Undo": "undo", "Mode": "mode_why"}
    keys |= {"Runbook": "runbook"}
    assert sections.keys() == set(SECTIONS) == keys.keys()
    assert {name: told[key] for name, key in keys.items()} == sections
    assert not [text for text in sections.values() for name in SECTIONS if f"{name}:" in text]


def test_no_line_is_broken_in_a_pipe() -> None:
    """A listing that is piped to a file or to grep would have its sentences cut, or broken in two."""
    output = evenkeel("controls").stdout
    for control in json.loads(evenkeel("controls", "-o", "json").stdout):
        [row] = [line for line in output.splitlines() if line.startswith(f"{control['id']} ")]
        assert control["title"] in row


@pytest.mark.parametrize(
    ("given", "meant"),
    [("kms-rotation", "kms-key-rotation"), ("retention", "logs-group-retention"), ("KMS", "kms-key-rotation")],
)
def test_an_unknown_control_is_a_usage_error_with_what_was_meant(given: str, meant: str) -> None:
    """A misspelt id would end as success, or leave the person without the right one."""
    result = evenkeel("controls", given)
    assert result.exit_code == 2
    assert given in result.stderr
    assert meant in result.stderr
    assert not result.stdout


def test_an_error_is_json_where_json_was_asked_for() -> None:
    """A script would have to parse prose to learn why it got nothing."""
    error = json.loads(evenkeel("controls", "nothing-like-it", "-o", "json").stderr)["error"]
    assert "nothing-like-it" in error["message"]
    assert error["next"]
