"""``evenkeel dlq`` on an empty queue: what a sandbox full of letters does not play."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from evenkeel_cli.aws import stacks
from evenkeel_cli.aws.stacks import Stack
from tests.cli.running import evenkeel


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a stack stand whose dead-letter queue never has a message."""
    queue: Any = SimpleNamespace(receive_message=lambda **_: {})
    monkeypatch.setattr(stacks, "find", lambda *_: Stack("prod", lambda _: queue, {"DeadLetterQueueUrl": "u"}, {}))


def test_redrive_of_nothing_does_not_ask() -> None:
    """If this fails, a person is asked to confirm that nothing be done, or a script ends with 2 for want of --yes."""
    for more in ((), ("--yes",)):
        result = evenkeel("dlq", "redrive", "--all", "--stack", "prod", *more)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "No dead letters.\n", "")
    body = json.loads(evenkeel("dlq", "redrive", "--all", "--stack", "prod", "-o", "json").stdout)
    assert body == {"stack": "prod", "sent": [], "kept": [], "missing": []}
