"""What tests of people's decisions share: a kept repair, and the proof that nothing broke a chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.deciding import APPROVE, CONTROL, wish
from tests.world import client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World


@pytest.fixture
def unbroken(world: World) -> Iterator[None]:
    """Prove every chain when the test is over."""
    yield
    world.chains()


@pytest.fixture
def awaiting(world: World) -> tuple[str, str]:
    """Return a key that alice made, and the record of its repair that waits for approval."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    result = world.run(CONTROL, wish(arn, creates=True), document=APPROVE)
    assert result.outcome == "AWAITING"
    return arn, result.record_id
