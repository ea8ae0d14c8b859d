"""What a self-test makes for each control: nothing is forgotten, nothing is dear, everything is marked as its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from evenkeel.control import fits
from evenkeel.control.registry import all_controls
from evenkeel_cli.selftest import kinds, makers, marks
from evenkeel_cli.selftest.makers import MAKERS, MOST_CENTS, MOST_SECONDS, NOT_MADE
from tests.contract.permissions import ACTIONS

if TYPE_CHECKING:
    from evenkeel_cli.selftest.kinds import Kind

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SITE = kinds.Site("aws", "eu-west-1", "123456789012", "https://sqs.eu-west-1.amazonaws.com/123456789012")
BUCKET_NAME, QUEUE_NAME, OTHER_NAME = 63, 80, 64
"""Characters that S3, SQS, and Lambda and IAM take in a name."""


def _target(kind: Kind, control: str = "kms-key-rotation") -> kinds.Target:
    others = {each.what: f"id of {each.what}" for each in kinds.KINDS} | {"topic": "arn:aws:sns:::alerts"}
    run = marks.new_run(NOW)
    name = marks.name(run, control)
    return kinds.Target(SITE, run, name, name if kind.named else "an-id", others)


def test_every_control_is_tried_or_says_why_not() -> None:
    """A new control would be forgotten by the self-test, and nobody would notice."""
    missing = all_controls().keys() - MAKERS.keys() - NOT_MADE.keys()
    assert not missing, "give them a maker, or a reason in NOT_MADE, in cli/evenkeel_cli/selftest/makers.py"
    assert MAKERS.keys() | NOT_MADE.keys() == all_controls().keys()
    assert not MAKERS.keys() & NOT_MADE.keys()
    assert all(NOT_MADE.values())


@pytest.mark.parametrize("control", sorted(MAKERS))
def test_a_maker_costs_cents_and_minutes(control: str) -> None:
    """A person would pay more, or wait longer, than the command promises."""
    maker = MAKERS[control]
    assert 0 < maker.cents_at_most <= MOST_CENTS
    assert 0 < maker.seconds <= MOST_SECONDS


@pytest.mark.parametrize("control", sorted(MAKERS))
def test_a_maker_makes_what_its_control_judges(control: str) -> None:
    """The control would never look at the resource, and each self-test of it would fail."""
    kind = MAKERS[control].kinds[-1]
    assert all_controls()[control].applies_to(kind.arn_of(_target(kind)))


@pytest.mark.parametrize("control", sorted(MAKERS))
def test_names_are_as_short_as_services_want_them(control: str) -> None:
    """AWS would refuse to make the resource because of its name."""
    longest = BUCKET_NAME if kinds.BUCKET in MAKERS[control].kinds else OTHER_NAME
    assert len(marks.name(marks.new_run(NOW), control)) <= longest


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.what)
def test_a_resource_has_its_name_and_tag_from_its_first_call(kind: Kind) -> None:
    """A run that is killed between two calls would leave something that no later run may remove."""
    target = _target(kind)
    text = json.dumps([call.params for call in kind.make(target)[:1]], default=str)
    assert marks.TAG in text
    assert target.run in text
    assert text.count(target.name) >= (2 if kind.named else 1)  # as its name, and as its tag Name


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.what)
def test_an_arn_is_of_one_kind_only(kind: Kind) -> None:
    """A leftover would be removed with the calls of another kind."""
    assert [each for each in kinds.KINDS if fits(each.arn, kind.arn_of(_target(kind)))] == [kind]


def test_permissions_are_named_as_iam_names_them() -> None:
    """The page would ask for an action that does not exist, and the person would be denied."""
    renamed = {f"{service}:{operation}": action for (service, operation), action in ACTIONS.items()}
    named = {action for maker in MAKERS.values() for action in makers.permissions(maker)}
    named |= {*makers.permissions()}
    assert not named & renamed.keys()
    assert {"kms:CreateKey", "s3:PutBucketPublicAccessBlock", "iam:PassRole", "sns:Subscribe"} <= named


def test_the_calls_of_a_plan_end_in_the_removal_of_all_that_it_makes() -> None:
    """A dry run would promise less than what is called."""
    maker = MAKERS["ec2-security-group-open-ingress"]
    made = [call.operation for call in maker.calls(maker.target(SITE, marks.new_run(NOW), "a-control", NOW.date()))]
    assert made == ["create_vpc", "create_security_group", "authorize_security_group_ingress",
                    "delete_security_group", "delete_vpc"]  # fmt: skip
