"""The demo's verdicts, figures and texts, without a sandbox."""

from __future__ import annotations

import io
import shlex
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from evenkeel_cli.local.demo import summary
from evenkeel_cli.local.demo_screen import Screen, wrapped
from evenkeel_cli.local.demo_story import Deed
from evenkeel_cli.local.demo_watch import Alert, Case

ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234"
CALL = {"service": "kms", "operation": "enable_key_rotation", "params": {"KeyId": "1234", "RotationPeriodInDays": 365}}


def case(**settings: Any) -> Case:
    """Return a case of a key that was repaired 250 ms after its deed."""
    at = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
    deed = Deed("bob", "key 1234", ARN, "DisableKeyRotation", at)
    record = {
        "outcome": "REMEDIATED",
        "at": "2026-11-20T12:00:00.250+00:00",
        "aws_calls": 4,
        "calls": [CALL],
        "reason": "rotation is off",
    }
    base = Case(deed, "kms-key-rotation", lambda _world, _arn: "", must_repair=True, done=True, record=record)
    return replace(base, **settings)


def test_the_summary_has_exactly_the_promised_form() -> None:
    """A tool that reads the summary would not find the outcome or the time."""
    expected = {
        "control": "kms-key-rotation",
        "resource": ARN,
        "outcome": "REMEDIATED",
        "milliseconds": 250,
        "calls": 4,
    }
    assert summary([case()]) == {"resources": [expected]}


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"trouble": "the audit says REMEDIATED, but rotation is off"}, "NOT_REPAIRED"),
        ({"record": {}, "trouble": "no outcome"}, "NOT_REPAIRED"),
        ({"record": {**case().record, "outcome": "DENIED"}, "trouble": "ended as DENIED"}, "DENIED"),
    ],
)
def test_a_repair_that_our_own_read_denies_is_no_repair(given: dict[str, Any], outcome: str) -> None:
    """The summary would repeat the audit's word for a resource that is still weak."""
    assert summary([case(**given)])["resources"][0]["outcome"] == outcome


def test_a_near_miss_that_was_left_alone_is_no_finding() -> None:
    """The summary would count what must not be repaired as a repair, or as a failure."""
    assert summary([case(must_repair=False, record={}, reason="cannot rotate")]) == {"resources": []}


@pytest.mark.parametrize("width", [20, 40, 96])
@pytest.mark.parametrize(
    "command",
    [
        ["aws", "kms", "enable-key-rotation", "--key-id", "1234-5678-90", "--rotation-period-in-days", "365"],
        ["aws", "logs", "put", "--log-group-name", '/it\'s "odd"/$HOME', "--tags", '{"a": "b c", "d": "e\'f"}'],
        ["aws", "x", "--name", "", "--long", "word" * 40, "--last"],
    ],
)
def test_a_wrapped_command_is_the_same_command_to_a_shell(command: list[str], width: int) -> None:
    """Who pastes a line from the demo would run another call than Evenkeel did."""
    lines = wrapped(shlex.join(command), width)
    assert lines[0].startswith("$ ")
    script = "set -- " + "\n".join(lines)[2:] + "\nprintf '%s\\0' \"$@\""
    understood = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
    assert understood.split("\0")[:-1] == command


def shown(width: int, *cases: Case) -> str:
    """Return what the screen shows of cases."""
    target = io.StringIO()
    screen = Screen(Console(file=target, width=width, markup=False))
    for each in cases:
        screen.ended(each)
    screen.alert(Alert("r", "subject", f"Changed: {'long ' * 60}"), 1)
    screen.end(cases, "summary.json in [build]/demo")
    return target.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    """A row would break into two and the columns would be lost, in an 80-column terminal, too."""
    rows = shown(width, case()).split("What on-call reads")[0].splitlines()
    assert max(map(len, rows)) <= width
    assert "rotation is off" in rows[0]


def test_the_same_call_on_another_resource_is_not_shown_again() -> None:
    """Seven equal calls would fill the screen and hide the one that differs."""
    other = replace(case().deed, arn=ARN.replace("1234", "5678"), name="key 5678")
    same = {**CALL, "params": {**CALL["params"], "KeyId": "5678"}}
    different = {**CALL, "params": {**CALL["params"], "RotationPeriodInDays": 90}}
    text = shown(
        120,
        case(),
        case(deed=other, record={**case().record, "calls": [same]}),
        case(record={**case().record, "calls": [different]}),
    )
    assert text.count("$ aws kms enable-key-rotation") == 2
    assert "--rotation-period-in-days 90" in text


def test_what_was_only_announced_is_counted() -> None:
    """If this fails, nobody learns that there were findings beside those repaired."""
    target = io.StringIO()
    screen = Screen(Console(file=target, width=80, markup=False))
    screen.end([case()], "files", 2)
    assert "2 more were only announced: see alerts.txt\n" in target.getvalue()
    assert "announced" not in shown(80, case())


def test_trouble_is_shown_and_counted() -> None:
    """A demo that failed would look like one that went well."""
    text = shown(100, case(), case(trouble="the audit says REMEDIATED, but rotation is off"))
    assert "but rotation is off" in text
    assert "✗ 1 of 2 findings repaired" in text
