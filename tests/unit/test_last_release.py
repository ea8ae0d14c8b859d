"""Which commit the upgrade is tried from: by tag, by the changelog where tags did not travel, never silently none."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.prove.releases import NoHistoryError, export, last

if TYPE_CHECKING:
    from pathlib import Path


class Repository:
    """A repository with a changelog."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str) -> str:
        """Run git as nobody in particular."""
        who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *who, *arguments], cwd=self.path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, *headings: str) -> str:
        """Commit a changelog with some headings and return the commit."""
        text = "".join(f"## [{heading}]\n\nchanges\n\n" for heading in headings)
        (self.path / "CHANGELOG.md").write_text(text, encoding="utf-8")
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """Return an empty repository."""
    (tmp_path / "there").mkdir()
    return Repository(tmp_path / "there")


def test_newest_tag_before_the_newest_commit_counts(repository: Repository) -> None:
    """If this fails, a release is tried from itself, or from one two versions ago."""
    repository.commit("Unreleased")
    repository.git("tag", "v0.9.0")
    tenth = repository.commit("Unreleased", "0.10.0")
    repository.git("tag", "v0.10.0")
    repository.git("tag", "v9-not-a-release")
    repository.git("checkout", "-q", "-b", "aside")
    repository.commit("Unreleased", "0.10.0")
    repository.git("tag", "v2.0.0")
    repository.git("checkout", "-q", "main")
    repository.commit("Unreleased", "0.11.0", "0.10.0")
    repository.git("tag", "v0.11.0")
    assert (last(repository.path).commit, last(repository.path).name) == (tenth, "v0.10.0")


def test_without_tags_the_changelog_says(repository: Repository) -> None:
    """If this fails, the upgrade is not tried at all where tags did not travel with the clone."""
    repository.commit("Unreleased")
    released = repository.commit("Unreleased", "0.1.0")
    repository.commit("Unreleased", "0.1.0")
    assert (last(repository.path).commit, last(repository.path).name) == (released, "v0.1.0")


def test_the_first_release_is_tried_from_itself(repository: Repository) -> None:
    """If this fails, the gate is red, or skips the upgrade, on the very commit that is to be released."""
    head = repository.commit("Unreleased")
    assert last(repository.path).commit == head
    assert "nothing is released" in last(repository.path).name
    head = repository.commit("Unreleased", "0.1.0")
    assert (last(repository.path).commit, last(repository.path).name) == (head, "v0.1.0")


def test_missing_history_is_said(repository: Repository, tmp_path: Path) -> None:
    """If this fails, a copy without history tries an upgrade from nowhere and fails with git's words."""
    with pytest.raises(NoHistoryError, match="no clone"):
        last(tmp_path)
    repository.commit("Unreleased", "0.1.0")
    repository.commit("Unreleased", "0.1.0")
    repository.git("clone", "-q", "--depth", "1", f"file://{repository.path}", str(tmp_path / "cut"))
    with pytest.raises(NoHistoryError, match="shallow"):
        last(tmp_path / "cut")


def test_tree_of_a_release_is_written(repository: Repository, tmp_path: Path) -> None:
    """If this fails, the upgrade is tried from the code that is checked out, and proves nothing."""
    commit = repository.commit("0.1.0")
    repository.commit("0.2.0", "0.1.0")
    export(repository.path, commit, tmp_path / "old")
    assert (tmp_path / "old" / "CHANGELOG.md").read_text(encoding="utf-8").startswith("## [0.1.0]")
