"""Makes secrets for tests."""

from __future__ import annotations

from tests.world import client


def secret(name: str = "orders/api") -> str:
    """Make a secret; return its ARN, which ends in letters that AWS adds."""
    return client("secretsmanager").create_secret(Name=name, SecretString="nobody knows")["ARN"]


MAKERS = {
    "AWS::SecretsManager::Secret": (secret, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders/api-AbCdEf"),
}
