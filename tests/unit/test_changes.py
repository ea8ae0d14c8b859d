"""Which deployment `make changes` shows, how it prints it, and what its exit codes mean."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from tests.world import REGION, client
from tools import changes
from tools.change_set import Change, ChangeSet, Property, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
GUIDED = """
version = 0.1
[default.deploy.parameters]
stack_name = "mine"
capabilities = "CAPABILITY_NAMED_IAM CAPABILITY_AUTO_EXPAND"
parameter_overrides = 'Environment="dev" Scope="arn:aws:s3:::a" Owner="the platform team" AlertEmail=""'
tags = 'Team="platform"'
[default.global.parameters]
region = "eu-north-1"
"""
POLICY = Property("Policies", "/Properties/Policies/0", '{"Action": ["kms:ListKeys"]}', '{"Action": ["kms:*"]}')
GRANT = Change("KmsGroup", "Modify", "Role", "AWS::IAM::Role", properties=(POLICY,))
TABLE = Change("", "Modify", "AuditTable", "AWS::DynamoDB::Table", replacement="True")


def test_a_stack_names_its_environment() -> None:
    """If this fails, `make changes STACK=evenkeel-prod` shows production with another environment's parameters."""
    found = changes.deployment(ROOT / "samconfig.toml", "", "evenkeel-prod")
    assert (found.parameters["Environment"], found.parameters["Protect"]) == ("prod", "true")
    assert set(found.capabilities) == {"CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"}


def test_what_sam_wrote_is_read_as_sam_reads_it(tmp_path: Path) -> None:
    """If this fails, a file that `sam deploy --guided` wrote gives other parameters here than in the deployment."""
    (tmp_path / "samconfig.local.toml").write_text(GUIDED, encoding="utf-8")
    found = changes.deployment(tmp_path / "samconfig.local.toml", "", "")
    assert (found.stack, found.region) == ("mine", "eu-north-1")
    assert found.capabilities == ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
    assert found.parameters == {
        "Environment": "dev", "Scope": "arn:aws:s3:::a", "Owner": "the platform team", "AlertEmail": ""}  # fmt: skip
    assert found.tags == {"Team": "platform"}


def test_production_is_created_first_and_protected_after() -> None:
    """If this fails, a first creation that fails leaves protected tables, or differs from what is deployed later."""
    first, after = (changes.deployment(ROOT / "samconfig.toml", name, "") for name in ("prod-first", "prod"))
    assert replace(first, parameters={**first.parameters, "Protect": "true"}) == after
    assert first.parameters["Protect"] == "false"


@pytest.mark.parametrize(
    ("environment", "stack", "says"),
    [
        ("live", "", "has no environment live"),
        ("", "other", "no environment of .* deploys other"),
        ("empty", "", "names no stack"),
    ],
)
def test_what_the_file_lacks_is_said(tmp_path: Path, environment: str, stack: str, says: str) -> None:
    """If this fails, a typing error shows the changes of another stack, or a stack trace."""
    path = tmp_path / "samconfig.toml"
    path.write_text(GUIDED + "[empty.deploy.parameters]\n", encoding="utf-8")
    with pytest.raises(changes.UsageError, match=says):
        changes.deployment(path, environment, stack)


@pytest.mark.usefixtures("world")
def test_two_people_at_once_are_shown_their_own_changes() -> None:
    """If this fails, who compares at the same moment as a colleague is shown the colleague's changes as their own."""
    s3 = client("s3")
    s3.create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
    urls = [changes.uploaded(s3, "artifacts", "evenkeel", text) for text in (b"mine", b"theirs", b"mine")]
    keys = [url.partition("/artifacts/")[2] for url in urls]
    assert [s3.get_object(Bucket="artifacts", Key=key)["Body"].read() for key in keys] == [b"mine", b"theirs", b"mine"]
    assert urls[0] == urls[2]


def shown(made: ChangeSet) -> str:
    """Return what a pipe or a file would get."""
    file = io.StringIO()
    changes.show(Console(file=file, width=80, markup=False, soft_wrap=True), "evenkeel", made)
    return file.getvalue()


def test_no_name_is_broken() -> None:
    """If this fails, a pipeline's log shows `AWS::Lambda:` and `:EventSource`, which nobody finds by searching."""
    source = Change("CloudtrailGroup", "Modify", "Source", "AWS::Lambda::EventSourceMapping", replacement="Conditional")
    text = shown(ChangeSet("id", "stack", creates=False, changes=(source,)))
    assert "CloudtrailGroup  Source    AWS::Lambda::EventSourceMapping  may replace" in text


def test_what_sam_prints_is_shown_only_if_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, the changes drown in hundreds of lines about uploads, or a failed build has no reason."""
    sam = tmp_path / "sam"
    sam.write_text('#!/bin/sh\necho "Building codeuri"\necho "disk full" >&2\ntest "$1" = build\n', encoding="utf-8")
    sam.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    changes._sam("build")
    assert capsys.readouterr().err == "sam build ...\n"
    with pytest.raises(RefusedError, match="sam package failed"):
        changes._sam("package")
    assert "Building codeuri\ndisk full" in capsys.readouterr().err


def test_without_a_region_it_says_where_to_write_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, the first try in a fresh shell ends with "Refused: You must specify a region", no next step."""
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert changes.main([]) == changes.USAGE
    assert "set AWS_DEFAULT_REGION" in capsys.readouterr().err


def test_a_permission_shows_what_it_was_and_will_be() -> None:
    """If this fails, a reviewer sees that a role changes and not what it may do from now on."""
    text = shown(ChangeSet("id", "stack", creates=False, changes=(GRANT, TABLE)))
    assert '- "kms:ListKeys"' in " ".join(text.split())
    assert '+ "kms:*"' in " ".join(text.split())
    assert "would be replaced or removed: evenkeel AuditTable" in text


def test_nothing_and_a_new_stack_are_said_plainly() -> None:
    """If this fails, an empty answer looks like a failure, or a creation like an update."""
    assert "Nothing would change in evenkeel" in shown(ChangeSet("id", "stack", creates=False))
    assert "would be created" in shown(ChangeSet("id", "stack", creates=True, changes=(GRANT,)))


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[ChangeSet | Exception], list[ChangeSet]]:
    """Return how to have CloudFormation answer with a change set or an error; the list holds what is deleted."""

    def answer(what: ChangeSet | Exception) -> list[ChangeSet]:
        deleted: list[ChangeSet] = []

        def make(*_: object) -> ChangeSet:
            if isinstance(what, Exception):
                raise what
            return what

        monkeypatch.chdir(ROOT)
        monkeypatch.setattr(changes, "packaged", lambda *_: None)
        monkeypatch.setattr(changes, "make", make)
        monkeypatch.setattr(changes, "delete", lambda _, made: deleted.append(made))
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        return deleted

    return answer


def test_exit_codes_mean_what_they_say(answering: Callable[[ChangeSet | Exception], list[ChangeSet]]) -> None:
    """If this fails, a pipeline goes on although a table would be replaced, or stops although nothing is wrong."""
    answering(ChangeSet("id", "stack", creates=False, changes=(GRANT,)))
    assert changes.main([]) == changes.SHOWN
    answering(ChangeSet("id", "stack", creates=False, changes=(TABLE,)))
    assert changes.main([]) == changes.LOSS
    answering(RefusedError("AccessDenied"))
    assert changes.main([]) == changes.REFUSED
    assert changes.main(["--env", "nowhere"]) == changes.USAGE


def test_a_protected_creation_is_warned_of(
    answering: Callable[[ChangeSet | Exception], list[ChangeSet]], capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, production is created with Protect=true, and its failure leaves tables in the way."""
    answering(ChangeSet("id", "stack", creates=True, changes=(GRANT,)))
    changes.main(["--env", "prod"])
    assert "Protect=false" in capsys.readouterr().err
    changes.main(["--env", "prod-first"])
    assert "Protect=false" not in capsys.readouterr().err


def test_the_change_set_goes_unless_it_is_kept(
    answering: Callable[[ChangeSet | Exception], list[ChangeSet]], capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, each look leaves a change set behind, or one that people asked to keep is deleted."""
    made = ChangeSet("id", "stack", creates=False, changes=(GRANT,))
    deleted = answering(made)
    changes.main(["--output", "json"])
    assert deleted == [made]
    (found,) = json.loads(capsys.readouterr().out)["changes"]
    assert (found["stack"], found["logical_id"], found["grants"], found["loses"]) == ("KmsGroup", "Role", True, False)
    deleted = answering(made)
    changes.main(["--keep"])
    assert deleted == []
    assert "kept: id" in capsys.readouterr().err
