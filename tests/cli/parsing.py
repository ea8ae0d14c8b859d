"""Command lines of ours as the real command line takes them, without running what they ask for."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from evenkeel.cli_lines import own_line
from evenkeel_cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
RECORD = "01a1f8a02e04-ff902f20115493f0"
"""What stands for whatever a command is given at run time."""
NUMBERS = frozenset({"at_most"})
FLAGS = frozenset({"all", "apply", "force", "resume", "yes"})
"""Options without a value."""


def parsed(command: str) -> dict[str, Any]:
    """Return the values that a command's function would be called with.

    Raises:
        typer.exceptions.TyperException: the command line does not take it.
    """
    name, *words = shlex.split(command)
    assert name == "evenkeel", command
    at: Any = typer.main.get_command(app)
    context = at.make_context(name, words)
    while hasattr(at, "resolve_command"):
        name, at, words = at.resolve_command(context, [*context._protected_args, *context.args])
        context = at.make_context(name, words, parent=context)
    values: dict[str, Any] = context.params
    return values


def commands(text: str) -> list[str]:
    """Return the commands of ours in a text: those alone on their line, and those that end one after a colon."""
    return re.findall(r"(?m)(?:^|: |^next:  )(evenkeel [a-z].*)$", text)


def written(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield each command that code below a folder makes with ``own_line`` or a stack's ``line``, and where."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (made := _made(node)):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", made


def _made(call: ast.Call) -> str:
    """Return the command that a call makes, with a record's id for what is only known at run time; empty for others."""
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    if name not in {"own_line", "line"} or any(isinstance(each, ast.Starred) for each in call.args):
        return ""
    given = call.args[2 if name == "own_line" else 0 :]
    if not given or not isinstance(given[0], ast.Constant):
        return ""
    words = [_value(each) for each in given]
    options = {each.arg: _option(each.arg, each.value) for each in call.keywords if each.arg}
    return own_line("evenkeel", "eu-west-1", *words, **options)  # type: ignore[arg-type] # True, or a text


def _option(name: str, node: ast.expr) -> Any:
    return "3" if name in NUMBERS else name in FLAGS or _value(node)


def _value(node: ast.expr) -> Any:
    return node.value if isinstance(node, ast.Constant) else RECORD
