"""The generator: what stands in the marked blocks and the docs is what the controls say."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from evenkeel.control import SECTIONS, Grant, Radius, Stage
from evenkeel.control.registry import all_controls, groups
from evenkeel.model import Outcome
from notifier.event import ATTRIBUTES, FIELDS
from tools import generate, pages, statements, template_blocks
from tools.cfn import Fn, Star, to_yaml
from tools.names import stem
from tools.rendering import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from evenkeel.control import Control


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the generated files that the generator takes for the repository."""
    shutil.copy(ROOT / "template.yaml", tmp_path)
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "docs" / "controls", tmp_path / "docs" / "controls")
    shutil.copytree(ROOT / "functions", tmp_path / "functions")
    policies = [path.relative_to(ROOT) for path in ROOT.glob("docs/deploy-policy*.json")]
    (tmp_path / generate.GROUP_NAMES).parent.mkdir(parents=True)
    (tmp_path / generate.DEPLOY).parent.mkdir(parents=True)
    documents = (generate.DEPLOY, generate.ALERTS, generate.COMMANDS, generate.COST, generate.ARCHITECTURE)
    for path in (*documents, *policies, generate.SCHEMA, generate.GROUP_NAMES):
        shutil.copy(ROOT / path, tmp_path / path)
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def control() -> Control:
    """Return a control whose class may be changed."""
    original = type(groups()["kms"][0])
    changed: Control = type("Changed", (original,), {"__module__": original.__module__, "__doc__": original.__doc__})()
    return changed


def test_everything_generated_is_fresh() -> None:
    """Fails when a control was changed without `make generate`."""
    assert not list(generate.differences(ROOT, generate.generated(ROOT, groups())))


def test_check_names_the_stale_file_and_shows_how_it_differs(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fails when CI would let a hand-edited block pass, or not say where it is."""
    assert generate.main(["--check"]) == 0
    template = copy / "functions/controls/kms/template.yaml"
    template.write_text(template.read_text().replace("maxReceiveCount: 5", "maxReceiveCount: 50"))
    (copy / "docs/controls/gone.md").write_text("left over")
    (copy / "docs/controls/kms-key-rotation.md").unlink()
    capsys.readouterr()
    assert generate.main(["--check"]) == 1
    shown = capsys.readouterr().out
    assert "--- functions/controls/kms/template.yaml" in shown
    assert "maxReceiveCount: 50" in shown
    assert "+++ docs/controls/kms-key-rotation.md (generated)" in shown
    assert "docs/controls/gone.md: no control of this name" in shown


def test_generating_mends_what_check_found(copy: Path) -> None:
    """Fails when `make generate` would leave a stale, missing or left-over file."""
    (copy / "docs/controls/gone.md").write_text("left over")
    (copy / "docs/controls/kms-key-rotation.md").unlink()
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    assert not (copy / "docs/controls/gone.md").exists()


@pytest.mark.parametrize("spoil", ["# >>> generated: groups", "# <<< generated: outputs"])
def test_lost_markers_are_refused(spoil: str) -> None:
    """Fails when the generator would write nothing and say nothing after someone deleted a marker."""
    template = (ROOT / "template.yaml").read_text().replace(spoil, "# lost")
    with pytest.raises(template_blocks.MarkerError, match="restore the markers"):
        template_blocks.filled(template, template_blocks.blocks(groups()))


def test_a_star_without_a_reason_is_refused(control: Control) -> None:
    """Fails when a control could be granted everything without saying why."""
    type(control).permissions = (Grant(Stage.READ, ("kms:ListKeys",), on=("*",)),)
    with pytest.raises(ValueError, match="gives no reason"):
        statements.granted([control])


def test_taking_back_is_not_granted(control: Control) -> None:
    """Fails when the event path's role could weaken what it strengthened."""
    undo = Grant(Stage.UNDO, ("kms:DisableKeyRotation",))
    type(control).permissions = (undo, replace(undo, stage=Stage.APPLY, actions=("kms:EnableKeyRotation",)))
    (only,) = statements.granted([control])
    assert only["Action"] == "kms:EnableKeyRotation"


def test_grants_on_the_same_resource_share_a_statement(control: Control) -> None:
    """Fails when roles would grow towards IAM's limit by saying the same resource again and again."""
    first, second = Grant(Stage.READ, ("kms:DescribeKey",)), Grant(Stage.READ, ("kms:GetKeyRotationStatus",))
    type(control).permissions = (first, second)
    (only,) = statements.granted([control])
    assert only["Action"] == ["kms:DescribeKey", "kms:GetKeyRotationStatus"]
    assert only["Resource"] == Fn("Sub", "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_docstring_without_a_section_is_refused(control: Control, section: str) -> None:
    """Fails when a control could be shipped without saying its reason, reach, price or way back."""
    type(control).__doc__ = (type(control).__doc__ or "").replace(f"{section}:", "Also:")
    with pytest.raises(ValueError, match=f'no section "{section}:"'):
        pages.page(control)


def test_a_page_says_what_the_control_says(control: Control) -> None:
    """Fails when the page of a control would leave out a trigger, a permission or a parameter."""
    text = pages.page(control)
    actions = [action for grant in control.permissions for action in grant.actions]
    calls = [name for trigger in control.triggers for name in getattr(trigger, "names", ())]
    for said in (*actions, *calls, *control.parameters, str(control.severity), str(control.default_mode)):
        assert f"{said}" in text
    assert all(name in text for name in control.frameworks.security_hub)


def test_a_page_uses_the_words_of_settings_and_command_line(control: Control) -> None:
    """Fails when "blast radius" means two things, or a reader of the page has to know the code's names."""
    text = pages.page(control)
    assert "| Blast radius | at most 100 resources an hour |" in text
    assert "\n## Impact\n" in text
    assert "| Urgent |" not in text
    type(control).blast_radius = Radius(limit=1_000, window_seconds=60)
    assert "| Blast radius | at most 1,000 resources in 60 s |" in pages.page(control)


def test_a_page_has_one_line_for_all_types_that_one_kind_of_trigger_names() -> None:
    """Fails when a page has a line for each type, so that nobody finds what differs."""
    lines = "\n".join(pages.triggers(all_controls()["tagging-required-tags"]))
    assert lines.count("AWS Config") == lines.count("Tag changes") == 1


def test_the_index_lists_every_control() -> None:
    """Fails when a control would have a page that nobody finds."""
    controls = [control for members in groups().values() for control in members]
    text = pages.index(controls)
    assert [text.count(f"[{control.id}]({control.id}.md)") for control in controls] == [1] * len(controls)


def test_yaml_keeps_the_reason_on_the_stars_line() -> None:
    """Fails when a long reason would be folded into the next line or lose its quotes."""
    reason = "the service's own word, " * 20
    assert to_yaml({"Resource": Star(reason.strip())}, 2) == f"  Resource: '*'  # {reason.strip()}\n"


@pytest.mark.parametrize(("group", "expected"), [("kms", "Kms"), ("api-gateway", "ApiGateway"), ("a_b", "AB")])
def test_logical_ids_are_letters_and_digits(group: str, expected: str) -> None:
    """Fails when CloudFormation would refuse a logical id made from a group's name."""
    assert stem(group) == expected


def test_the_table_of_outcomes_says_something_of_each() -> None:
    """Fails when a reader of an alert finds an outcome that the docs do not explain, or a filter that cannot match."""
    text = (ROOT / generate.ALERTS).read_text(encoding="utf-8")
    for outcome in Outcome:
        assert f"| `{outcome}` | {outcome.meaning.says} |" in text
    for name in (*ATTRIBUTES, *FIELDS):
        assert f"| `{name}` |" in text
