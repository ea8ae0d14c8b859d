"""The demo's people, the stack's outputs, and on-call's queue of alerts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evenkeel import names
from evenkeel_cli.local import local_stack

if TYPE_CHECKING:
    import boto3

    from sandbox.client import Sandbox
    from sandbox.deploy.deployment import Stack

PEOPLE = ("alice", "bob")
ROLE = "shop-pdf"
"""The role of the function that alice creates."""


@dataclass
class World:
    """Clients by person and service; ``world("kms")`` is the demo's own, which only reads."""

    sandbox: Sandbox
    stack: str
    outputs: dict[str, str]
    people: dict[str, boto3.Session] = field(default_factory=dict)
    tag_values: dict[str, str] = field(default_factory=lambda: dict(local_stack.TAG_VALUES))
    role_arn: str = ""
    alerts_url: str = ""
    made: dict[str, str] = field(default_factory=dict)
    """ARNs of the created resources, by the story's word for each."""
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)

    def __call__(self, service: str, person: str = "") -> Any:
        """Return a person's client for a service, or the demo's own."""
        if (person, service) not in self._clients:
            session = self.people[person] if person else None
            self._clients[person, service] = self.sandbox.client(service, session)
        return self._clients[person, service]

    def function(self, control: str) -> str:
        """Return the name of the function that serves a control."""
        return names.function(self.stack, control.partition("-")[0])


def settle_in(sandbox: Sandbox, stack: Stack) -> World:
    """Create the people, the function's role and on-call's subscription; return the world."""
    world = World(sandbox, stack.name, stack.outputs)
    world.people = {name: sandbox.create_user(name) for name in PEOPLE}
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    made = world("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))
    world.role_arn = made["Role"]["Arn"]
    world.alerts_url = _subscribe(world)
    return world


def _subscribe(world: World) -> str:
    """Create on-call's queue, subscribe it to the stack's topic, and return its URL; it has the required tags."""
    topic = world.outputs["AlertTopicArn"]
    arn = f"arn:aws:sqs:{world.sandbox.region}:{world.sandbox.account}:on-call"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
    tags = {"Owner": "on-call", **world.tag_values}
    url: str = world("sqs").create_queue(QueueName="on-call", Attributes={"Policy": json.dumps(policy)}, tags=tags)[
        "QueueUrl"
    ]
    world("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url
