"""``approve``, ``release`` and ``audit show``: what people are told, and what is refused before AWS is asked."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from evenkeel.cli_lines import SET_BACK
from evenkeel_cli.audit import view
from evenkeel_cli.aws import functions, proved, stacks
from evenkeel_cli.aws.stacks import Stack
from evenkeel_cli.changes import approvals
from evenkeel_cli.ui.failure import CommandError
from tests.cli.running import evenkeel, refuses

ARN, RECORD = "arn:aws:kms:eu-west-1:123456789012:key/1", "01a1f8a02e04-ff902f20115493f0"
CONTROL = "kms-key-rotation"
CALL = {"service": "kms", "operation": "enable_key_rotation", "params": {"KeyId": "1"}}
BACK = {"service": "kms", "operation": "disable_key_rotation", "params": {"KeyId": "1"}}


@pytest.fixture(autouse=True)
def stack(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stack stand that has one group and cannot be reached."""
    cloud: Any = lambda _: SimpleNamespace(meta=SimpleNamespace(region_name="eu-west-1"))  # noqa: E731 - any service
    outputs = {"Groups": "kms"}
    monkeypatch.setattr(stacks, "find", lambda *_: Stack("evenkeel", cloud, outputs, {}))


def _release(monkeypatch: pytest.MonkeyPatch, outcome: str) -> Any:
    result = {"outcome": outcome, "control": CONTROL, "resource": ARN, "reason": "rotation is off"}
    monkeypatch.setattr(proved, "ask", lambda *_, **__: {"results": [result]})
    return evenkeel("release", CONTROL, "--stack", "evenkeel", "--resource", ARN, "--yes")


@pytest.mark.parametrize(
    ("outcome", "told"),
    [("REMEDIATED", "  previous finding: rotation is off\n"), ("HELD", "  rotation is off\n")],
)
def test_what_was_found_is_not_told_as_what_is(monkeypatch: pytest.MonkeyPatch, outcome: str, told: str) -> None:
    """If this fails, whoever approved a repair reads below it that the resource is still weak."""
    result = _release(monkeypatch, outcome)
    assert result.stdout == f"{outcome}  {CONTROL} on {ARN}\n{told}"


def test_refusal_says_where_the_resources_records_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, the hint lists the records of all resources of the control."""
    hints: list[str] = []
    monkeypatch.setattr(proved, "ask", lambda *said, **_: hints.append(said[-1]) or {"results": []})
    for about in (("--resource", ARN), ()):
        assert evenkeel("release", CONTROL, "--stack", "evenkeel", "--yes", *about).exit_code == 0
    one, many = hints
    assert f"--since 30d --resource {ARN}" in one
    assert f"--since 30d --control {CONTROL}" in many


def _answers(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> list[dict[str, Any]]:
    """Let the function answer so, round after round; return what it is asked."""
    asked: list[dict[str, Any]] = []
    left = list(answers)

    def ask(_: Any, __: Any, payload: dict[str, Any], *_words: Any, **_more: Any) -> dict[str, Any]:
        asked.append(payload)
        answer = left.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        said: dict[str, Any] = answer
        return said

    monkeypatch.setattr(proved, "ask", ask)
    return asked


def _round(after: str | None, outcome: str = "RETURNED", name: str = ARN) -> dict[str, Any]:
    result = {"outcome": outcome, "control": CONTROL, "resource": name, "reason": "released"}
    return {"results": [result], "next": after}


def test_all_is_released_round_after_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, of thousands that are held as many are released as one minute is enough for."""
    rounds = _round("1st", name="a"), {"results": [], "next": "2nd"}, _round(None, name="b")
    asked = _answers(monkeypatch, *rounds)
    result = evenkeel("release", CONTROL, "--stack", "evenkeel", "--yes", "-o", "json")
    assert [each["resource"] for each in json.loads(result.stdout)] == ["a", "b"]
    assert (result.exit_code, result.stderr) == (0, "")
    assert [each.get("after") for each in asked] == [None, "1st", "2nd"]
    assert all(each["resource"] == "all" for each in asked)


def test_release_tells_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, whoever releases thousands sees nothing for minutes."""
    _answers(monkeypatch, _round("on"), _round(None))
    result = evenkeel("release", CONTROL, "--stack", "evenkeel", "--yes")
    assert "1 so far; there are more" in result.stderr


@pytest.mark.parametrize("stop", [CommandError("cannot release: throttled", "wait"), KeyboardInterrupt()])
def test_release_that_is_stopped_tells_what_was_done(monkeypatch: pytest.MonkeyPatch, stop: BaseException) -> None:
    """If this fails, what was released before the stop is not told, or the command seems to have done all."""
    _answers(monkeypatch, _round("on"), stop)
    result = evenkeel("release", CONTROL, "--stack", "evenkeel", "--yes", "-o", "json")
    assert (result.exit_code, len(json.loads(result.stdout))) == (1, 1)
    error = json.loads(result.stderr)["error"]
    assert "stopped after 1; what was released stays released" in error["message"]
    assert ("throttled" in error["message"]) == isinstance(stop, CommandError)


def test_what_was_busy_is_told_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a release that left something held ends with 0."""
    _answers(monkeypatch, _round("on", "SKIPPED"), _round(None))
    result = evenkeel("release", CONTROL, "--stack", "evenkeel", "--yes")
    assert (result.exit_code, "not everything was done" in result.stderr) == (1, True)


@pytest.mark.parametrize("about", [(), ("--resource", ARN)])
def test_nothing_is_released_unasked(monkeypatch: pytest.MonkeyPatch, about: tuple[str, ...]) -> None:
    """If this fails, one word without a question changes a resource that somebody had put on hold."""
    asked = _answers(monkeypatch)
    result = evenkeel("release", CONTROL, "--stack", "evenkeel", *about)
    assert (result.exit_code, asked) == (2, [])
    assert "nothing was released: the command asks for confirmation" in result.stderr


def test_what_is_sent_to_its_queue_is_told_as_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, whoever releases all reads RETURNED, as of what could not be served."""
    _answers(monkeypatch, _round(None))
    result = evenkeel("release", CONTROL, "--stack", "evenkeel", "--yes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"RELEASED  {CONTROL} on {ARN}\n  released; it is checked again within seconds\n"


def test_release_of_a_freeze_says_that_it_is_held_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a person releases what a freeze holds, and believes that it is repaired."""
    frozen = _round(None)
    frozen["results"][0]["held_by"] = {"kind": "freeze"}
    _answers(monkeypatch, frozen)
    assert "held again while the freeze lasts" in evenkeel("release", CONTROL, "--stack", "evenkeel", "--yes").stdout


def test_one_resource_that_was_not_looked_at_is_not_told_as_released(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a release of one resource that another worker was busy with, and that is lost, seems done."""
    result = _release(monkeypatch, "RETURNED")
    assert (result.exit_code, result.stdout.partition(" ")[0]) == (1, "RETURNED")


def test_release_into_an_approval_is_done_and_says_who_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a release that did all it could ends as failed, and nobody knows that somebody else is to act."""
    result = {"outcome": "AWAITING", "control": CONTROL, "resource": ARN, "reason": "waits", "record_id": RECORD}
    _answers(monkeypatch, {"results": [result]})
    said = evenkeel("release", CONTROL, "--stack", "evenkeel", "--resource", ARN, "--yes")
    assert (said.exit_code, said.stderr) == (0, "")
    assert (
        f"next, another person: evenkeel approve {RECORD} --stack evenkeel --region eu-west-1 --resource {ARN}\n"
        in said.stdout
    )


@pytest.mark.parametrize("about", [(), ("--resource", ARN)])
def test_releasing_nothing_has_one_ending(monkeypatch: pytest.MonkeyPatch, about: tuple[str, ...]) -> None:
    """If this fails, a script cannot tell that there was nothing to release, or who undid is not told of --resource."""
    refused = functions.RefusedError("NothingHeldError", f"cannot: {ARN}: not held by {CONTROL}", "")
    said = []
    for output in ("table", "json"):
        _answers(monkeypatch, refused if about else {"results": []})
        said.append(evenkeel("release", CONTROL, "--stack", "evenkeel", "--yes", "-o", output, *about))
    assert [(each.exit_code, each.stderr) for each in said] == [(0, "")] * 2
    assert "Nothing was held. (To release what was undone, give --undone-since" in said[0].stdout
    assert said[1].stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "told", "hint"),
    [
        (["nope"], "control nope: not known", "Known: cloudtrail-logging, "),
        (["kms-rotation"], "control kms-rotation: not known", f"Did you mean {CONTROL}"),
        (["kms-rotation", "--drop"], "control kms-rotation: not known", f"Did you mean {CONTROL}"),
        (
            [CONTROL, "--drop", "--because", "b"],
            "--drop needs --resource",
            "evenkeel audit list --outcome HELD",
        ),
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


@pytest.mark.parametrize(
    ("kind", "message", "hint"),
    [
        ("UnprovedCallerError", "caller: signed more than five minutes ago; sign again", "this machine's clock"),
        (
            "ApprovalRefusedError",
            f"{ARN}: it awaits approval; approve or reject record {RECORD}",
            f"audit list --stack evenkeel --region eu-west-1 --since 30d --resource {ARN}",
        ),
        ("MalformedPayloadError", "because: write a text", "the stack is older than this command"),
    ],
)
def test_each_refusal_says_what_to_do_about_it(
    monkeypatch: pytest.MonkeyPatch, kind: str, message: str, hint: str
) -> None:
    """If this fails, somebody whose clock is wrong is sent to read audit records."""

    def invoke(**_: Any) -> dict[str, Any]:
        return {"Payload": io.BytesIO(json.dumps(refuses(kind, message)).encode())}

    clients: Any = lambda _: SimpleNamespace(meta=SimpleNamespace(endpoint_url="https://sts", region_name="eu-west-1"))  # noqa: E731 - as above
    clients.session, clients.client = None, lambda *_, **__: SimpleNamespace(invoke=invoke)
    outputs = {"Groups": "kms"}
    monkeypatch.setattr(stacks, "find", lambda *_: Stack("evenkeel", clients, outputs, {}))
    monkeypatch.setattr(proved, "sign", lambda *_: {})
    result = evenkeel("release", CONTROL, "--stack", "evenkeel", "--resource", ARN, "--yes")
    assert result.exit_code == (2 if kind == "MalformedPayloadError" else 1)
    assert result.stderr.startswith(f"error: cannot release {CONTROL}: {message}\n")
    assert hint in result.stderr


@pytest.mark.parametrize("arguments", [("approve", "--yes"), ("reject", "--because", "b")])
def test_what_does_not_wait_is_told_before_anybody_is_asked(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """If this fails, a person is shown calls that will be made, and asked, about a change that was made long ago."""
    monkeypatch.setattr(approvals, "Reader", _Reader(outcome="REMEDIATED"))
    verb, *options = arguments
    result = evenkeel(verb, RECORD, "--stack", "evenkeel", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"cannot {verb} record {RECORD} of {ARN}: it is REMEDIATED, not waiting for approval" in result.stderr
    assert "evenkeel audit list --stack evenkeel --region eu-west-1 --outcome AWAITING" in result.stderr


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
        ({"outcome": "REMEDIATED"}, "changed", f"undo by hand ({SET_BACK})"),
        ({"outcome": "FAILED"}, "tried", f"undo by hand ({SET_BACK})"),
        ({"outcome": "ANNOUNCED"}, "would call", "would undo"),
        ({"outcome": "AWAITING"}, "would call", "would undo"),
        ({"outcome": "HELD"}, "would call", "would undo"),
        ({"outcome": "REJECTED"}, "not called", "would undo"),
        ({"step": "PLANNED"}, "calls", f"undo by hand ({SET_BACK})"),
    ],
)
def test_calls_that_were_never_made_are_not_shown_as_made(
    monkeypatch: pytest.MonkeyPatch, differs: dict[str, str], calls: str, back: str
) -> None:
    """If this fails, who reads the audit believes that an announced change was made, and has a way back."""
    monkeypatch.setattr(view, "Reader", _Reader(**differs))
    shown = evenkeel("audit", "show", RECORD, "--stack", "evenkeel").stdout.splitlines()
    assert shown[-4:] == [
        f"  {calls}",
        "    aws kms enable-key-rotation --key-id 1 --region eu-west-1",
        f"  {back}",
        "    aws kms disable-key-rotation --key-id 1 --region eu-west-1",
    ]
