"""Makes topics for tests."""

from __future__ import annotations

from tests.world import client


def topic(name: str = "orders") -> str:
    """Make a topic; return its ARN."""
    return client("sns").create_topic(Name=name)["TopicArn"]


MAKERS = {"AWS::SNS::Topic": (topic, "arn:aws:sns:eu-west-1:123456789012:1")}
