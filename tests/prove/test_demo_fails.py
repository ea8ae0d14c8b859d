"""The demo of a stack that does not repair everything: it says so, and fails."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from evenkeel_cli.local import demo, demo_world, local_stack
from evenkeel_cli.local.demo_screen import Screen
from evenkeel_cli.ui.failure import CommandError
from tests.sandbox.test_demo import SECONDS, entries

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_not_repaired_fails_the_demo_by_name(tmp_path: Path) -> None:
    """The demo would celebrate a stack that repairs nothing."""
    screen = Screen(Console(file=io.StringIO(), width=100))
    with local_stack.started(0, "eu-west-1", "123456789012", lambda _: None) as running:
        world = demo_world.settle_in(running.sandbox, running.stack)
        denied = "User is not authorized to perform this with an explicit deny in a service control policy"
        running.sandbox.faults.add("kms", "EnableKeyRotation", code="AccessDeniedException", message=denied)
        with pytest.raises(CommandError) as failed:
            demo.perform(world, screen, tmp_path, SECONDS)
    wrong = [each for each in entries(tmp_path) if each["outcome"] != "REMEDIATED"]
    assert [(each["control"], each["outcome"]) for each in wrong] == [("kms-key-rotation", "DENIED")]
    assert wrong[0]["resource"] in failed.value.message
    assert failed.value.code == 1
