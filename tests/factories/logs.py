"""Makes log groups for tests."""

from __future__ import annotations

from tests.world import client


def group(name: str = "/app/orders", **params: object) -> str:
    """Make a log group; return its ARN without the ``:*``."""
    client("logs").create_log_group(logGroupName=name, **params)
    return f"arn:aws:logs:eu-west-1:123456789012:log-group:{name}"


MAKERS = {"AWS::Logs::LogGroup": (group, "arn:aws:logs:eu-west-1:123456789012:log-group:1")}
