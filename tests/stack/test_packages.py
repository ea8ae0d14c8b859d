"""What a change of the code deploys anew: the group of a control, undo and the validator of settings; nothing else."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from benchmarks.packages import LAYER, packages
from evenkeel.control.registry import groups
from tools.names import stem
from tools.rendering import ROOT

if TYPE_CHECKING:
    from pathlib import Path

EVERY_CONTROL = {"UndoFunction", "SettingsValidatorFunction"}
"""They carry all controls: undo computes a change again, the validator knows each parameter."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of all that is packaged."""
    folder = tmp_path_factory.mktemp("sources")
    shutil.copy(ROOT / "template.yaml", folder)
    for name in ("functions", "layers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def built(sources: Path) -> dict[str, str]:
    """Build everything; return each package's name with its digest."""
    return {name: path.name for name, path in packages(sources, sources / "cache").items()}


@pytest.fixture(scope="module")
def before(sources: Path) -> dict[str, str]:
    """Return the packages as they are before anything changes."""
    return built(sources)


def test_every_function_and_the_layer_have_a_package(before: dict[str, str]) -> None:
    """Fails when a function would be deployed with code that is not measured here."""
    system = {"NotifierFunction", "ClerkFunction", *EVERY_CONTROL}
    assert set(before) == {f"{stem(group)}Function" for group in groups()} | system | {LAYER}


@pytest.mark.parametrize(
    ("changed", "deployed"),
    [
        ("functions/controls/kms/key_rotation.py", {"KmsFunction"} | EVERY_CONTROL),
        ("functions/controls/awslambda/xray_tracing.py", {"LambdaFunction"} | EVERY_CONTROL),
        ("functions/system/clerk/health_check.py", {"ClerkFunction"}),
        ("functions/system/undo/handler.py", {"UndoFunction"}),
        ("layers/engine/evenkeel/model.py", {LAYER}),
        ("functions/controls/kms/template.yaml", set()),
    ],
)
def test_a_change_deploys_what_carries_it_and_nothing_else(
    sources: Path, before: dict[str, str], changed: str, deployed: set[str]
) -> None:
    """Fails when a change of one control redeploys other groups, or a function would keep old code."""
    path = sources / changed
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}# changed\n", encoding="utf-8")
    after = built(sources)
    path.write_text(text, encoding="utf-8")
    assert {name for name in before if before[name] != after[name]} == deployed
