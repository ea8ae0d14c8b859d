"""The stack's two tables, with the keys and the index that template.yaml gives them."""

from __future__ import annotations

from typing import Any

from evenkeel import names

STACK = "evenkeel-test"
"""The stack that the tests take themselves for."""
AUDIT, STATE = names.audit_table(STACK), names.state_table(STACK)


def make(dynamodb: Any) -> None:
    """Make both with a client of DynamoDB."""
    dynamodb.create_table(
        TableName=AUDIT,
        KeySchema=[
            {"AttributeName": "resource", "KeyType": "HASH"},
            {"AttributeName": "record_id", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "resource", "AttributeType": "S"},
            {"AttributeName": "record_id", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.create_table(
        TableName=STATE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "due_shard", "AttributeType": "S"},
            {"AttributeName": "due_at", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "due",
                "KeySchema": [
                    {"AttributeName": "due_shard", "KeyType": "HASH"},
                    {"AttributeName": "due_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
