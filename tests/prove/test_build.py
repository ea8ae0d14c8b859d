"""`sam build` on a machine without Python 3.13: what the layer and the functions contain."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.rendering import ROOT

MAX_LAYER_MEGABYTES = 6
RUNTIME_HAS = {"boto3", "botocore", "jmespath", "s3transfer", "dateutil", "six.py", "urllib3"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the artifacts of a real build of a copy of the sources."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copy(ROOT / "template.yaml", folder)
    for name in ("functions", "layers"):
        shutil.copytree(ROOT / name, folder / name)
    tools = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{tools}:/usr/bin:/bin",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(
        [tools / "sam", "build"], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / ".aws-sam" / "build"


def test_the_layer_has_the_engine_and_what_the_runtime_lacks(built: Path) -> None:
    """Fails when a function could not import the engine, or the layer carries a second botocore."""
    (folder,) = (built / "EngineLayer").iterdir()
    assert folder.name == "python"
    names = {path.name for path in folder.iterdir()}
    assert {"evenkeel", "aws_lambda_powertools", "typing_extensions.py"} <= names
    assert not names & RUNTIME_HAS


def test_the_layer_is_small(built: Path) -> None:
    """Fails when the layer grows and with it every cold start."""
    size = sum(path.stat().st_size for path in (built / "EngineLayer").rglob("*") if path.is_file())
    assert size < MAX_LAYER_MEGABYTES * 1_000_000


def test_functions_have_their_handlers_and_nothing_compiled(built: Path) -> None:
    """Fails when a package misses a handler, or differs from build to build by what Python left behind."""
    for folder in ROOT.glob("functions/*/handler.py"):
        assert (built / "KmsFunction" / folder.parent.name / "handler.py").is_file()
    assert not list(built.rglob("__pycache__"))
