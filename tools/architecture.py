"""The generated parts of docs/architecture.md: the engine's floors, and every module with its purpose."""

from __future__ import annotations

import ast
from configparser import ConfigParser
from pathlib import Path

from tools.pages import between
from tools.rendering import ROOT

ROOMS = {
    "engine": "layers/engine/evenkeel",
    "functions/system": "functions/system",
    "functions/controls": "functions/controls",
    "command line": "cli/evenkeel_cli",
    "sandbox": "sandbox",
    "tools": "tools",
    "benchmarks": "benchmarks",
    "tests": "tests",
}
"""The parts of the repository by name, each with its folder. Every Python file is in one of them."""
_ENGINE = Path(ROOMS["engine"])


def with_modules(text: str) -> str:
    """Return docs/architecture.md with its generated parts as the code has them.

    Raises:
        ValueError: a marker is missing, or a module has no docstring.
    """
    text = between(text, "floors", ["", "| floor | modules and packages |", "| --- | --- |", *_floors(), ""])
    lists = [line for room, folder in ROOMS.items() for line in listed_room(room, ROOT / folder)]
    return between(text, "modules", ["", *lists])


def _floors() -> list[str]:
    """Return the rows of the table of floors, the highest first, from the contract that `make imports` checks."""
    rules = ConfigParser()
    rules.read(ROOT / ".importlinter", encoding="utf-8")
    floors = [line.split(" | ") for line in rules["importlinter:contract:floors"]["layers"].strip().splitlines()]
    return [
        f"| {len(floors) - number} | {'<br>'.join(f'`{name}`: {_purpose_of_part(name)}' for name in names)} |"
        for number, names in enumerate(floors)
    ]


def _purpose_of_part(name: str) -> str:
    package = ROOT / _ENGINE / name / "__init__.py"
    return _purpose(package if package.exists() else ROOT / _ENGINE / f"{name}.py")


def listed_room(room: str, folder: Path) -> list[str]:
    """Return a room's modules as one collapsed table for each of its folders."""
    paths = sorted(folder.rglob("*.py"))
    lines = [f"<details><summary><b>{room}</b>: {len(paths)} modules in {folder.relative_to(ROOT)}/</summary>", ""]
    for inner in sorted({path.parent for path in paths}):
        lines += [f"| {inner.relative_to(ROOT)}/ | purpose |", "| --- | --- |"]
        lines += [f"| `{path.name}` | {_purpose(path)} |" for path in paths if path.parent == inner]
        lines.append("")
    return [*lines, "</details>", ""]


def _purpose(path: Path) -> str:
    """Return the first line of a module's docstring, as a cell of a table.

    Raises:
        ValueError: there is none.
    """
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{path.relative_to(ROOT)}: write a module docstring, whose first line says what it is for")
    return docstring.partition("\n")[0].replace("``", "`").replace("|", "\\|")
