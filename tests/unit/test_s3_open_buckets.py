"""Buckets without a block: what their own access control list opens is said, and is critical."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.errors import ApprovalRefusedError
from evenkeel.remediation.announce import DAILY_LIMIT
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from tests.factories.s3 import obeying_bucket
from tests.unit.deciding import BOB
from tests.unit.s3_running import BLOCK, run
from tests.world import ACCOUNT, client, request

if TYPE_CHECKING:
    from tests.world import World

FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def _obeying(acl: str) -> str:
    """Make a bucket without a block that obeys its access control list; return its ARN."""
    arn = obeying_bucket()
    client("s3").put_bucket_acl(Bucket="orders-acls", ACL=acl)
    return arn


@pytest.mark.parametrize(
    ("acl", "granted"),
    [
        ("public-read", "READ to AllUsers"),
        ("authenticated-read", "READ to AuthenticatedUsers"),
    ],
)
def test_bucket_that_its_access_control_list_opens_is_critical(world: World, acl: str, granted: str) -> None:
    """If this fails, a bucket that is public now is reported like one that may be some day."""
    assert run(world, BLOCK, _obeying(acl)).outcome == "ANNOUNCED"
    [record] = world.records()
    assert (record["severity"], record["before"]["OpenByAcl"] == {}) == ("CRITICAL", False)
    assert granted in record["reason"]
    assert "objects with public lists" in record["detail"]


def test_every_permission_of_a_group_is_reported(world: World) -> None:
    """If this fails, a bucket that anybody may write to is reported as one that anybody may read."""
    arn = _obeying("public-read")
    anybody = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}
    grants = [{"Grantee": anybody, "Permission": permission} for permission in ("WRITE", "READ")]
    world.wire.answer("s3", "GetBucketAcl", {"Grants": grants})  # as AWS has public-read-write; moto keeps one of both
    run(world, BLOCK, arn)
    [record] = world.records()
    assert record["before"]["OpenByAcl"] == {"AllUsers": ["READ", "WRITE"]}


def test_bucket_whose_access_control_list_lets_in_nobody_is_not_cleared(world: World) -> None:
    """If this fails, objects that are public by their own list are shut off since the bucket's list is private."""
    assert run(world, BLOCK, _obeying("private")).outcome == "ANNOUNCED"
    [record] = world.records()
    assert (record["severity"], record["before"]["OpenByAcl"]) == ("HIGH", {})


def test_open_bucket_is_another_finding_than_one_that_may_be(world: World) -> None:
    """If this fails, a bucket that somebody makes public hides behind the earlier alert."""
    arn = _obeying("private")
    run(world, BLOCK, arn)
    client("s3").put_bucket_acl(Bucket="orders-acls", ACL="public-read")
    run(world, BLOCK, arn)
    before, after = (record["fingerprint"] for record in world.records())
    assert before != after


def test_undo_sets_the_block_back_whatever_was_closed_meanwhile(world: World) -> None:
    """If this fails, an undo of a bucket whose owner took its grants back ends as if it did not show."""
    arn = _obeying("public-read")
    repaired = run(world, BLOCK, arn, parameters={"spare_public": False})
    assert repaired.outcome == "REMEDIATED"
    client("s3").put_bucket_acl(Bucket="orders-acls", ACL="private")
    undoer = Undoer(Aws(client), world.ledger("undo"), BOB, 400, world.clock, world.sleep)
    assert undoer.run(all_controls()[BLOCK], arn, repaired.record_id).outcome == "UNDONE"


def test_approval_is_of_the_finding_that_was_looked_at(world: World, people: None) -> None:
    """If this fails, who approved closing a private bucket has one closed that serves strangers by now."""
    arn, given = _obeying("private"), {"mode": "approve", "parameters": {"spare_public": False}}
    waits = run(world, BLOCK, arn, **given)
    assert waits.outcome == "AWAITING"
    client("s3").put_bucket_acl(Bucket="orders-acls", ACL="public-read")
    world.document = {"schema_version": 1, "controls": {BLOCK: given}}
    with pytest.raises(ApprovalRefusedError, match="it changed since record"):
        world.decide({"approve": waits.record_id, "resource": arn}, BOB)


def test_grants_that_the_block_ignores_are_not_asked_for(world: World) -> None:
    """If this fails, a bucket is called open whose access control list has no effect."""
    arn = _obeying("public-read")
    block = {**dict.fromkeys(FLAGS, False), "IgnorePublicAcls": True}
    client("s3").put_public_access_block(Bucket="orders-acls", PublicAccessBlockConfiguration=block)
    assert run(world, BLOCK, arn).outcome == "ANNOUNCED"
    assert world.records()[0]["severity"] == "HIGH"
    assert "s3:GetBucketAcl" not in world.wire.names()


def test_critical_finding_is_announced_beyond_the_days_most(world: World) -> None:
    """If this fails, the hundred and first announcement of a day hides a public bucket."""
    counters = world.ledger().counters
    for _ in range(DAILY_LIMIT.limit + 1):
        counters.count(f"told#{BLOCK}#{ACCOUNT}", DAILY_LIMIT)
    counters.first_today(f"told#{BLOCK}#{ACCOUNT}", "arn:aws:s3:::another")
    run(world, BLOCK, _obeying("public-read"))
    [record] = world.records()
    assert (record["announce"], "more than" in record["detail"]) == (True, False)


def test_critical_finding_that_a_freeze_holds_is_reported(world: World) -> None:
    """If this fails, a bucket that is public now waits silently until the freeze is over."""
    document = {
        "schema_version": 1,
        "controls": {BLOCK: {"mode": "enforce", "parameters": {"spare_public": False}}},
        "freezes": [{"cron": "* * * * *", "hours": 1}],
    }
    assert world.run(BLOCK, request(BLOCK, _obeying("public-read")), document=document).outcome == "HELD"
    assert (world.records()[-1]["severity"], world.records()[-1]["announce"]) == ("CRITICAL", True)
