"""The benchmark's environment: the real stack on a sandbox, with only the measured code running."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3

from evenkeel import names
from sandbox.deploy.settings import push

if TYPE_CHECKING:
    from sandbox.client import Sandbox
    from sandbox.deploy.deployment import Stack

TABLES_IN_A_LARGE_ACCOUNT = 300


@dataclass(frozen=True)
class Place:
    """A sandbox with the stack, and what Lambda would give the functions in their environment."""

    sandbox: Sandbox
    stack: Stack
    variables: dict[str, str]
    tables: Any
    """A DynamoDB client of a role that is named like the stack's: nobody else may write to the tables."""

    def settings(self, document: dict[str, Any]) -> None:
        """Put settings in force for the workers that start from here on."""
        push(self.sandbox, self.stack, {"schema_version": 1, **document})

    def forget(self, control_id: str, arn: str) -> None:
        """Forget what the state table keeps of a resource: there is only one of some, and it is to be met anew."""
        table = self.stack.outputs["StateTableName"]
        self.tables.delete_item(TableName=table, Key={"pk": {"S": f"{control_id}#{arn}"}})


def prepared(sandbox: Sandbox, stack: Stack) -> Place:
    """Switch the stack's own work off, and make the account a large one."""
    switch_off(sandbox)
    dynamodb = sandbox.client("dynamodb")
    for number in range(TABLES_IN_A_LARGE_ACCOUNT):
        dynamodb.create_table(
            TableName=f"other-{number}",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    keys = _own_role(sandbox, stack.name)
    own = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=sandbox.region)
    return Place(sandbox, stack, _variables(sandbox, stack, keys), sandbox.client("dynamodb", own))


def switch_off(sandbox: Sandbox) -> None:
    """Let the deployed functions rest, so that they do not serve what the workers measure."""
    functions = sandbox.client("lambda")
    for source in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=source["UUID"], Enabled=False)


def _own_role(sandbox: Sandbox, stack: str) -> dict[str, str]:
    """Return credentials of a role that the stack's tables take for one of its own, and that may do everything."""
    account = f"arn:aws:iam::{sandbox.account}"
    trust = {"Effect": "Allow", "Principal": {"AWS": f"{account}:root"}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam, name = sandbox.client("iam"), names.role(stack, sandbox.region, "benchmark")
    policies = [json.dumps({"Version": "2012-10-17", "Statement": [each]}) for each in (trust, everything)]
    iam.create_role(RoleName=name, Path="/evenkeel/", AssumeRolePolicyDocument=policies[0])
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policies[1])
    assumed = sandbox.client("sts").assume_role(RoleArn=f"{account}:role/evenkeel/{name}", RoleSessionName="benchmark")
    return dict(assumed["Credentials"])


def _variables(sandbox: Sandbox, stack: Stack, keys: dict[str, str]) -> dict[str, str]:
    outputs = stack.outputs
    return {
        "AWS_ENDPOINT_URL": sandbox.endpoint,
        "AWS_REGION": sandbox.region,
        "AWS_DEFAULT_REGION": sandbox.region,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "EVENKEEL_STACK": stack.name,
        "EVENKEEL_AUDIT_TABLE": outputs["AuditTableName"],
        "EVENKEEL_STATE_TABLE": outputs["StateTableName"],
        "EVENKEEL_SETTINGS": "/".join(
            outputs[f"Settings{part}Id"] for part in ("Application", "Environment", "Profile")
        ),
        "EVENKEEL_LOG_KEY_ARN": outputs["LogKeyArn"],
        "EVENKEEL_DLQ_URL": outputs["DeadLetterQueueUrl"],
        "EVENKEEL_QUEUE_URL": outputs["DeadLetterQueueUrl"],
        "POWERTOOLS_SERVICE_NAME": "benchmark",
        "POWERTOOLS_METRICS_NAMESPACE": "Evenkeel",
    }
