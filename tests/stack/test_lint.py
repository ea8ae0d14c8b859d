"""What AWS's linter says of the template, expanded; ``make prove`` asks it in every partition."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from cfnlint.api import ManualArgs, lint

from tools.rendering import NESTED, PLACES, Place, expanded, templates


def complaints(place: Place, path: str) -> list[str]:
    """Return what cfn-lint complains of in a place."""
    template = deepcopy(expanded(place, path))
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
