"""Patterns of ARNs: what they match, and which could never match anything."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.arns import like, may_name
from evenkeel.control.registry import all_controls
from tests.examples import examples
from tests.factories import ARNS

KEYS = "arn:{partition}:kms:{region}:{account}:key/{id}"
GROUPS = "arn:{partition}:logs:{region}:{account}:log-group:{id}"


@pytest.mark.parametrize(
    ("pattern", "template", "fits"),
    [
        ("*", KEYS, True),
        ("arn:aws:kms:*:*:key/mrk-*", KEYS, True),
        ("arn:aws:kms:eu-west-1:123456789012:key/1", KEYS, True),
        ("arn:*", KEYS, True),
        ("*key/?", KEYS, True),
        ("*:mrk-*", GROUPS, True),
        ("arn:aws:logs:*:log-group:/app/*", GROUPS, True),
        ("arn:aws:kms:*:*:alias/*", KEYS, False),
        ("arn:aws:dynamodb:*:*:table/*", KEYS, False),
        ("arn:aws:kms:*:*:key", KEYS, False),
        ("arn:aws:logs:*:*:log-group:/app:*", GROUPS, False),
        ("my-*", KEYS, False),
        ("", KEYS, False),
        ("arn:aws:ec2:*:*:ebs-*", "arn:{partition}:ec2:{region}:{account}:ebs-encryption-by-default", True),
    ],
)
def test_which_patterns_could_fit_a_resource_of_a_control(pattern: str, template: str, fits: bool) -> None:
    """If this fails, a rule for nothing is called valid, or one for something is refused."""
    assert may_name(pattern, template) is fits


@examples(100)
@given(st.text("ab:*?", max_size=6), st.text("ab:", max_size=6), st.text("ab", max_size=3))
def test_a_pattern_that_matches_an_arn_may_name_it(pattern: str, text: str, an_id: str) -> None:
    """If this fails, a pattern that holds for a resource is refused as one that could not."""
    assert may_name(pattern, text) is like(pattern, text)
    if like(pattern, text + an_id):
        assert may_name(pattern, f"{text}{{id}}")


@pytest.mark.parametrize("control", all_controls().values(), ids=lambda control: control.id)
def test_whole_arns_of_a_controls_resources_may_be_named(control: Any) -> None:
    """If this fails, settings that exempt a resource by its own ARN are refused."""
    mine = [arn for arn in ARNS.values() if control.applies_to(arn)]
    assert mine
    assert not control.arn or all(may_name(arn, control.arn) for arn in mine)
