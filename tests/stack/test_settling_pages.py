"""The pages of the controls say of each trigger whether it waits for the settle time, as the policy decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.control.triggers import CloudTrail, TagChange
from evenkeel.model import Actor, Cause, Request, Resource
from evenkeel.remediation import decide
from tools import pages

if TYPE_CHECKING:
    from evenkeel.control.triggers import Trigger

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
TOOL, PERSON = Actor(user_agent="HashiCorp Terraform/1.9"), Actor(user_agent="Boto3/1.43")
SAID = {
    (True, True): "after the settle time",
    (True, False): "after the settle time if infrastructure as code made it",
    (False, False): "",
}
"""What a page says, by who waits: infrastructure as code, people."""
TRIGGERS = [(name, each) for name, control in all_controls().items() for each in control.all_triggers]


def _waits(name: str, trigger: Trigger, actor: Actor) -> bool:
    """Say whether policy lets what an actor did wait, for the request that the trigger makes of it."""
    resource, cause = Resource("arn:aws:x:::y", "123456789012", "eu-west-1"), Cause("cloudtrail")
    creates = isinstance(trigger, CloudTrail) and trigger.creates
    settles = isinstance(trigger, TagChange) or (isinstance(trigger, CloudTrail) and trigger.settles)
    known = actor if isinstance(trigger, CloudTrail) else Actor()  # no other event says who caused it
    request = Request(name, resource, cause, known, creates, settles)
    return decide.settle_delay(all_controls()[name], request, 60, NOW) > 0


@pytest.mark.parametrize(
    ("name", "trigger"), TRIGGERS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(TRIGGERS)]
)
def test_a_page_says_what_waits_for_the_settle_time(name: str, trigger: Trigger) -> None:
    """If this fails, somebody looks for a defect while a repair waits as it should, or waits for one in vain."""
    said = pages.waits(all_controls()[name], trigger)
    assert said == SAID[_waits(name, trigger, TOOL), _waits(name, trigger, PERSON)]


def test_each_kind_of_waiting_is_on_a_page() -> None:
    """If this fails, the pages say nothing of what makes a repair late, though every line was computed right."""
    text = {name: "\n".join(pages.triggers(control)) for name, control in all_controls().items()}
    assert (
        "`CreateKey` (creates the resource; after the settle time if infrastructure as code made it)"
        in text["kms-key-rotation"]
    )
    block = "`DeleteBucketPublicAccessBlock` (can only weaken; after the settle time if infrastructure as code made it)"
    assert block in text["s3-bucket-public-access-block"]
    assert "`CreateTrail` (creates the resource; after the settle time)" in text["cloudtrail-logging"]
    [tags] = [line for line in text["tagging-required-tags"].splitlines() if line.startswith("- Tag changes")]
    assert "`kms`" in tags
    assert tags.endswith(" (after the settle time)")
    assert "`settle_seconds` in the [settings](../settings.md)" in text["kms-key-rotation"]
    assert "`CancelKeyDeletion` (after the settle time if infrastructure as code made it)" in text["kms-key-rotation"]
    assert "after a change it is at most 90 s" in text["kms-key-rotation"]
    assert "settle" not in text["ec2-security-group-open-ingress"]


def test_urgent_controls_are_few_and_say_so() -> None:
    """If this fails, a stopped trail or an open port waits for a template, or a page hides that it does not."""
    urgent = {name for name, control in all_controls().items() if control.urgent}
    assert urgent == {"cloudtrail-logging", "ec2-security-group-open-ingress", "s3-bucket-public-access-block"}
    said = {name for name, control in all_controls().items() if "| Urgent | yes: " in pages.page(control)}
    assert said == urgent
