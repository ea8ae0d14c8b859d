"""What controls import: the facade ``evenkeel.control``, and nothing else of the engine."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.contract.registry import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULES = sorted((ROOT / "functions" / "controls").glob("*/*.py"))


def _imported(path: Path) -> Iterator[str]:
    """Yield the modules of the engine that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [each.name for each in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if name.partition(".")[0] == "evenkeel")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_control_imports_the_facade_alone(path: Path) -> None:
    """If this fails, an author has to know the engine's folders, and moving a module of the engine breaks controls."""
    allowed = "evenkeel.lambda_handler" if path.name == "handler.py" else "evenkeel.control"
    assert set(_imported(path)) <= {allowed}
