"""Makes tables in a sandbox for tests of the sandbox itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.client import Sandbox


def table(sandbox: Sandbox, name: str, *, wait: bool = True) -> str:
    """Make a table, which is CREATING at first, and wait until it is ACTIVE; return its ARN."""
    made = sandbox.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "a", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "a", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]
    assert made["TableStatus"] == "CREATING"
    if wait:
        sandbox.client("dynamodb").get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    return str(made["TableArn"])
