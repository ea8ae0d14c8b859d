"""Which files of tests go to one worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.scheduling import ROOT, scope

if TYPE_CHECKING:
    import pytest


def test_files_that_share_a_sandbox_go_to_one_worker(request: pytest.FixtureRequest) -> None:
    """If this fails, each worker starts a sandbox and deploys the stack to it, which takes a minute of CPU more."""
    uses = {
        (str(item.path.relative_to(ROOT)), name)
        for item in request.session.items
        for name in ("shared", "sandbox")
        if name in getattr(item, "fixturenames", ())
    }
    assert {(file, scope(file)) for file, _ in uses} == uses
