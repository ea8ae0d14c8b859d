"""Real CDK beside Evenkeel with its defaults: deploy, deploy again, weaken, destroy."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.prove.beside import Account, evenkeel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PACKAGES = ("aws-cdk@2.1148.1", "aws-cdk-lib@2.276.0", "constructs@10.8.1")
INSTALL_SECONDS, SYNTH_SECONDS, DEPLOY_SECONDS = 180.0, 90.0, 60.0
STACK, ROTATION = "Orders", "kms-key-rotation"
APP = """
const cdk = require("aws-cdk-lib/core");
const kms = require("aws-cdk-lib/aws-kms");
const logs = require("aws-cdk-lib/aws-logs");
const dynamodb = require("aws-cdk-lib/aws-dynamodb");

const app = new cdk.App();
const stack = new cdk.Stack(app, "Orders", { synthesizer: new cdk.BootstraplessSynthesizer() });
const removalPolicy = cdk.RemovalPolicy.DESTROY;
const rotates = app.node.tryGetContext("rotate") !== "no";
new kms.Key(stack, "Key", { enableKeyRotation: rotates, removalPolicy });
new logs.LogGroup(stack, "Log", { logGroupName: "/orders", retention: logs.RetentionDays.INFINITE, removalPolicy });
new dynamodb.TableV2(stack, "Table", {
  tableName: "orders", partitionKey: { name: "id", type: dynamodb.AttributeType.STRING }, removalPolicy,
});
app.synth();
"""


@dataclass(frozen=True)
class Cdk:
    """CDK in a folder with its app synthesized, as it is and weakened."""

    account: Account
    folder: Path

    def __call__(self, command: str, app: str, *arguments: str, seconds: float = DEPLOY_SECONDS) -> str:
        """Run a command that has to succeed on a synthesized app, or a program that makes one."""
        line = [str(self.folder / "node_modules" / ".bin" / "cdk"), "--app", app, "--no-notices", "--ci", command]
        return self.account.run(self.folder, [*line, *arguments], seconds, {"CDK_DISABLE_VERSION_CHECK": "1"})

    def synthesize(self, to: str, *context: str) -> None:
        """Write the app's template into a folder."""
        self("synth", "node app.js", "--quiet", "--output", to, *context, seconds=SYNTH_SECONDS)

    def deploy(self, app: str) -> str:
        """Deploy a synthesized app; return what it printed."""
        return self("deploy", app, "--require-approval", "never")

    def made(self, kind: str) -> str:
        """Return the physical id of the stack's resource of a type."""
        parts = self.account.sandbox.client("cloudformation").describe_stack_resources(StackName=STACK)
        [found] = [each["PhysicalResourceId"] for each in parts["StackResources"] if each["ResourceType"] == kind]
        return str(found)


@pytest.fixture(scope="module")
def cdk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cdk]:
    """Return CDK in an account that Evenkeel looks after."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("cdk")
    (folder / "app.js").write_text(APP, encoding="utf-8")
    try:
        subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES],
            cwd=folder, capture_output=True, text=True, check=True, timeout=INSTALL_SECONDS,
        )  # fmt: skip
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm cannot install CDK: {str(error.stderr or error)[-300:]}")
    with evenkeel() as account:
        tool = Cdk(account, folder)
        tool.synthesize("right")
        tool.synthesize("weak", "--context", "rotate=no")
        yield tool


def test_cdk_deploys_again_weakens_and_destroys_beside_evenkeel(cdk: Cdk) -> None:
    """If this fails, what CDK deploys goes unseen, or a deployment fails or is taken for another beside Evenkeel."""
    account, place = cdk.account, f"{cdk.account.sandbox.region}:{cdk.account.sandbox.account}"
    cdk.deploy("right")
    key, group = f"arn:aws:kms:{place}:key/{cdk.made('AWS::KMS::Key')}", f"arn:aws:logs:{place}:log-group:/orders"
    table = f"arn:aws:dynamodb:{place}:table/orders"
    for control, arn in (("logs-group-retention", group), ("dynamodb-point-in-time-recovery", table),
                         ("tagging-required-tags", key)):  # fmt: skip
        record = account.repair(control, arn)
        assert record["waited"].endswith('s for "cloudformation.amazonaws.com" to finish')
        assert record["actor"]["principal"].endswith(":user/deployer")

    assert "no changes" in cdk.deploy("right")
    cdk.deploy("weak")
    record = account.repair(ROTATION, key)
    assert (record["cause"]["event_name"], record["outcome"]) == ("DisableKeyRotation", "REMEDIATED")
    assert "cloudformation" in record["waited"]
    assert account.sandbox.client("kms").get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    [kept] = account.sandbox.client("logs").describe_log_groups(logGroupNamePrefix="/orders")["logGroups"]
    assert kept["retentionInDays"] == 365

    cdk("destroy", "weak", "--force")
    assert "orders" not in account.sandbox.client("dynamodb").list_tables()["TableNames"]
