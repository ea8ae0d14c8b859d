"""A finding may be worse than its control's others; no hold silences a critical one: a bucket open to strangers."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.model import Cause
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from tests.factories.s3 import obeying_bucket
from tests.unit.deciding import BOB
from tests.unit.s3_running import BLOCK
from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

_FLAGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_ids = count()


@pytest.fixture(autouse=True)
def _enforced(world: World) -> Any:
    """One repair an hour, of buckets that may serve strangers, too."""
    world.now = world.now.replace(minute=0, second=0)
    given = {"mode": "enforce", "parameters": {"spare_public": False}}
    world.document = {"schema_version": 1, "controls": {BLOCK: given}}
    yield
    world.chains()


def _full_after_one(world: World) -> None:
    world.document["controls"][BLOCK]["blast_radius"] = {"limit": 1, "window_seconds": 3600}


def _open(name: str) -> str:
    """Make a bucket whose own access control list lets everybody in; return its ARN."""
    arn = obeying_bucket(name)
    client("s3").put_bucket_acl(Bucket=name, ACL="public-read")
    return arn


def _close(name: str) -> None:
    """Do what its owner does who mends it."""
    client("s3").put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(_FLAGS, True))


def _look(world: World, arn: str) -> str:
    world.now += timedelta(seconds=1)
    cause = Cause("cloudtrail", f"event-{next(_ids)}", "PutBucketAcl", world.now.isoformat())
    return str(world.run(BLOCK, request(BLOCK, arn, cause=cause)).outcome)


def _held(world: World) -> list[tuple[str, bool]]:
    return [(each["severity"], each["announce"]) for each in world.records() if each.get("outcome") == "HELD"]


def test_bucket_open_to_strangers_beyond_the_blast_radius_is_announced(world: World) -> None:
    """If this fails, of the buckets that are laid open in a wave all but the first are held without a word."""
    _full_after_one(world)
    outcomes = [_look(world, _open(f"orders-{number}")) for number in range(3)]
    assert outcomes == ["REMEDIATED", "HELD", "HELD"]
    assert _held(world) == [("CRITICAL", True)] * 2


def test_bucket_that_is_only_without_a_block_is_held_in_the_audit(world: World) -> None:
    """If this fails, a wave of lesser findings beyond the blast radius is an alert each."""
    _full_after_one(world)
    outcomes = [_look(world, obeying_bucket(f"orders-{number}")) for number in range(3)]
    assert outcomes == ["REMEDIATED", "HELD", "HELD"]
    assert _held(world) == [("CRITICAL", True), ("HIGH", False)]


def test_bucket_opened_again_under_a_full_blast_radius_is_news(world: World) -> None:
    """If this fails, a bucket that its owner closed while it was held is laid open again unseen."""
    _full_after_one(world)
    arns = [_open(f"orders-{number}") for number in range(2)]
    assert [_look(world, arn) for arn in arns] == ["REMEDIATED", "HELD"]
    _close("orders-1")
    assert _look(world, arns[1]) == "COMPLIANT"
    client("s3").delete_public_access_block(Bucket="orders-1")
    assert [_look(world, arns[1]) for _ in range(2)] == ["HELD", "SKIPPED"]
    assert _held(world) == [("CRITICAL", True)] * 2


def test_bucket_opened_again_after_a_tug_of_war_is_news(world: World) -> None:
    """If this fails, whoever lays a bucket open three times may do so a fourth time, after a truce, unseen."""
    arn, outcomes = _open("orders"), []
    for _ in range(4):
        outcomes.append(_look(world, arn))
        client("s3").delete_public_access_block(Bucket="orders")
    assert outcomes == ["REMEDIATED"] * 3 + ["HELD"]
    _close("orders")
    assert _look(world, arn) == "COMPLIANT"
    client("s3").delete_public_access_block(Bucket="orders")
    assert _look(world, arn) == "HELD"
    assert _held(world) == [("CRITICAL", True)] * 2


def test_bucket_laid_open_under_a_persons_hold_is_announced_every_day(world: World) -> None:
    """If this fails, an undo of 30 days makes an open bucket one alert among many, and then nothing."""
    arn = obeying_bucket("orders")
    repaired = world.run(BLOCK, request(BLOCK, arn))
    undoer = Undoer(Aws(client), world.ledger("undo"), BOB, 400, world.clock, world.sleep)
    assert undoer.run(all_controls()[BLOCK], arn, repaired.record_id).outcome == "UNDONE"
    client("s3").put_bucket_acl(Bucket="orders", ACL="public-read")
    assert [_look(world, arn) for _ in range(2)] == ["ANNOUNCED", "SKIPPED"]
    world.now += timedelta(days=2)
    assert _look(world, arn) == "ANNOUNCED"
