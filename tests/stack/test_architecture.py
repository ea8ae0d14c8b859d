"""docs/architecture.md and CONTRIBUTING.md: every module is listed, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import architecture
from tools.rendering import ROOT

PAGES = (Path("docs/architecture.md"), Path("CONTRIBUTING.md"))
NOT_OURS = {".venv", ".aws-sam", "build", "mutants"}
"""Folders that targets of the Makefile write."""


def test_every_module_of_the_repository_is_on_the_page() -> None:
    """If this fails, a module is in no room of the page, and nobody who reads it knows what it is for."""
    page = (ROOT / PAGES[0]).read_text(encoding="utf-8")
    listed = set()
    for table in re.split(r"\n(?=\| \S+/ \| purpose \|)", page)[1:]:
        folder = table.partition("|")[2].partition("|")[0].strip()
        listed |= {f"{folder}{name}" for name in re.findall(r"(?m)^\| `(\w+\.py)` \| \S", table)}
    found = {path.relative_to(ROOT) for path in ROOT.rglob("*.py")}
    assert listed == {str(path) for path in found if path.parts[0] not in NOT_OURS}


def test_floors_are_those_that_are_checked() -> None:
    """If this fails, the page shows other floors than the contract that `make imports` checks."""
    page = (ROOT / PAGES[0]).read_text(encoding="utf-8")
    rows = [re.findall(r"(?:\| |<br>)`(\w+)`: ", row) for row in re.findall(r"(?m)^\| \d+ \|.*$", page)]
    contract = (ROOT / ".importlinter").read_text(encoding="utf-8").partition("layers =\n")[2].partition("\n\n")[0]
    assert rows == [line.strip().split(" | ") for line in contract.splitlines()]


def test_module_without_a_docstring_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a module is listed without a word, and its author does not learn what to write."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "silent.py").write_text("x = 1\n")
    monkeypatch.setattr(architecture, "ROOT", tmp_path)
    with pytest.raises(ValueError, match=r"tools/silent\.py: write a module docstring"):
        architecture.listed_room("tools", tmp_path / "tools")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_to_a_file_of_the_repository(page: Path) -> None:
    """If this fails, a newcomer follows a link to a file that was moved, or to a heading that was renamed."""
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        if "://" in path:
            continue
        file = (ROOT / page.parent / path).resolve() if path else ROOT / page
        assert file.exists(), target
        if heading:
            titles = re.findall(r"(?m)^#+ (.+)$", file.read_text(encoding="utf-8"))
            assert heading in {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in titles}, target
