"""``approve``, ``release`` and ``audit show``: what people are told, and what is refused before AWS is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from evenkeel_cli import audit_view, proved, stacks
from evenkeel_cli.stacks import Stack
from tests.cli.running import evenkeel

ARN, RECORD = "arn:aws:kms:eu-west-1:123456789012:key/1", "01a1f8a02e04-ff902f20115493f0"
CONTROL = "kms-key-rotation"
CALL = {"service": "kms", "operation": "enable_key_rotation", "params": {"KeyId": "1"}}
BACK = {"service": "kms", "operation": "disable_key_rotation", "params": {"KeyId": "1"}}


@pytest.fixture(autouse=True)
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stack stand that has one group and cannot be reached."""
    cloud: Any = lambda _: SimpleNamespace(meta=SimpleNamespace(region_name="eu-west-1"))  # noqa: E731 - any service
    outputs = {"KmsFunctionName": "evenkeel-kms", "KmsQueueUrl": "https://queue"}
    monkeypatch.setattr(stacks, "find", lambda *_: Stack("evenkeel", cloud, outputs, {}))


def _release(monkeypatch: pytest.MonkeyPatch, outcome: str) -> Any:
    result = {"outcome": outcome, "control": CONTROL, "resource": ARN, "reason": "rotation is off"}
    monkeypatch.setattr(proved, "ask", lambda *_: {"results": [result]})
    return evenkeel("release", CONTROL, "--stack", "evenkeel", "--resource", ARN)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [("REMEDIATED", "  found before: rotation is off\n"), ("HELD", "  rotation is off\n")],
)
def test_what_was_found_is_not_told_as_what_is(monkeypatch: pytest.MonkeyPatch, outcome: str, told: str) -> None:
    """If this fails, whoever approved a repair reads below it that the resource is still weak."""
    result = _release(monkeypatch, outcome)
    assert result.stdout == f"{outcome}  {CONTROL} on {ARN}\n{told}"


def test_refusal_says_where_the_resources_records_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the hint lists the records of all resources of the control."""
    hints: list[str] = []
    monkeypatch.setattr(proved, "ask", lambda *said: hints.append(said[-1]) or {"results": []})
    for about in (("--resource", ARN), ("--yes",)):
        assert evenkeel("release", CONTROL, "--stack", "evenkeel", *about).exit_code == 0
    one, many = hints
    assert f"--resource {ARN} --since" in one
    assert f"--control {CONTROL} --since" in many


@pytest.mark.parametrize(
    ("arguments", "told", "hint"),
    [
        (["nope"], "control nope: there is no such", "Known are cloudtrail-logging, "),
        (["kms-rotation"], "control kms-rotation: there is no such", f"Did you mean {CONTROL}"),
        (["kms-rotation", "--drop"], "control kms-rotation: there is no such", f"Did you mean {CONTROL}"),
        ([CONTROL, "--drop", "--because", "b"], "--drop needs --resource", f"--control {CONTROL} --outcome HELD"),
        ([CONTROL, "--drop", "--resource", ARN], "--drop needs --because", "--because"),
        ([CONTROL, "--resource", "1"], "--resource 1: not an ARN", "whole ARN"),
    ],
)
def test_what_cannot_be_released_is_told_before_anybody_is_asked(arguments: list[str], told: str, hint: str) -> None:
    """If this fails, a person is asked to confirm what cannot be, or told of another mistake than their own."""
    result = evenkeel("release", *arguments, "--stack", "evenkeel")
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert hint in result.stderr


class _Reader:
    """An audit of one record."""

    def __init__(self, **differs: str) -> None:
        self.only = {"record_id": RECORD, "resource": ARN, "control": CONTROL, "region": "eu-west-1", "reason": "off",
                     "calls": [CALL], "undo": [BACK], **differs}  # fmt: skip

    def __call__(self, _: Stack) -> _Reader:
        return self

    def record(self, *_: str) -> dict[str, Any]:
        return self.only

    def all_of(self, _: str) -> list[dict[str, Any]]:
        return [self.only]

    def heads(self, *_: Any) -> dict[tuple[str, str], dict[str, str]]:
        return {}


@pytest.mark.parametrize(
    ("differs", "calls", "back"),
    [
        ({"outcome": "REMEDIATED"}, "changed", "take back"),
        ({"outcome": "FAILED"}, "tried", "take back"),
        ({"outcome": "ANNOUNCED"}, "would call", "would take back"),
        ({"outcome": "AWAITING"}, "would call", "would take back"),
        ({"outcome": "HELD"}, "would call", "would take back"),
        ({"outcome": "REJECTED"}, "not called", "would take back"),
        ({"step": "PLANNED"}, "calls", "take back"),
    ],
)
def test_calls_that_were_never_made_are_not_shown_as_made(
    monkeypatch: pytest.MonkeyPatch, differs: dict[str, str], calls: str, back: str
) -> None:
    """If this fails, who reads the audit believes that an announced change was made, and has a way back."""
    monkeypatch.setattr(audit_view, "Reader", _Reader(**differs))
    shown = evenkeel("audit", "show", RECORD, "--stack", "evenkeel").stdout.splitlines()
    assert shown[-4:] == [
        f"  {calls}",
        "    aws kms enable-key-rotation --key-id 1 --region eu-west-1",
        f"  {back}",
        "    aws kms disable-key-rotation --key-id 1 --region eu-west-1",
    ]
