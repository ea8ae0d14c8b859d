"""Sandboxes for the tests of the sandbox itself: one shared by all that only add to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.client import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE_SECONDS = 1.0


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox that records ec2 and rds, too; tests share it and make resources of their own."""
    with Sandbox(table_seconds=TABLE_SECONDS, record=("ec2", "rds")) as running:
        yield running


@pytest.fixture(scope="session")
def alice(sandbox: Sandbox) -> Any:
    """The session of a created IAM user who may do everything."""
    return sandbox.create_user("alice")
