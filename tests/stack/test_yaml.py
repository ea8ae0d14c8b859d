"""The generated templates as a person reads them, and as YAML reads them back."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from evenkeel.control.registry import groups
from sandbox.deploy import template
from tools import enabled_groups, group_template
from tools.cfn import Fn, Star, arn_of, plain, ref, to_yaml
from tools.rendering import ROOT

NEW_LINE = "\n"
LINES = [
    (ref("AWS::Region"), "!Ref AWS::Region"),
    (arn_of("Queue"), "!GetAtt Queue.Arn"),
    (Fn("Sub", "arn:${AWS::Partition}:sqs:x"), "!Sub arn:${AWS::Partition}:sqs:x"),
    (Fn("Sub", "a: b"), "!Sub 'a: b'"),
    ([ref("AWS::NoValue"), Fn("Sub", "${A}-b")], "[!Ref AWS::NoValue, !Sub '${A}-b']"),
    (["kms:Decrypt", "true", "7", "", "*"], "[kms:Decrypt, 'true', '7', '', '*']"),
    ({"Bool": {"aws:SecureTransport": False}}, "\n  Bool: {aws:SecureTransport: false}"),
    (Star("nothing to name"), "'*'  # nothing to name"),
]


@pytest.mark.parametrize(("value", "line"), LINES)
def test_quotes_are_only_where_yaml_needs_them(value: Any, line: str) -> None:
    """Fails when a generated template is harder to read than a hand-written one, or a text becomes a number."""
    long = "x" * 100  # so that the mapping is no short one
    text = to_yaml({"a": value, "long": long}, 0)
    assert text == f"a:{'' if line.startswith(NEW_LINE) else ' '}{line}\nlong: {long}\n"
    if "!" not in line and not isinstance(value, Star):
        assert yaml.safe_load(text)["a"] == value


def test_sections_and_resources_are_apart() -> None:
    """Fails when a group's template runs together, or has a blank line where nobody would put one."""
    for controls in groups().values():
        text = (ROOT / enabled_groups.path(controls)).read_text(encoding="utf-8")
        assert not re.search(r":\n\n|\n\n\n", text)
        assert re.findall(r"\n\n(\w+):\n", text) == ["Parameters", "Conditions", "Resources"]
        assert not re.search(r"[^\n]\n  \w+:\n(?=    Type: AWS)", text.partition("Resources:\n")[2])


def test_a_generated_template_reads_back_as_it_was_meant() -> None:
    """Fails when a text loses its quotes and YAML takes it for something else."""
    for group, controls in groups().items():
        meant = group_template.template(group, controls)
        assert template.load(ROOT / enabled_groups.path(controls)) == plain(meant)


def test_the_root_can_be_read_in_one_go() -> None:
    """Fails when the root grows beyond what a person reads in one go; what is a group's belongs in its stack."""
    whole = (ROOT / "template.yaml").read_text(encoding="utf-8")
    written = re.sub(r"# >>> generated.*?# <<< generated", "", whole, flags=re.DOTALL)
    assert len(written.splitlines()) < 1050
