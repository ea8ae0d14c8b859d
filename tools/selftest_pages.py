"""The tables of docs/cli.md about the self-test: what it creates for each control, and who may run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.control.registry import all_controls
from evenkeel_cli.selftest.makers import ALWAYS, MAKERS, NOT_MADE, needed, permissions
from tools.pages import between

if TYPE_CHECKING:
    from collections.abc import Iterable


def with_self_test(text: str) -> str:
    """Return docs/cli.md with the tables as the code has them."""
    tried = [
        f"| `{name}` | {maker.what} | {maker.cents_at_most:.1f} | {maker.seconds} |"
        for name, maker in sorted(MAKERS.items())
    ]
    left_out = [f"| `{name}` | nothing: {why} | - | - |" for name, why in sorted(NOT_MADE.items())]
    heads = ["", "| control | what it creates | cents at most | seconds (approximate) |", "| --- | --- | --- | --- |"]
    text = between(text, "self-test", [*heads, *tried, *left_out, ""])
    always = [f"| always | {_code(ALWAYS)} |", f"| to receive the alerts | {_code(permissions())} |"]
    wanted = [f"| `{name}` | {_code(needed(all_controls()[name]))} |" for name in sorted(MAKERS)]
    heads = ["", "| for | permissions |", "| --- | --- |"]
    return between(text, "self-test permissions", [*heads, *always, *wanted, ""])


def _code(actions: Iterable[str]) -> str:
    return ", ".join(f"`{action}`" for action in actions)
