"""What the linters of AWS say of the template, expanded, in every partition."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from cfnlint.api import ManualArgs, lint

from tools.rendering import PLACES, ROOT, Place, expanded


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.partition)
def test_cfn_lint_accepts_the_expanded_template(place: Place) -> None:
    """Fails when CloudFormation would refuse the stack in a partition, or a property has no effect."""
    template = deepcopy(expanded(place))
    for body in template["Resources"].values():
        body.pop("Metadata", None)  # of the build only
    found = lint(json.dumps(template), config=ManualArgs(regions=[place.region]))
    assert not [f"{match.rule.id} {match.path}: {match.message}" for match in found]


def test_sam_validates_the_template() -> None:
    """Fails when `sam deploy` would refuse the template as it stands."""
    sam = Path(sys.executable).with_name("sam")
    environment = os.environ | {"AWS_DEFAULT_REGION": "eu-west-1", "SAM_CLI_TELEMETRY": "0"}
    done = subprocess.run(
        [sam, "validate", "--lint", "--template", ROOT / "template.yaml", "--config-file", ROOT / "samconfig.toml"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
