"""The control that CONTRIBUTING.md gives to paste: it is taken out of the page, put into a package, and run."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control import Change, Compliant, Context, NonCompliant, Resource
from evenkeel.control.registry import groups_in
from evenkeel.events import parsing
from evenkeel.runtime.aws import Aws
from tests.contract.registry import ROOT, load
from tests.factories.ecr import repository
from tests.world import ACCOUNT, PLACE, REGION, client
from tools import group_template, pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from evenkeel.control import Control

ID = "ecr-tag-immutability"
FILES = dict(re.findall(r"(?m)^`([\w/.-]+)`:\n\n```\w+\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL))


@pytest.fixture
def pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with nothing in it but the files of the page."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "functions" / "controls"))
    return tmp_path


@pytest.fixture
def control(pasted: Path) -> Iterator[Control]:
    """Return the pasted control as the registry finds it, and forget its modules in the end."""
    others = _forgotten()
    [only] = groups_in(pasted / "functions" / "controls")["ecr"]
    assert only.id == ID
    yield only
    _forgotten()
    sys.modules.update(others)


def _forgotten() -> dict[str, ModuleType]:
    """Take the modules of a group of the same name out of those that are imported; return them."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "ecr"}


def _cases(pasted: Path) -> Any:
    spec = spec_from_file_location("pasted_cases", pasted / "tests" / "cases" / "ecr_tag_immutability.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.CASES


def test_table_that_is_pasted_holds(pasted: Path, control: Control) -> None:
    """If this fails, the first thing that an author pastes judges otherwise than its own table says."""
    table = _cases(pasted)
    for case in table:
        judged = control.judge(case.state, case.context(control))
        assert type(judged).__name__ == case.kind
        assert case.says in getattr(judged, "reason", "")
        if isinstance(judged, NonCompliant):
            assert judged.change == Change(case.calls, case.undo)
    assert {case.kind for case in table} == {"Compliant", "NotApplicable", "NonCompliant"}


def test_events_that_are_pasted_match_and_miss(pasted: Path, control: Control) -> None:
    """If this fails, an author copies events that the parser reads otherwise than the page says."""
    examples = [load(control, path) for path in sorted((pasted / "events" / ID).iterdir())]
    assert [each.name.partition("-")[0] for each in examples] == ["match", "miss"]
    match, miss = examples
    [request] = parsing.parse(match.event, [control], PLACE).requests
    assert (request.control, (request.resource.arn,)) == (ID, match.resources)
    assert parsing.parse(miss.event, [control], PLACE).irrelevant


@pytest.mark.usefixtures("world")
def test_control_that_is_pasted_finds_fixes_and_undoes(control: Control) -> None:
    """If this fails, the pasted control's calls are none that AWS takes, or change nothing."""
    arn, aws = repository("orders"), Aws(client)
    context = Context(Resource(arn, ACCOUNT, REGION), {}, None)
    assert list(control.discover(aws, PLACE)) == [arn]
    before = control.read(aws, context)
    judged = control.judge(before, context)
    assert isinstance(judged, NonCompliant)
    assert judged.change
    for call in judged.change.calls:
        aws.run(call)
    assert control.judge(control.read(aws, context), context) == Compliant()
    for call in judged.change.undo:
        aws.run(call)
    assert control.read(aws, context) == before


def test_page_and_stack_of_what_is_pasted_are_generated(control: Control) -> None:
    """If this fails, `make generate` refuses what an author has just pasted."""
    assert f"# {ID}" in pages.page(control)
    assert "Function" in str(group_template.template("ecr", [control]))


def test_what_is_pasted_passes_the_style_check(pasted: Path) -> None:
    """If this fails, `make check` refuses what an author has just pasted."""
    command = [sys.executable, "-m", "ruff", "check", "--config", str(ROOT / "pyproject.toml"), "functions", "tests"]
    checked = subprocess.run(command, cwd=pasted, capture_output=True, text=True, check=False)
    assert not checked.returncode, checked.stdout
