"""The last release: which commit it is, and its tree.

A tag says so, and where tags did not travel with a clone, the commit that gave CHANGELOG.md the release's heading.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_VERSION = r"(\d+)\.(\d+)\.(\d+)"


class NoHistoryError(Exception):
    """This clone does not say what was released."""


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A released version; without one, of a repository that has not released anything yet, it is the newest commit."""

    version: tuple[int, ...]
    commit: str

    @property
    def name(self) -> str:
        """``v0.1.0``, or what it is instead."""
        return f"v{'.'.join(map(str, self.version))}" if self.version else "the newest commit: nothing is released yet"


def last(repository: Path) -> Release:
    """Return the newest release before the newest commit, or that commit itself where it is the first release.

    Raises:
        NoHistoryError: there is no history, or the clone is cut off before the release.
    """
    if not (repository / ".git").exists():
        raise NoHistoryError("this is no clone: there is no history that says what was released")
    head = _git(repository, "rev-parse", "HEAD").strip()
    found = {**_headings(repository), **_tags(repository)}
    before = sorted(Release(version, commit) for version, commit in found.items() if commit != head)
    if before:
        return before[-1]
    return Release(max(found, default=()), head)


def _tags(repository: Path) -> dict[tuple[int, ...], str]:
    found = {}
    for tag in _git(repository, "tag", "--merged", "HEAD").split():
        if version := re.fullmatch(f"v{_VERSION}", tag):
            found[_numbers(version)] = _git(repository, "rev-list", "-n1", tag).strip()
    return found


def _headings(repository: Path) -> dict[tuple[int, ...], str]:
    """Return the commit that first had each release's heading in the changelog."""
    changelog = _git(repository, "show", "HEAD:CHANGELOG.md")
    cut_off = _git(repository, "rev-parse", "--is-shallow-repository").strip() == "true"
    found = {}
    for version in re.finditer(rf"^## \[{_VERSION}\]", changelog, re.MULTILINE):
        if cut_off:
            raise NoHistoryError("a shallow clone: the release's tree is not in it; fetch with --unshallow")
        commits = _git(repository, "log", "--reverse", "--format=%H", f"-S{version[0]}", "--", "CHANGELOG.md")
        found[_numbers(version)] = commits.split()[0]
    return found


def _numbers(version: re.Match[str]) -> tuple[int, ...]:
    return tuple(map(int, version.groups()))


def export(repository: Path, commit: str, folder: Path) -> None:
    """Write the tree of a commit to a folder."""
    archive = subprocess.run(["git", "archive", commit], cwd=repository, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tree:
        tree.extractall(folder, filter="data")


def _git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=repository, capture_output=True, text=True, check=True)
    return done.stdout
