"""Makes KMS keys for tests."""

from __future__ import annotations

from tests.world import client


def key(name: str = "orders", **params: object) -> str:
    """Make a KMS key; return its ARN."""
    return client("kms").create_key(**{"Description": name, **params})["KeyMetadata"]["Arn"]


MAKERS = {"AWS::KMS::Key": (key, "arn:aws:kms:eu-west-1:123456789012:key/1")}
