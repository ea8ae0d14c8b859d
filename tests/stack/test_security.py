"""The threat model names tests that exist, and what is installed is what was locked."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tools.rendering import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(\w+/test_\w+\.py)::(test_\w+)`", PAGE)
LOCKS = [*ROOT.glob("requirements/*.txt"), ROOT / "layers" / "engine" / "requirements.txt"]


def test_every_test_that_the_page_names_exists() -> None:
    """If this fails, docs/security.md promises a proof that nobody runs."""
    assert len(NAMED) > 40
    files = {name for name, _ in NAMED}
    trees = {name: ast.parse((ROOT / "tests" / name).read_text(encoding="utf-8")) for name in files}
    found = {(name, getattr(node, "name", "")) for name, tree in trees.items() for node in tree.body}
    assert set(NAMED) <= found


def test_every_mention_of_a_test_is_of_that_form() -> None:
    """If this fails, a test that docs/security.md names is not looked for."""
    assert len(re.findall(r"\btest_\w+\b(?!\.py)", PAGE)) == len(NAMED)


def test_the_page_of_what_is_not_proved_names_tests_that_exist() -> None:
    """If this fails, docs/what-is-not-proved.md takes for proved what nothing shows any more."""
    text = (ROOT / "docs" / "what-is-not-proved.md").read_text(encoding="utf-8")
    named = re.findall(r"`(\w+/test_\w+\.py)`", text)
    assert named
    assert not [name for name in named if not (ROOT / "tests" / name).exists()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_requirement_is_locked_to_its_hash(lock: Path) -> None:
    """If this fails, a package that was changed at its registry would be installed without a word."""
    text = re.sub(r"\\\n", "", lock.read_text(encoding="utf-8"))
    wanted = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert wanted
    assert not [line for line in wanted if "==" not in line or "--hash=sha256:" not in line]
