"""Which files of tests run in one worker: each by itself, but for those that use one deployed stack."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parents[1]
_USES = re.compile(r"^def (?:test_\w+|place|stack)\([^)]*\b(shared|sandbox): S", flags=re.MULTILINE)


class ByStack(LoadFileScheduling):
    """Hands out files; those that share a sandbox go to one worker, or each worker would start one and deploy to it."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(super()._split_scope(nodeid))


@cache
def scope(file: str) -> str:
    """Return what a file has to run with: the name of the session's fixture that it uses, or else itself."""
    if not file.startswith("tests/sandbox/"):
        return file
    uses = _USES.search((ROOT / file).read_text(encoding="utf-8"))
    return uses[1] if uses else file
