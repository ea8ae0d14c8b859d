"""What people type before a deployment: `sam deploy --guided` in a file of their own, then `make changes`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.client import REPOSITORY, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

STACK = "evenkeel-mine"
GROUP = "functions/controls/kms/template.yaml"


@dataclass(frozen=True)
class Person:
    """Somebody with a clone, an AWS account and SAM."""

    sandbox: Sandbox
    key: dict[str, str]
    """Of an IAM user who may do what docs/deploy-policy*.json say, and nothing else."""
    clone: Path
    bin: Path

    def run(self, *command: str, typed: str = "", codes: tuple[int, ...] = (0,)) -> str:
        """Run a command in the clone and return what it printed on stdout."""
        environment = {
            "PATH": f"{self.bin}:/usr/bin:/bin",
            "HOME": str(self.clone),
            "AWS_ENDPOINT_URL": self.sandbox.endpoint,
            "AWS_DEFAULT_REGION": self.sandbox.region,
            "AWS_ACCESS_KEY_ID": self.key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self.key["SecretAccessKey"],
            "SAM_CLI_TELEMETRY": "0",
            **{name: os.environ[name] for name in ("PIP_INDEX_URL", "PIP_CONFIG_FILE") if name in os.environ},
        }
        done = subprocess.run(
            command, cwd=self.clone, env=environment, input=typed, capture_output=True, text=True, check=False
        )
        assert done.returncode in codes, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout

    def changes(self, *more: str, codes: tuple[int, ...] = (0,)) -> str:
        """Ask what a deployment would change."""
        return self.run(
            str(self.bin / "python"), "-m", "tools.changes", "--stack", STACK, "--config-file", "samconfig.local.toml",
            *more, codes=codes,
        )  # fmt: skip

    def git(self, *arguments: str) -> str:
        """Run git in the clone."""
        return self.run("git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments)


def deployer(place: Sandbox) -> dict[str, str]:
    """Return the access key of a user with the policies of docs/ and no other."""
    iam = place.client("iam")
    iam.create_user(UserName="deployer")
    for path in REPOSITORY.glob("docs/deploy-policy*.json"):
        made = iam.create_policy(PolicyName=path.stem, PolicyDocument=path.read_text(encoding="utf-8"))
        iam.attach_user_policy(UserName="deployer", PolicyArn=made["Policy"]["Arn"])
    key: dict[str, str] = iam.create_access_key(UserName="deployer")["AccessKey"]
    return key


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Return somebody who deployed with `sam deploy --guided`, as docs/operations/deploy.md says."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("template.yaml", "samconfig.toml", ".gitignore"):
        shutil.copy(REPOSITORY / name, clone)
    for name in ("functions", "layers", "tools", "sandbox"):
        shutil.copytree(REPOSITORY / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    with Sandbox(table_seconds=0.0) as running:
        person = Person(running, deployer(running), clone, Path(sys.executable).parent)
        person.git("init", "--quiet")
        person.git("add", "--all")
        person.git("commit", "--quiet", "--message", "clone")
        person.run("sam", "build")
        shutil.copy(clone / "samconfig.toml", clone / "samconfig.local.toml")
        answers = f"{STACK}\n" + "\n" * 40  # the name; everything else as proposed
        person.run("sam", "deploy", "--guided", "--config-file", "samconfig.local.toml", typed=answers)
        yield person


def test_guided_leaves_the_committed_file_alone(person: Person) -> None:
    """If this fails, somebody's parameters, an e-mail address among them, end in the next commit."""
    assert person.git("status", "--porcelain") == ""
    assert STACK in (person.clone / "samconfig.local.toml").read_text(encoding="utf-8")
    stack = person.sandbox.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"


def test_what_is_deployed_already_changes_nothing(person: Person) -> None:
    """If this fails, people see changes that are none, and stop reading them."""
    assert f"Nothing would change in {STACK}." in person.changes()


def test_a_new_permission_of_a_nested_stack_comes_first(person: Person) -> None:
    """If this fails, a control may do more after a deployment than whoever approved it saw."""
    path = person.clone / GROUP
    text = path.read_text(encoding="utf-8")
    assert "kms:DescribeKey, kms:GetKeyRotationStatus" in text
    path.write_text(text.replace("kms:DescribeKey, kms:GetKeyRotationStatus", "'kms:*'", 1), encoding="utf-8")
    found: dict[str, Any] = json.loads(person.changes("--output", "json"))
    assert not found["creates"]
    roles = [each for each in found["changes"] if each["resource_type"] == "AWS::IAM::Role"]
    assert [(each["stack"], each["logical_id"]) for each in roles] == [("KmsGroup", "Role")]
    kinds = [each["grants"] for each in found["changes"]]
    assert kinds == sorted(kinds, reverse=True)
    assert left(person) == []


def left(person: Person) -> list[str]:
    """Return the change sets that are still there, of whichever stack."""
    client = person.sandbox.client("cloudformation")
    stacks = [
        each["StackName"] for each in client.list_stacks()["StackSummaries"] if "DELETE" not in each["StackStatus"]
    ]
    return [
        each["ChangeSetName"]
        for name in stacks
        for each in client.list_change_sets(StackName=name)["Summaries"]
        if each["ExecutionStatus"] != "EXECUTE_COMPLETE"
    ]
