"""A queue that receives a stack's alerts while a self-test runs.

It is one more subscription, so the topic's policy does not change. It receives all alerts, since AWS may apply a
filter up to 15 minutes late (SNS developer guide, "Subscription filter policies").
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from evenkeel.model import Call
from evenkeel_cli.aws.session import reaching
from evenkeel_cli.selftest import marks
from evenkeel_cli.selftest.kinds import QUEUE, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel_cli.selftest.kinds import Site
    from evenkeel_cli.selftest.provisioner import Provisioner

_BATCH = 10  # messages that SQS returns at once


class Inbox:
    """The queue, and the ids of the records whose alerts arrived."""

    def __init__(self, provisioner: Provisioner, site: Site, run: str, topic: str) -> None:
        """Keep the queue's name and topic; :meth:`open` creates it."""
        self._provisioner = provisioner
        self._topic = topic
        self._lock = threading.Lock()
        self._arrived: set[str] = set()
        self.target = Target(site, run, marks.name(run, "alerts"), others={"topic": topic})
        self.made = False

    def open(self) -> None:
        """Create the queue and subscribe it.

        Raises:
            CommandError: AWS refused; close it nevertheless.
            StoppedError: the person stopped the self-test.
        """
        self.target = self._provisioner.make(QUEUE, self.target, self._keep)
        self._provisioner.run([_subscribe(self.target, self._topic)])

    def _keep(self, target: Target) -> None:
        self.target, self.made = target, True

    def calls(self) -> list[Call]:
        """Return the calls that create, subscribe and delete it."""
        target = replace(self.target, id=self.target.name)
        return [*QUEUE.make(target), _subscribe(target, self._topic), *QUEUE.remove(target)]

    def arrived(self, record_id: str) -> bool:
        """Return whether the alert about a record has arrived.

        Raises:
            CommandError: AWS refused.
        """
        with self._lock, reaching("read the alerts"):
            while record_id not in self._arrived and self._take():
                pass
            return record_id in self._arrived

    def _take(self) -> int:
        sqs, url = self._provisioner.cloud("sqs"), f"{self.target.site.queues}/{self.target.name}"
        found: list[dict[str, Any]] = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=_BATCH, MessageAttributeNames=["record_id"]
        ).get("Messages", [])
        for message in found:
            attribute = message.get("MessageAttributes", {}).get("record_id", {})
            self._arrived.add(str(attribute.get("StringValue", "")))
        if found:
            entries = [{"Id": f"{number}", "ReceiptHandle": each["ReceiptHandle"]} for number, each in enumerate(found)]
            sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        return len(found)

    def close(self) -> None:
        """Unsubscribe and delete the queue.

        Raises:
            CommandError: AWS refused.
        """
        if self.made:
            unsubscribe(self._provisioner.cloud, QUEUE.arn_of(self.target))
            self._provisioner.remove(QUEUE, self.target)
            self.made = False


def _subscribe(target: Target, topic: str) -> Call:
    params = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE.arn_of(target),
              "Attributes": {"RawMessageDelivery": "true"}}  # fmt: skip
    return Call("sns", "subscribe", params)


def unsubscribe(cloud: Callable[[str], Any], queue: str) -> None:
    """End all subscriptions of a queue.

    Raises:
        CommandError: AWS refused.
    """
    sns = cloud("sns")
    with reaching(f"unsubscribe {queue}"):
        for page in sns.get_paginator("list_subscriptions").paginate():
            for each in page["Subscriptions"]:
                if each.get("Endpoint") == queue and each["SubscriptionArn"].startswith("arn:"):
                    sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
