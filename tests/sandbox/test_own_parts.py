"""The deployed stack meets every control, repairs nothing of itself, and reports who weakens it past CloudFormation.

Here the stack's own resources have their events, as on AWS.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel import system_parts
from evenkeel.control.registry import all_controls
from evenkeel.group_names import RULES
from evenkeel.model import Place as Where
from evenkeel.remediation import own_parts
from evenkeel_cli.local import local_stack
from sandbox.deploy.deployment import deploy
from tests.sandbox import inbox
from tests.sandbox.cli_stack import Place, eventually, standing

if TYPE_CHECKING:
    from collections.abc import Iterator

FINE = {"COMPLIANT", "NOT_APPLICABLE"}
LISTED = {"dynamodb-deletion-protection": "with Protect=false whoever deploys decided that the tables may be deleted"}
"""What the template leaves as it is, by control, with the reason. It is announced, and not changed."""
NOT_PARTS = ("evenkeel-artifacts-", ":security-group/", ":ebs-encryption-by-default", ":evenkeel-inbox", ":inbox-")
"""What is in a fresh sandbox besides the stack: the bucket of artifacts, what every account has, our own ear."""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack with all controls enforced that can change something, and the events of what it deploys."""
    changing = [name for name, control in all_controls().items() if not control.only_announces]
    with standing(enforced=changing, quiet=False) as there:
        yield there


@pytest.fixture(scope="module")
def parts(place: Place) -> frozenset[str]:
    """Return the ARNs of the stack's own parts."""
    keys = {place.stack.outputs[f"{name}KeyArn"] for name in ("Data", "Log", "Digest")}
    return system_parts.arns(place.stack.name, Where(place.sandbox.account, place.sandbox.region), frozenset(keys))


def _run(place: Place, control: str, *options: str) -> list[dict[str, Any]]:
    """Run a control over all resources; return what became of each."""
    answer = place.run("run", control, "--all", "--output", "json", *options)
    found: list[dict[str, Any]] = json.loads(answer.stdout)["results"]
    return found


def _about(place: Place, parts: frozenset[str]) -> list[dict[str, str]]:
    """Return the audit's records about the stack's parts, in short."""
    pages = (
        place.sandbox.client("dynamodb").get_paginator("scan").paginate(TableName=place.stack.outputs["AuditTableName"])
    )
    items = [item for page in pages for item in page["Items"] if item["resource"]["S"] in parts]
    return [
        {name: item[name]["S"] for name in ("control", "resource", "outcome", "severity", "detail") if name in item}
        for item in items
    ]


def _quiet(place: Place) -> bool:
    """Say whether no message waits, is delayed or is being worked on."""
    sqs = place.sandbox.client("sqs")
    urls = [sqs.get_queue_url(QueueName=f"{place.stack.name}-{group}")["QueueUrl"] for group in RULES]
    return not any(
        int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"][name])
        for url in urls
        for name in (f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed"))
    )


def test_every_control_finds_the_fresh_stack_as_it_should_be(place: Place, parts: frozenset[str]) -> None:
    """If this fails, the first run in a new account begins with findings about Evenkeel, or Evenkeel changes itself."""
    for control in all_controls():
        found = _run(place, control, "--apply", "--yes")
        strange = [each["resource"] for each in found if each["resource"] not in parts]
        assert not [arn for arn in strange if not any(mark in arn for mark in NOT_PARTS)], control
        own = {each["outcome"] for each in found if each["resource"] in parts}
        assert own <= (FINE | {"ANNOUNCED"} if control in LISTED else FINE), (control, found)
    assert {each["control"] for each in _about(place, parts)} == set(LISTED)
    assert {(each["outcome"], each["severity"], each["detail"]) for each in _about(place, parts)} == {
        ("ANNOUNCED", "MEDIUM", own_parts.FOUND)
    }
    tables = place.sandbox.client("dynamodb")
    for name in ("AuditTableName", "StateTableName"):
        assert not tables.describe_table(TableName=place.stack.outputs[name])["Table"]["DeletionProtectionEnabled"]


def test_deploying_the_stack_again_is_no_news(place: Place, parts: frozenset[str]) -> None:
    """If this fails, a deployment of Evenkeel, the first or a later one, repairs or reports it, or leaves dead letters.

    Functions stay as they are: the sandbox ends workers of a function that is updated, and with them what they do.
    """
    before, since = _about(place, parts), len(place.sandbox.events())
    deploy(place.sandbox, parameters={**local_stack.PARAMETERS, "LogRetentionDays": "400"})
    groups = [each["detail"] for each in place.sandbox.events(since=since, eventName="PutRetentionPolicy")]
    assert {each["userIdentity"]["invokedBy"] for each in groups} == {"cloudformation.amazonaws.com"}
    eventually(partial(_quiet, place), "quiet queues after the update")
    assert [each for each in _about(place, parts) if each not in before] == []
    letters = place.sandbox.client("sqs").get_queue_attributes(
        QueueUrl=place.stack.outputs["DeadLetterQueueUrl"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    assert letters["Attributes"]["ApproximateNumberOfMessages"] == "0"


def test_person_who_weakens_the_stack_is_a_critical_alert(place: Place, parts: frozenset[str]) -> None:
    """If this fails, somebody blinds Evenkeel and on-call does not hear who, or Evenkeel fights over its own parts."""
    mallory, outputs = place.sandbox.create_user("mallory"), place.stack.outputs
    ear = inbox.subscribe(place.sandbox, place.stack)
    group = f"/aws/lambda/{place.stack.name}-kms"
    place.sandbox.client("kms", mallory).disable_key_rotation(KeyId=outputs["DataKeyArn"])
    place.sandbox.client("logs", mallory).put_retention_policy(logGroupName=group, retentionInDays=1)
    place.sandbox.client("sqs", mallory).untag_queue(QueueUrl=outputs["DeadLetterQueueUrl"], TagKeys=["Owner"])
    by_mallory = (
        f"Caused by: arn:aws:iam::{place.sandbox.account}:user/mallory with",
        "To do: find out who changed it",
    )
    expected = {
        "[CRITICAL] ANNOUNCED kms-key-rotation": by_mallory,
        "[CRITICAL] ANNOUNCED logs-group-retention": by_mallory,
        # EventBridge's event of a tag change names nobody.
        "[LOW] ANNOUNCED tagging-required-tags": ("lacks Owner", "To do: correct the template"),
    }
    heard: dict[str, str] = {}

    def all_heard() -> bool:
        for message in inbox.take(place.sandbox, ear):
            alert = json.loads(message["Body"])
            heard[" ".join(alert["Subject"].split()[:3])] = alert["Message"]
        return heard.keys() >= expected.keys()

    eventually(all_heard, "an alert about each part")
    for subject, words in expected.items():
        assert all(each in heard[subject] for each in words), heard[subject]
    eventually(partial(_quiet, place), "quiet queues")
    tags = place.sandbox.client("sqs").list_queue_tags(QueueUrl=outputs["DeadLetterQueueUrl"])["Tags"]
    kept = place.sandbox.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["retentionInDays"]
    assert ("Owner" in tags, kept, place.rotates(outputs["DataKeyArn"])) == (False, 1, False)
    assert {each["outcome"] for each in _about(place, parts)} == {"ANNOUNCED"}
