"""The demo, end to end: the real template, the real way of an event, and outcomes that are read, not believed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.model import Mode

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 60.0
ENFORCED = {name for name, control in all_controls().items() if control.default_mode is Mode.ENFORCE}
"""What acts when nothing is set; what only tells by default is not in the demo."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """The demo as a person runs it, and the folder that it wrote."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-c", "from evenkeel_cli.main import app; app()", "demo", "--output-dir", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300), folder


def entries(folder: Path) -> list[dict[str, Any]]:
    """Return the summary's entries."""
    found: list[dict[str, Any]] = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["resources"]
    return found


def test_every_finding_is_repaired(ran: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """The one promise of the product would be broken on the first command that a newcomer types."""
    process, folder = ran
    assert process.returncode == 0, process.stdout + process.stderr
    assert {each["outcome"] for each in entries(folder)} == {"REMEDIATED"}
    assert {each["control"] for each in entries(folder)} == ENFORCED


def test_every_control_that_acts_is_shown_on_a_weakened_resource_and_most_on_a_new_one(
    ran: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """A control that only sees creations, or none, would pass unnoticed."""
    times = Counter((each["control"], each["resource"]) for each in entries(ran[1]))
    twice = {control for (control, _), count in times.items() if count > 1}
    born_well = {"cloudtrail-logging", "s3-bucket-public-access-block"}  # as AWS and their makers leave them
    assert twice == ENFORCED - born_well


def test_times_and_calls_are_measured(ran: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """The figures that people quote would be made up: no time, no calls, or more calls than a repair needs."""
    for each in entries(ran[1]):
        assert 0 < each["milliseconds"] < SECONDS * 1000
        assert 1 <= each["calls"] <= 8


def test_what_on_call_reads_is_shown_with_its_cause_and_the_way_back(
    ran: tuple[subprocess.CompletedProcess[str], Path],
) -> None:
    """On-call's text would be missing from the demo, or name neither who did it nor how to take the repair back."""
    shown = ran[0].stdout
    assert re.search(r"\[MEDIUM\] REMEDIATED kms-key-rotation \S+ 123456789012 eu-west-1", shown)
    assert "user/bob with DisableKeyRotation" in shown
    assert re.search(r"evenkeel undo \S+ --stack evenkeel --region eu-west-1", shown)
    assert "Change: KeyRotationEnabled: false -> true" in shown
    assert (ran[1] / "alerts.txt").read_text(encoding="utf-8").count("REMEDIATED ") >= len(entries(ran[1]))


def test_near_misses_are_left_alone(ran: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """Evenkeel would change what nobody asked it to change, and the demo would not notice."""
    untouched = [line for line in ran[0].stdout.splitlines() if "untouched" in line]
    assert len(untouched) == 3
    assert any("RSA_2048 cannot rotate" in line for line in untouched)
    assert "3 near misses left alone" in ran[0].stdout


def test_the_output_fits_a_readme(ran: tuple[subprocess.CompletedProcess[str], Path]) -> None:
    """A recording in the README would need a scroll bar."""
    lines = ran[0].stdout.splitlines()
    assert not [line for line in lines if line.startswith(("✓", "·")) and "…" in line]
    # A folder's name may be long, and so a parameter's JSON, which stays whole.
    assert not [line for line in lines if len(line) > 100 and not line.lstrip().startswith(("files:", "'{"))]
    assert len(lines) <= 80
