"""Real SAM beside Evenkeel with its defaults: deploy an application, deploy again, weaken, delete."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.prove.beside import Account, evenkeel, soon
from tests.sandbox import inbox

if TYPE_CHECKING:
    from collections.abc import Iterator

STACK, ROTATION = "orders", "kms-key-rotation"
SECONDS = 90.0
TEMPLATE = """
AWSTemplateFormatVersion: '2010-09-09'
Transform: AWS::Serverless-2016-10-31
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: orders
      Runtime: python3.13
      Handler: index.handler
      InlineCode: |
        def handler(event, context):
            return 1
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: orders
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
  Key:
    Type: AWS::KMS::Key
    Properties:
      EnableKeyRotation: true
      KeyPolicy:
        Statement:
          - {Effect: Allow, Principal: {AWS: !Ref AWS::AccountId}, Action: 'kms:*', Resource: '*'}
"""


@dataclass(frozen=True)
class Sam:
    """SAM in a folder with a template."""

    account: Account
    folder: Path
    alerts: str
    """URL of a queue that hears Evenkeel's alerts."""

    def __call__(self, *arguments: str) -> str:
        """Run a command that has to succeed; return what it printed."""
        tool = Path(sys.executable).parent / "sam"
        return self.account.run(self.folder, [str(tool), *arguments], SECONDS, {"SAM_CLI_TELEMETRY": "0"})

    def deploy(self, template: str) -> str:
        """Deploy a template."""
        (self.folder / "template.yaml").write_text(template, encoding="utf-8")
        return self("deploy", "--stack-name", STACK, "--capabilities", "CAPABILITY_IAM", "--resolve-s3",
                    "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar")  # fmt: skip

    def key(self) -> str:
        """Return the ARN of the stack's key."""
        cloudformation = self.account.sandbox.client("cloudformation")
        found = cloudformation.describe_stack_resource(StackName=STACK, LogicalResourceId="Key")["StackResourceDetail"]
        place = f"{self.account.sandbox.region}:{self.account.sandbox.account}"
        return f"arn:aws:kms:{place}:key/{found['PhysicalResourceId']}"


@pytest.fixture(scope="module")
def sam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sam]:
    """Return SAM in an account that Evenkeel looks after."""
    if not (Path(sys.executable).parent / "sam").exists():
        pytest.skip("aws-sam-cli is not installed in this environment")
    with evenkeel() as account:
        alerts = inbox.subscribe(account.sandbox, account.stack, RawMessageDelivery="true")
        yield Sam(account, tmp_path_factory.mktemp("sam"), alerts)


def test_sam_deploys_again_weakens_and_deletes_beside_evenkeel(sam: Sam) -> None:
    """If this fails, what SAM deploys goes unseen, a deployment fails, or nobody is told to fix the template."""
    account, place = sam.account, f"{sam.account.sandbox.region}:{sam.account.sandbox.account}"
    sam.deploy(TEMPLATE)
    account.sandbox.client("lambda").invoke(FunctionName="orders")
    group = f"arn:aws:logs:{place}:log-group:/aws/lambda/orders"
    assert account.repair("logs-group-retention", group)["waited"] == ""
    table = account.repair("dynamodb-point-in-time-recovery", f"arn:aws:dynamodb:{place}:table/orders")
    assert "cloudformation" in table["waited"]

    assert "No changes to deploy" in sam.deploy(TEMPLATE)
    sam.deploy(TEMPLATE.replace("EnableKeyRotation: true", "EnableKeyRotation: false"))
    record = account.repair(ROTATION, sam.key())
    assert (record["cause"]["event_name"], record["outcome"]) == ("DisableKeyRotation", "REMEDIATED")
    assert "cloudformation" in record["waited"]
    [text] = soon(lambda: _alerts(sam, record["record_id"]), "the alert")
    assert f"stack {STACK}" in text

    sam("delete", "--stack-name", STACK, "--no-prompts", "--region", account.sandbox.region)
    assert "orders" not in account.sandbox.client("dynamodb").list_tables()["TableNames"]


def _alerts(sam: Sam, record_id: str) -> list[str]:
    """Return the alerts of a record that have come since the last call."""
    taken = [message["Body"] for message in inbox.take(sam.account.sandbox, sam.alerts)]
    return [json.dumps(body) for body in taken if record_id in body]
