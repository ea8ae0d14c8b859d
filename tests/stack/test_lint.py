"""What AWS's linter says of the template, expanded; ``make prove`` asks it in every partition."""

from __future__ import annotations

import json
from copy import deepcopy

from cfnlint.api import ManualArgs, lint

from tools.rendering import PLACES, Place, expanded


def complaints(place: Place) -> list[str]:
    """Return what cfn-lint complains of in a place."""
    template = deepcopy(expanded(place))
    for body in template["Resources"].values():
        body.pop("Metadata", None)  # of the build only
    found = lint(json.dumps(template), config=ManualArgs(regions=[place.region]))
    return [f"{match.rule.id} {match.path}: {match.message}" for match in found]


def test_cfn_lint_accepts_the_expanded_template() -> None:
    """Fails when CloudFormation would refuse the stack, or a property has no effect."""
    assert complaints(PLACES[0]) == []
