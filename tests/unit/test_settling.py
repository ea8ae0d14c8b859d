"""What waits for the settle time besides creations: what infrastructure as code changes, and tag changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import groups
from evenkeel.events import parsing
from evenkeel.events.message import encode
from tests import factories
from tests.factories.s3 import bucket
from tests.world import ACCOUNT, PLACE, REGION, client, cloudtrail, request

if TYPE_CHECKING:
    from evenkeel.model import Request
    from tests.world import World

BLOCK, TAGS, ROTATION = "s3-bucket-public-access-block", "tagging-required-tags", "kms-key-rotation"
TERRAFORM = {"userAgent": "APN/1.0 HashiCorp/1.0 Terraform/1.9.5"}
FORMATION = {"userAgent": "cloudformation.amazonaws.com"}
ARN = "arn:aws:s3:::orders"
OFF = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), False)
WEBSITE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{ARN}/*"}],
}
DOCUMENT: dict[str, Any] = {"schema_version": 1, "settle_seconds": 60}


def _asked(world: World, control: str, name: str, **detail: Any) -> Request:
    """Return what a call on the bucket asks a control for, as its group's worker reads it."""
    event = cloudtrail("s3.amazonaws.com", name, world.now, requestParameters={"bucketName": "orders"}, **detail)
    parsed = parsing.parse(event, groups()["s3"], PLACE)
    return next(each for each in parsed.requests if each.control == control)


@pytest.mark.parametrize("tool", [TERRAFORM, FORMATION])
@pytest.mark.parametrize("name", ["PutBucketPublicAccessBlock", "DeleteBucketPublicAccessBlock"])
def test_tool_may_finish_a_public_website(world: World, tool: dict[str, Any], name: str) -> None:
    """If this fails, the block comes back between a template's two calls, and every deployment of a website fails."""
    bucket()
    if name.startswith("Put"):
        client("s3").put_public_access_block(Bucket="orders", PublicAccessBlockConfiguration=OFF)
    else:
        client("s3").delete_public_access_block(Bucket="orders")
    first = world.run(BLOCK, _asked(world, BLOCK, name, **tool), document=DOCUMENT)
    assert (first.outcome, 50 < first.delay_seconds <= 60) == ("RETURNED", True)
    world.sleep(2)  # CloudTrail's times are whole seconds
    client("s3").put_bucket_policy(Bucket="orders", Policy=json.dumps(WEBSITE))
    assert world.run(BLOCK, _asked(world, BLOCK, "PutBucketPolicy", **tool), document=DOCUMENT).outcome == "ANNOUNCED"
    world.sleep(61)
    assert world.run(BLOCK, first.request.again(world.now), document=DOCUMENT).outcome == "SKIPPED"
    assert world.wire.changes() == []


def test_tool_that_leaves_a_bucket_without_purpose_open_is_set_right(world: World) -> None:
    """If this fails, whoever weakens a bucket by Terraform is never set right."""
    bucket()
    client("s3").delete_public_access_block(Bucket="orders")
    wish = _asked(world, BLOCK, "DeleteBucketPublicAccessBlock", **TERRAFORM)
    first = world.run(BLOCK, wish, document=DOCUMENT)
    back = json.loads(json.dumps(encode(first.request.again(world.now))))
    world.sleep(61)
    [again] = parsing.parse(back, groups()["s3"], PLACE).requests
    assert world.run(BLOCK, again, document=DOCUMENT).outcome == "REMEDIATED"


@pytest.mark.parametrize(
    ("name", "caller"),
    [("DeleteBucketPublicAccessBlock", {}), ("PutBucketPolicy", TERRAFORM), ("PutBucketAcl", TERRAFORM)],
)
def test_other_weakenings_are_acted_on_at_once(world: World, name: str, caller: dict[str, Any]) -> None:
    """If this fails, a person's weakening, or a policy on an open bucket, is waited out."""
    bucket()
    client("s3").delete_public_access_block(Bucket="orders")
    assert world.run(BLOCK, _asked(world, BLOCK, name, **caller), document=DOCUMENT).outcome == "REMEDIATED"


@pytest.mark.parametrize("tool", [TERRAFORM, FORMATION])
def test_weakening_by_a_template_is_repaired_once_its_tool_is_done_and_the_record_says_so(
    world: World, tool: dict[str, Any]
) -> None:
    """If this fails, Terraform polls ten minutes for a state that was set back at once, or nobody knows of the wait."""
    arn = factories.key()
    event = cloudtrail("kms.amazonaws.com", "DisableKeyRotation", world.now, requestParameters={"keyId": arn}, **tool)
    [wish] = parsing.parse(event, groups()["kms"], PLACE).requests
    first = world.run(ROTATION, wish, document={**DOCUMENT, "settle_seconds": 300})
    assert (first.outcome, 80 < first.delay_seconds <= 90) == ("RETURNED", True)
    assert world.wire.calls == []
    world.sleep(91)
    back = json.loads(json.dumps(encode(first.request.again(world.now))))
    [again] = parsing.parse(back, groups()["kms"], PLACE).requests
    assert world.run(ROTATION, again, document=DOCUMENT).outcome == "REMEDIATED"
    assert {record["waited"] for record in world.records()} == {f'90 s for "{tool["userAgent"]}" to finish'}


def test_record_of_what_did_not_wait_says_so(world: World) -> None:
    """If this fails, a record claims a wait that never was."""
    world.run(ROTATION, request(ROTATION, factories.key()), document=DOCUMENT)
    assert {record["waited"] for record in world.records()} == {""}


def test_tags_that_come_with_a_creation_are_no_way_round_the_settle_time(world: World) -> None:
    """If this fails, the tag event of a new key has Evenkeel tag it at once, and Terraform's apply hangs."""
    arn = factories.key()
    event = {
        "detail-type": parsing.TAG_CHANGE, "id": "e-1", "source": "aws.tag", "account": ACCOUNT, "region": REGION,
        "time": f"{world.now:%Y-%m-%dT%H:%M:%SZ}", "resources": [arn], "detail": {"service": "kms"},
    }  # fmt: skip
    [wish] = parsing.parse(event, groups()["tagging"], PLACE).requests
    document = {**DOCUMENT, "controls": {TAGS: {"parameters": {"required": ["Project"], "values": {"Project": "x"}}}}}
    first = world.run(TAGS, wish, document=document)
    assert (first.outcome, 50 < first.delay_seconds <= 60) == ("RETURNED", True)
    assert world.wire.calls == []
    world.sleep(61)
    assert world.run(TAGS, first.request.again(world.now), document=document).outcome == "REMEDIATED"
