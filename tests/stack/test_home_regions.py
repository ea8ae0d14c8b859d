"""A group whose events appear in one region of a partition only is deployed there, or where they are forwarded to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from evenkeel.control.registry import groups
from tests.stack.catalogue import like, repository
from tests.stack.test_lint import complaints
from tools import generate, group_template
from tools.rendering import PLACES, Place, Stack

if TYPE_CHECKING:
    from pathlib import Path

    from evenkeel.control import Control

IN_CHINA = "amazonaws.com.cn"
HOME = [Place("aws", "us-east-1"), Place("aws-us-gov", "us-gov-west-1"), Place("aws-cn", "cn-north-1", IN_CHINA)]
AWAY = [Place("aws", "eu-west-1"), Place("aws-us-gov", "us-gov-east-1"), Place("aws-cn", "cn-northwest-1", IN_CHINA)]


def with_iam(*, mixed: bool = False) -> dict[str, list[Control]]:
    """Return one real group and one, ``iam``, whose service is global."""
    original = groups()["kms"][0]
    everywhere = [like(original, "iam.aliases")] if mixed else []
    return {"kms": [original], "iam": [like(original, "iam.users", global_events=True), *everywhere]}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the path of the root's template with both groups."""
    return repository(tmp_path, with_iam(), monkeypatch)


def deployed(root: str, place: Place, **parameters: str) -> str:
    """Return which groups a stack has; the clerk has the same list."""
    stack = Stack(place, parameters=parameters, path=root)
    there = {name.removesuffix("Group").lower() for name in stack.resources if name.endswith("Group")}
    clerk = stack.resources["ClerkFunction"]["Properties"]["Environment"]["Variables"]["EVENKEEL_GROUPS"]
    assert set(clerk.split(",")) == there
    assert ("IamQueue" in stack.resources) == ("iam" in there)
    return str(clerk)


@pytest.mark.parametrize("place", [*HOME, *AWAY], ids=lambda place: place.region)
def test_a_global_group_is_in_the_home_region_of_each_partition(root: str, place: Place) -> None:
    """Fails when the rules of a global service wait where no event ever comes, or are missing where they do come."""
    assert deployed(root, place) == ("kms,iam" if place in HOME else "kms")


@pytest.mark.parametrize("place", AWAY, ids=lambda place: place.region)
def test_it_is_wherever_its_events_are_forwarded_to(root: str, place: Place) -> None:
    """Fails when who forwards global events to one region cannot have the group there."""
    assert deployed(root, place, GlobalEventsForwarded="true") == "kms,iam"


@pytest.mark.parametrize(("chosen", "found"), [("kms", "kms"), ("iam", "iam"), ("kms,iam", "kms,iam")])
def test_it_can_be_left_out_like_any_other(root: str, chosen: str, found: str) -> None:
    """Fails when a group that nobody chose is deployed because the region is its home."""
    assert deployed(root, HOME[0], EnabledGroups=chosen) == found


def test_cfn_lint_accepts_it(root: str) -> None:
    """Fails when CloudFormation would refuse mapping or condition, or one of them is not used."""
    assert complaints(PLACES[0], root) == []


def test_no_group_of_today_needs_any_of_it() -> None:
    """Fails when mapping, parameter and condition are written although no group uses them."""
    assert "GlobalEvents" not in generate.root_template(generate.ROOT, groups())


def test_groups_json_says_which_groups_are_such() -> None:
    """Fails when nobody can see why a group is not in a region."""
    found = json.loads(group_template.listed(with_iam()))
    assert {group: it["home_region_only"] for group, it in found.items()} == {"kms": False, "iam": True}


def test_a_group_of_both_kinds_is_refused() -> None:
    """Fails when controls of regional resources would be missing outside the home region."""
    with pytest.raises(ValueError, match=r"group iam: the events of iam-users appear in one region only; move them"):
        generate.root_template(generate.ROOT, with_iam(mixed=True))
