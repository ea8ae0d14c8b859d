"""A queue that hears the alerts of a stack in a sandbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox.client import Sandbox
    from sandbox.deploy.deployment import Stack


def subscribe(sandbox: Sandbox, stack: Stack, **attributes: str) -> str:
    """Make the queue and return its URL; ``attributes`` are the subscription's, e.g. ``RawMessageDelivery``."""
    sqs = sandbox.client("sqs")
    url = str(sqs.create_queue(QueueName="-".join(("inbox", stack.name, *attributes)))["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
             "Resource": arn}  # fmt: skip
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Statement": [allow]})})
    sandbox.client("sns").subscribe(
        TopicArn=stack.outputs["AlertTopicArn"], Protocol="sqs", Endpoint=arn, Attributes=attributes
    )
    return url


def take(sandbox: Sandbox, url: str) -> list[dict[str, Any]]:
    """Take the messages that have come since the last call."""
    sqs, found = sandbox.client("sqs"), []
    while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        for message in batch:
            found.append(message)
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found
