"""Groups too large for one pattern and one policy, on a live stack: their parts do what the whole did."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from evenkeel.control.registry import groups
from evenkeel.events import eventbridge
from evenkeel_cli.local import local_stack
from sandbox.client import Sandbox
from sandbox.deploy.deployment import deploy
from sandbox.deploy.settings import push
from sandbox.readback import check
from tests.prove.beside import Account
from tests.stack.catalogue import repository
from tools import generate, group_template, rendering, role
from tools.aws_quotas import INLINE_POLICIES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FEW = {group: groups()[group] for group in ("kms", "logs")}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """A stack of two groups, generated as if EventBridge and IAM took much less than they do."""
    folder = tmp_path_factory.mktemp("split")
    with pytest.MonkeyPatch.context() as patch, local_stack.own_environment(), Sandbox(table_seconds=0.0) as running:
        patch.setattr(eventbridge, "_FULL", 500)
        patch.setattr(role, "INLINE_POLICIES", replace(INLINE_POLICIES, share=0.1))
        patch.setattr(role, "MANAGED_POLICY", replace(INLINE_POLICIES, share=0.1))
        stack = deploy(running, written(folder, patch) / "template.yaml", parameters=local_stack.PARAMETERS)
        push(running, stack, {"schema_version": 1, "settle_seconds": 1})
        yield Account(running, stack, {})


def written(folder: Path, patch: pytest.MonkeyPatch) -> Path:
    """Write the sources with newly generated templates; return their folder."""
    for name in ("functions", "layers"):
        shutil.copytree(rendering.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    repository(folder, FEW, patch)
    (folder / generate.GROUPS).write_text(group_template.listed(FEW), encoding="utf-8")
    return folder


def test_it_stands_with_more_rules_and_managed_policies(account: Account) -> None:
    """Fails when what the generator makes of a large group cannot be deployed."""
    assert {"KmsApiCall2Rule", "KmsRolePolicy2", "LogsApiCall2Rule", "LogsRolePolicy2"} <= set(account.stack.resources)
    assert check.check(account.sandbox, account.stack.name) > 0
    name = account.stack.resources["KmsRole"]
    attached = account.sandbox.client("iam").list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    assert attached[0]["PolicyName"] == f"{name}-2"


@pytest.mark.parametrize("call", ["create_key", "disable_key_rotation"])
def test_a_repair_works_whatever_rule_and_policy_it_needs(account: Account, call: str) -> None:
    """Fails when an event of a part's rule wakes nobody, or a permission was lost between the parts."""
    kms = account.sandbox.client("kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    account.repair("kms-key-rotation", arn)
    if call == "disable_key_rotation":
        kms.disable_key_rotation(KeyId=arn)
        account.repair("kms-key-rotation", arn, number=2)
    assert kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]
