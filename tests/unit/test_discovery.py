"""What each control lists for a backfill, in an account that has two resources of every type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.runtime.aws import Aws
from tests import factories
from tests.wire import WIRE
from tests.world import PLACE, client, set_variables, standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.control import Control

EACH = pytest.mark.parametrize("control", all_controls().values(), ids=lambda control: control.id)


@pytest.fixture(scope="module")
def made() -> Iterator[frozenset[str]]:
    """Return the ARNs of two resources of each type; of one where an account has no more. Listing changes none."""
    with pytest.MonkeyPatch.context() as patch:
        set_variables(patch)
        with standing(patch, WIRE):
            makers = factories.BY_TYPE.values()
            yield frozenset([make() for make in makers] + [make(name="carts") for make in makers])


@EACH
def test_discovery_finds_all_resources_of_the_type(made: frozenset[str], control: Control) -> None:
    """If this fails, a backfill leaves out resources."""
    mine = {arn for arn in made if control.applies_to(arn)}
    assert len(mine) >= (1 if control.of_the_account else 2)
    assert mine <= set(control.discover(Aws(client), PLACE))


@EACH
def test_discovery_names_only_resources_that_the_control_takes(made: frozenset[str], control: Control) -> None:
    """If this fails, a backfill stumbles over what its own listing gave it."""
    assert made
    assert all(control.applies_to(arn) for arn in control.discover(Aws(client), PLACE))
