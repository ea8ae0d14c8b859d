"""Undo where the function is missing, crashes, or is busy: what a healthy sandbox does not play."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from evenkeel_cli.aws import functions
from evenkeel_cli.aws.functions import RefusedError
from evenkeel_cli.aws.stacks import Stack
from evenkeel_cli.changes import undo_command
from evenkeel_cli.changes.undo_command import Undoing
from evenkeel_cli.ui.failure import CommandError, Exit
from tests.cli.running import refuses

ARN, RECORD = "arn:aws:kms:eu-west-1:123456789012:key/1", "01a1f8a02e04-ff902f20115493f0"


class Function:
    """A cloud whose one function gives these answers in turn."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        """Keep the answers."""
        self.answers = list(answers)
        self.session = None
        self.meta = SimpleNamespace(endpoint_url="https://sts", region_name="eu-west-1")

    def __call__(self, _: str) -> Any:
        """Return itself as any client."""
        return self

    def client(self, *_: str, **__: int) -> Any:
        """Return itself as the client of the function."""
        return self

    def invoke(self, **_: Any) -> dict[str, Any]:
        """Answer."""
        answer = self.answers.pop(0)
        error = {"FunctionError": "Unhandled"} if "errorType" in answer else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **error}


def undoing(function: Function, monkeypatch: pytest.MonkeyPatch) -> Undoing:
    """Return the undo function of a stack; nothing is signed and nobody waits."""
    monkeypatch.setattr(undo_command, "sign", lambda *_: {})
    monkeypatch.setattr(functions.time, "sleep", lambda _: None)
    return Undoing(Stack("evenkeel", cast("Any", function), {"UndoFunctionName": "evenkeel-undo"}, {}), print)


def test_a_stack_without_the_function_says_how_to_get_it() -> None:
    """Undo is off by default: people would look for a defect."""
    with pytest.raises(CommandError, match="no undo function") as refused:
        Undoing(Stack("evenkeel", cast("Any", Function()), {}, {}), print)
    assert "EnableUndo=true" in refused.value.next_step
    assert refused.value.code is Exit.USAGE


def test_whoever_is_busy_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event in the middle of a wave would leave a change behind."""
    busy = refuses("LeaseHeldError", "another worker is busy with it")
    assert undoing(Function(busy, busy, {"outcome": "UNDONE"}), monkeypatch).run(ARN, RECORD, force=False) == {
        "outcome": "UNDONE"
    }


def test_whoever_stays_busy_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wave would hang at one resource."""
    function = Function(*[refuses("StaleStateError", "it changed")] * 9)
    with pytest.raises(RefusedError, match="it changed"):
        undoing(function, monkeypatch).run(ARN, RECORD, force=False)
    assert len(function.answers) == 9 - len(functions.PAUSES) - 1


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("BrokenChainError", f"evenkeel audit verify --stack evenkeel --region eu-west-1 --resource {ARN}"),
        ("UnprovedCallerError", "clock"),
        ("GroupNotEnabledError", f"evenkeel audit show {RECORD} --stack evenkeel --region eu-west-1 --resource {ARN}"),
        ("UndoRefusedError", f"evenkeel audit list --stack evenkeel --region eu-west-1 --resource {ARN}"),
    ],
)
def test_a_refusal_is_final_and_says_what_to_do(kind: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal would be repeated in vain, or leave nobody wiser."""
    with pytest.raises(RefusedError, match="key/1: no") as refused:
        undoing(Function(refuses(kind, "key/1: no")), monkeypatch).run(ARN, RECORD, force=False)
    assert advice in refused.value.next_step
    assert kind not in refused.value.message


def test_a_crash_is_told_with_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-out would be taken for a change that was, or was not, taken back."""
    answer = {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 60.00 seconds"}
    with pytest.raises(CommandError, match="timed out after 60") as refused:
        undoing(Function(answer), monkeypatch).look(ARN, RECORD)
    assert "evenkeel audit list" in refused.value.next_step


def test_a_refusal_by_an_older_function_says_to_deploy_the_stack_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a command that is newer than its stack ends with a traceback, or hides why it was refused."""
    with pytest.raises(RefusedError, match="UndoRefusedError: key/1: no") as refused:
        undoing(Function({"error": "UndoRefusedError: key/1: no"}), monkeypatch).look(ARN, RECORD)
    assert refused.value.next_step == functions.OLDER
