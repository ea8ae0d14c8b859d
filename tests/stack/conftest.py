"""The stack as the tests see it."""

from __future__ import annotations

import pytest

from evenkeel.control.registry import groups
from tools.rendering import PLACES, Stack


@pytest.fixture(scope="session", params=PLACES, ids=lambda place: place.partition)
def anywhere(request: pytest.FixtureRequest) -> Stack:
    """Return the whole stack in each partition."""
    return Stack(request.param)


@pytest.fixture(scope="session")
def stack() -> Stack:
    """Return the whole stack in Ireland."""
    return Stack()


@pytest.fixture(scope="session")
def group_names() -> list[str]:
    """Return the groups of the registry."""
    return list(groups())
