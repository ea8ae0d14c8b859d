"""What SAM says of the template as it stands, and cfn-lint in the partitions that ``make test`` leaves out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.test_lint import complaints
from tools.rendering import PLACES, ROOT, Place, templates


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


@pytest.mark.parametrize("path", templates())
@pytest.mark.parametrize("place", PLACES[1:], ids=lambda place: place.partition)
def test_cfn_lint_accepts_the_expanded_template_elsewhere(place: Place, path: str) -> None:
    """Fails when CloudFormation would refuse the stack in a partition, or a property has no effect there."""
    assert complaints(place, path) == []
