"""The sandbox's reading of conditions: the part of it that the engine lacks."""

from __future__ import annotations

import pytest

from evenkeel.control.registry import groups
from sandbox.client import REPOSITORY
from sandbox.deploy.template import load
from sandbox.patches.stack_conditions import resolved


@pytest.mark.parametrize(("chosen", "wanted"), [("kms,logs", {"kms", "logs"}), ("s3", {"s3"})])
def test_groups_that_are_not_chosen_are_not_deployed(chosen: str, wanted: set[str]) -> None:
    """If this fails, the sandbox deploys every group, whatever EnabledGroups says, and no test sees it."""
    conditions = load(REPOSITORY / "template.yaml")["Conditions"]
    read = resolved(conditions, {"EnabledGroups": {"Value": chosen}})
    found = {group for group in groups() if _named(read[f"{group.capitalize()}IsEnabled"])}
    assert found == wanted


def _named(condition: dict[str, list[dict[str, list[dict[str, list[str]]]]]]) -> bool:
    """Return whether a group is in the list: the list differs once its name is cut out of it."""
    _, differs = condition["Fn::Or"]
    without, whole = differs["Fn::Not"][0]["Fn::Equals"]
    return without != whole
