"""Selectors and overrides, as tables; whatever is wrong is said with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from evenkeel.errors import SettingsError
from evenkeel.settings import parser
from evenkeel.settings.rules import Selector, Subject, TagsUnknownError

ARN = "arn:aws:sqs:eu-west-1:123456789012:orders[1]"
ENV = (("env", ("dev", "test")),)
TEAM = (("team", ("web",)),)
PLACE = "controls.c.overrides"


def _subject(tags: dict[str, str] | None = None) -> Subject:
    return Subject(ARN, "123456789012", "eu-west-1", tags)


@pytest.mark.parametrize(
    ("selector", "tags", "matches"),
    [
        (Selector(resources=("*",)), None, True),
        (Selector(resources=("arn:aws:sqs:*:orders[[]1]",)), None, False),
        (Selector(resources=("arn:aws:sqs:*:orders[1]",)), None, True),
        (Selector(resources=("arn:aws:sqs:*:orders?1?",)), None, True),
        (Selector(resources=("ARN:AWS:SQS:*",)), None, False),
        (Selector(resources=("arn:aws:kms:*", "arn:aws:sqs:*")), None, True),
        (Selector(resources=("arn:aws:sqs:*:order",)), None, False),
        (Selector(accounts=("123456789012",)), None, True),
        (Selector(accounts=("210987654321", "123456789012")), None, True),
        (Selector(accounts=("210987654321",)), None, False),
        (Selector(regions=("eu-west-1",)), None, True),
        (Selector(regions=("eu-west-2",)), None, False),
        (Selector(accounts=("123456789012",), regions=("eu-west-2",)), None, False),
        (Selector(accounts=("123456789012",), regions=("eu-west-1",), resources=("*:nothing",)), None, False),
        (Selector(tags=ENV), {"env": "dev"}, True),
        (Selector(tags=ENV), {"env": "test", "x": "y"}, True),
        (Selector(tags=ENV), {"env": "prod"}, False),
        (Selector(tags=ENV), {"Env": "dev"}, False),
        (Selector(tags=ENV), {}, False),
        (Selector(tags=ENV + TEAM), {"env": "dev"}, False),
        (Selector(tags=ENV + TEAM), {"env": "dev", "team": "web"}, True),
        (Selector(tags=ENV, accounts=("210987654321",)), None, False),
        (Selector(tags=ENV, regions=("eu-west-2",)), None, False),
        (Selector(tags=ENV, resources=("*:other",)), None, False),
    ],
)
def test_which_resources_a_selector_is_for(selector: Selector, tags: dict[str, str] | None, matches: bool) -> None:
    """If this fails, a rule holds for resources that nobody meant, or not for those they meant."""
    assert selector.matches(_subject(tags)) is matches


@pytest.mark.parametrize("selector", [Selector(tags=ENV), Selector(tags=ENV, accounts=("123456789012",))])
def test_unknown_tags_are_no_answer(selector: Selector) -> None:
    """If this fails, a resource whose tags cannot be read counts as one without tags, and is touched."""
    with pytest.raises(TagsUnknownError, match=r"^arn:aws:sqs:\S+: a rule depends on tags that cannot be read$"):
        selector.matches(_subject())


def test_more_specific_means_resources_then_tags_then_regions_then_accounts() -> None:
    """If this fails, a broad rule overrides a narrow one."""
    accounts, regions = {"accounts": ("1",)}, {"regions": ("r",)}
    tags, resources = {"tags": ENV}, {"resources": ("*",)}
    ascending: list[dict[str, Any]] = [
        {},
        accounts,
        regions,
        accounts | regions,
        tags,
        tags | accounts,
        tags | regions,
        tags | regions | accounts,
        resources,
        resources | accounts,
        resources | tags,
        resources | tags | regions | accounts,
    ]
    ranks = [Selector(**parts).specificity for parts in ascending]
    assert ranks == sorted(set(ranks))


@pytest.mark.parametrize(
    ("one", "two", "overlap"),
    [
        (Selector(accounts=("1", "2")), Selector(accounts=("2", "3")), True),
        (Selector(accounts=("1",)), Selector(accounts=("2",)), False),
        (Selector(accounts=("1",)), Selector(regions=("r",)), True),
        (Selector(regions=("r",)), Selector(regions=("s",)), False),
        (Selector(tags=ENV), Selector(tags=(("env", ("prod",)),)), False),
        (Selector(tags=ENV), Selector(tags=(("env", ("test", "prod")),)), True),
        (Selector(tags=ENV), Selector(tags=TEAM), True),
        (Selector(tags=ENV + TEAM), Selector(tags=(("env", ("prod",)), *TEAM)), False),
        (Selector(resources=("a",)), Selector(resources=("b",)), True),
        (Selector(resources=("a",), accounts=("1",)), Selector(resources=("b",), accounts=("2",)), False),
    ],
)
def test_which_selectors_may_hold_for_one_resource(one: Selector, two: Selector, overlap: bool) -> None:
    """If this fails, two rules contradict each other on one resource, or rules that never meet are refused."""
    assert (one.may_overlap(two), two.may_overlap(one)) == (overlap, overlap)


def _read(*overrides: Any) -> None:
    """Read overrides of a control and compare them with each other."""
    parser.parse(json.dumps({"schema_version": 1, "controls": {"c": {"overrides": overrides}}}))


@pytest.mark.parametrize(
    "pair",
    [
        [{"regions": ["a"], "mode": "off"}, {"regions": ["b"], "mode": "notify"}],
        [{"regions": ["a"], "mode": "off"}, {"regions": ["a"], "mode": "off"}],
        [{"regions": ["a"], "mode": "off"}, {"regions": ["a"], "blast_radius": {"limit": 1}}],
        [{"regions": ["a"], "mode": "off"}, {"accounts": ["123456789012"], "mode": "notify"}],
        [{"tags": {"env": "dev"}, "mode": "off"}, {"tags": {"env": ["prod"]}, "mode": "notify"}],
    ],
)
def test_overrides_that_never_contradict_are_taken(pair: list[dict[str, Any]]) -> None:
    """If this fails, people cannot write two rules that go well together."""
    _read(*pair)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([{"regions": ["a"], "mode": "off"}, {"regions": ["b", "a"], "mode": "notify"}], "another value for mode"),
        ([{"tags": {"a": "x"}, "mode": "off"}, {"tags": {"b": "y"}, "mode": "notify"}], "another value for mode"),
        (
            [{"resources": ["*:a*"], "parameters": {"p": 1}}, {"resources": ["*:b"], "parameters": {"p": 2}}],
            "another value for parameters",
        ),
        (
            [
                {"accounts": ["123456789012"], "mode": "off"},
                {"regions": ["a"], "mode": "off"},
                {"accounts": ["123456789012"], "mode": "notify", "blast_radius": {"limit": 1}},
            ],
            "another value for mode",
        ),
    ],
)
def test_overrides_that_contradict_are_refused_by_name(given: list[dict[str, Any]], told: str) -> None:
    """If this fails, which of two rules holds is an accident of their order in the file."""
    with pytest.raises(SettingsError) as caught:
        _read(*given)
    last = len(given) - 1
    assert str(caught.value).startswith(
        f"{PLACE}[{last}]: can apply to the same resource as {PLACE}[0] and gives {told}"
    )


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ({"regions": ["a"]}, ": changes nothing; give it mode, parameters or blast_radius"),
        ({"mode": "off"}, ": selects nothing; give it resources, accounts, regions or tags"),
        ({"mode": "off", "tags": {}}, ": selects nothing; give it resources, accounts, regions or tags"),
        ({"mode": "off", "region": ["a"]}, ".region: unknown key; did you mean regions?"),
        ({"mode": "off", "regions": "a"}, ".regions: 'a' is text; write a list"),
        ({"mode": "off", "regions": []}, ".regions: is an empty list; write a list with at least one item"),
        ({"mode": "off", "regions": [""]}, ".regions[0]: is empty; write a region, e.g. eu-west-1"),
        ({"mode": "off", "resources": [5]}, ".resources[0]: 5 is a whole number; write an ARN pattern"),
        (
            {"mode": "off", "resources": ["*", "my-*"]},
            ".resources[1]: 'my-*' is not accepted; write an ARN pattern that begins with arn: or *",
        ),
        (
            {"mode": "off", "accounts": [123456789012]},
            ".accounts[0]: 123456789012 is a whole number; write an account's 12 digits",
        ),
        (
            {"mode": "off", "accounts": ["1234"]},
            ".accounts[0]: '1234' is not accepted; write an account's 12 digits in quotes",
        ),
        (
            {"mode": "off", "accounts": ["12345678901x"]},
            ".accounts[0]: '12345678901x' is not accepted; write an account's 12 digits",
        ),
        ({"mode": "off", "tags": ["env"]}, ".tags: is a list; write keys and values"),
        ({"mode": "off", "tags": {"env": []}}, ".tags.env: is an empty list; write a list"),
        ({"mode": "off", "tags": {"env": True}}, ".tags.env: is true; write the tag's value"),
    ],
)
def test_wrong_overrides_are_refused_with_the_place(raw: Any, told: str) -> None:
    """If this fails, an override that means nothing is taken for a rule, or its author must guess what is wrong."""
    with pytest.raises(SettingsError) as caught:
        _read(raw)
    assert str(caught.value).startswith(f"{PLACE}[0]{told}")
