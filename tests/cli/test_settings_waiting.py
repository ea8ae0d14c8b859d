"""Which announced findings a push leaves waiting."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from evenkeel.cli_lines import own_line
from evenkeel.settings import parser
from evenkeel.settings.rules import Subject
from evenkeel_cli.settings import waiting
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from evenkeel_cli.aws.stacks import Stack

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
CONTROL, KEY = "kms-key-rotation", "arn:aws:kms:eu-west-1:123456789012:key/1"
STACK = cast(
    "Stack",
    SimpleNamespace(name="evenkeel-prod", region="eu-west-1", line=partial(own_line, "evenkeel-prod", "eu-west-1")),
)
EXEMPTION = {"controls": ["*"], "resources": [KEY], "reason": "r", "approver": "a", "expires": "2027-01-01"}


def _settings(mode: str, control: str = CONTROL, **more: Any) -> parser.Settings:
    return parser.parse(json.dumps({"schema_version": 1, "controls": {control: {"mode": mode}}, **more}))


@pytest.mark.parametrize(
    ("old", "new", "waits"),
    [
        ("notify", "enforce", True),
        ("notify", "approve", True),
        ("off", "enforce", True),
        ("approve", "enforce", False),
        ("enforce", "notify", False),
        ("notify", "notify", False),
        ("notify", "off", False),
    ],
)
def test_only_a_raised_mode_leaves_findings_waiting(old: str, new: str, waits: bool) -> None:
    """If this fails, a push asks for a run that changes nothing, or keeps quiet about one that is needed."""
    subject = Subject(KEY, "123456789012", "eu-west-1")
    assert waiting.raised(_settings(old), _settings(new), CONTROL, subject, NOW) is waits
    assert not waiting.raised(_settings(old), _settings(new, exemptions=[EXEMPTION]), CONTROL, subject, NOW)


def test_settings_that_say_the_same_ask_nothing_of_aws() -> None:
    """If this fails, each push reads a month of the audit table; the stack here could not be read at all."""
    assert waiting.waiting(STACK, _settings("notify"), _settings("notify"), NOW) == {}
    only = "lambda-deprecated-runtime"
    assert waiting.waiting(STACK, _settings("off", only), _settings("notify", only), NOW) == {}


def test_command_can_be_copied_whole() -> None:
    """If this fails, who copies the line runs it on another stack, or in another region."""
    one, many = waiting.sentences(STACK, {CONTROL: 1, "rds-public-access": 1200})
    assert one.startswith(f"1 announced finding of {CONTROL} of the last 30 days waits for an event.")
    assert one.endswith(f"\n  evenkeel run {CONTROL} --stack evenkeel-prod --region eu-west-1 --all")
    assert many.startswith("1,200 announced findings of rds-public-access of the last 30 days wait for an event.")


def test_push_of_somebody_who_may_not_read_the_audit_says_so() -> None:
    """If this fails, settings that are live are told as an error, or the count as zero."""
    told = waiting.uncounted(CommandError("access denied by AWS at Query", "Ask for the permission."))
    assert told == (
        "The announced findings that wait could not be counted: access denied by AWS at Query. Ask for the permission."
    )
