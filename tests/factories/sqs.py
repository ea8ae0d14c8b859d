"""Makes queues for tests."""

from __future__ import annotations

from tests.world import client


def queue(name: str = "orders") -> str:
    """Make a queue; return its ARN."""
    client("sqs").create_queue(QueueName=name)
    return f"arn:aws:sqs:eu-west-1:123456789012:{name}"


MAKERS = {"AWS::SQS::Queue": (queue, "arn:aws:sqs:eu-west-1:123456789012:1")}
