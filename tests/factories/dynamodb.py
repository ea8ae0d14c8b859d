"""Makes DynamoDB tables for tests."""

from __future__ import annotations

from tests.world import client


def table(name: str = "orders") -> str:
    """Make a DynamoDB table; return its ARN."""
    made = client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return made["TableDescription"]["TableArn"]


MAKERS = {"AWS::DynamoDB::Table": (table, "arn:aws:dynamodb:eu-west-1:123456789012:table/1")}
