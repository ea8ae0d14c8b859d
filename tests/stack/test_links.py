"""Pages link to files and headings that exist, and every page of operations can be reached from its index."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tools.rendering import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "sandbox" / "README.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")
SOURCES = ("*.py", "*.yaml", "*.toml")


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, spelled as GitHub does."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return frozenset(re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings)


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    """If this fails, somebody who follows a link at 3 a.m. finds nothing."""
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if ":" in path:
            continue  # an address outside of the repository
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_index_of_operations_lists_each_page() -> None:
    """If this fails, a page on operations exists that nobody finds."""
    index = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    pages = {f"operations/{page.name}" for page in (ROOT / "docs" / "operations").glob("*.md")}
    assert pages <= {link.partition("#")[0] for link in LINK.findall(index)}


def test_pages_that_code_and_alarms_name_exist() -> None:
    """If this fails, an alarm or an error sends somebody to a page that was moved."""
    files = [
        path
        for kind in SOURCES
        for folder in ("cli", "functions", "layers", "tools")
        for path in (ROOT / folder).rglob(kind)
    ]
    named = {
        (str(path.relative_to(ROOT)), page)
        for path in [ROOT / "template.yaml", *files]
        for page in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 10
    assert [each for each in sorted(named) if not (ROOT / each[1]).exists()] == []
