"""What AWS's linter says of the template, expanded; ``make prove`` asks it in every partition."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING

import pytest
from cfnlint.api import ManualArgs, lint

from tools.rendering import NESTED, PLACES, Document, Place, Stack, expanded, templates

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def handed_down() -> dict[str, dict[str, str]]:
    """Return the values that the root hands to each nested stack, by its template's path; ids are not known before."""
    stacks = Stack().of_type(NESTED).values()
    return {
        body["TemplateURL"]: {name: value for name, value in body["Parameters"].items() if "<" not in value}
        for body in stacks
    }


def complaints(place: Place, path: str, edit: Callable[[Document], object] = lambda _: None) -> list[str]:
    """Return what cfn-lint complains of in a place, once the template was edited.

    It reads CloudFormation's own schemas: names of properties, types, what is required, allowed values, patterns, and
    the attributes that ``!GetAtt`` may ask for. A nested stack is read with the values that the root hands to it.
    """
    template = deepcopy(expanded(place, path))
    for name, value in handed_down().get(path, {}).items():
        template["Parameters"][name]["Default"] = value
    edit(template)
    for body in template["Resources"].values():
        body.pop("Metadata", None)  # of the build only
        if body["Type"] == NESTED:
            body["Properties"]["TemplateURL"] = "https://s3.amazonaws.com/bucket/nested.template"  # as packaged
    found = lint(json.dumps(template), config=ManualArgs(regions=[place.region]))
    return [f"{match.rule.id} {match.path}: {match.message}" for match in found]


@pytest.mark.parametrize("path", templates())
def test_cfn_lint_accepts_the_expanded_template(path: str) -> None:
    """Fails when CloudFormation would refuse the stack, or a property has no effect."""
    assert complaints(PLACES[0], path) == []


def test_the_schemas_are_applied_to_nested_stacks() -> None:
    """Fails when the test above would accept anything, be it only in what the root hands down."""

    def spoil(template: Document) -> None:
        resources = template["Resources"]
        resources["Queue"]["Properties"]["VisibilityTimeouts"] = 1
        resources["QueuePolicy"]["Properties"].pop("Queues")
        resources["Logs"]["Properties"]["LogGroupName"] = "no spaces"
        resources["ApiCallRule"]["Properties"]["Targets"][0]["Arn"] = {"Fn::GetAtt": ["Queue", "Url"]}
        resources["KmsFunction"]["Properties"]["MemorySize"] = "much"
        template["Parameters"]["LogRetentionDays"]["Default"] = "31"

    found = {each.split()[0] for each in complaints(PLACES[0], "functions/controls/kms/template.yaml", spoil)}
    unknown, required, pattern, attribute, kind, handed_down_value = (
        "E3002",
        "E3003",
        "E3031",
        "E1010",
        "E3012",
        "W1030",
    )
    assert {unknown, required, pattern, attribute, kind, handed_down_value} <= found
