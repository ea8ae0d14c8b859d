"""What holds for every control of buckets: whose bucket it is, how it is asked, and when it is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from moto.s3.models import s3_backends

from evenkeel.control.registry import all_controls
from evenkeel.model import Place
from evenkeel.remediation.repair import NotGrantedError
from evenkeel.runtime.aws import Aws
from tests.factories.s3 import bucket, open_bucket
from tests.unit.s3_running import BLOCK, TLS, VERSIONS, run
from tests.world import ACCOUNT, PLACE, REGION, client

if TYPE_CHECKING:
    from tests.world import World

EACH = pytest.mark.parametrize("control", [BLOCK, TLS, VERSIONS])
OTHER = "210987654321"
FIRST = {BLOCK: "GetPublicAccessBlock", TLS: "GetBucketPolicy", VERSIONS: "GetBucketVersioning"}


@EACH
def test_bucket_of_another_account_is_left_alone(world: World, control: str) -> None:
    """If this fails, the global name in an event lets Evenkeel act on, or alarm about, somebody else's bucket."""
    s3_backends[OTHER]["aws"].create_bucket("theirs", REGION)
    result = run(world, control, "arn:aws:s3:::theirs")
    assert (result.outcome, world.wire.changes()) == ("GONE", [])
    assert world.wire.names()[-1] == "s3:ListBuckets"
    assert world.records() == []


@EACH
def test_bucket_of_another_region_is_left_to_the_stack_there(world: World, control: str) -> None:
    """If this fails, two stacks change one bucket, and the settings of the wrong region hold."""
    made = s3_backends[ACCOUNT]["aws"].create_bucket("elsewhere", "us-east-1")
    made.public_access_block = None
    bucket("elsewhere-2")
    result = run(world, control, "arn:aws:s3:::elsewhere")
    assert (result.outcome, world.wire.changes()) == ("GONE", [])


@EACH
def test_every_call_names_the_owner(world: World, control: str) -> None:
    """If this fails, a bucket that somebody else took over meanwhile is changed."""
    assert run(world, control, open_bucket()).outcome == "REMEDIATED"
    asked = [made.params for made in world.wire.calls if made.service == "s3" and made.operation != "ListBuckets"]
    assert asked
    assert all(params["ExpectedBucketOwner"] == ACCOUNT for params in asked)
    (kept,) = [record for record in world.records() if record["step"] == "OUTCOME"]
    assert all(call["params"]["ExpectedBucketOwner"] == ACCOUNT for call in kept["calls"] + kept["undo"])


@EACH
def test_compliant_bucket_is_asked_once(world: World, control: str) -> None:
    """If this fails, each look at a bucket that is in order costs more than it must."""
    run(world, control, open_bucket())
    assert run(world, control, "arn:aws:s3:::orders-open").outcome == "COMPLIANT"
    # The engine's own read: is there an announcement to forget?
    assert len([name for name in world.wire.names() if name != "dynamodb:GetItem"]) == 1
    assert world.wire.changes() == []


@pytest.mark.parametrize(
    ("control", "reads"),
    [
        (BLOCK, ["GetPublicAccessBlock", "ListBuckets", "GetBucketPolicyStatus", "GetBucketOwnershipControls"]),
        (
            TLS,
            ["GetBucketPolicy", "ListBuckets", "GetPublicAccessBlock", "GetBucketOwnershipControls", "GetBucketPolicy"],
        ),
        (VERSIONS, ["GetBucketVersioning", "ListBuckets"]),
    ],
)
def test_repair_asks_no_more_than_it_needs(world: World, control: str, reads: list[str]) -> None:
    """If this fails, a repair costs more calls than its questions, its change and its proof."""
    run(world, control, open_bucket())
    made = [name.removeprefix("s3:") for name in world.wire.names() if name.startswith("s3:")]
    assert made[: len(reads)] == reads
    assert len(made) == len(reads) + 2
    assert made[-1] == reads[0]


@EACH
def test_lacking_permission_is_told_as_such(world: World, control: str) -> None:
    """If this fails, a permission that our role lacks looks like a bucket that is somebody else's."""
    message = "not authorized because no identity-based policy allows the action"
    world.wire.fail("s3", FIRST[control], "AccessDenied", message, status=403)
    arn = open_bucket()
    with pytest.raises(NotGrantedError, match="no identity-based policy"):
        run(world, control, arn)


@EACH
def test_bucket_that_its_owner_closed_to_us_is_audited(world: World, control: str) -> None:
    """If this fails, a bucket whose policy denies Evenkeel everything is retried for hours, or forgotten."""
    message = "not authorized with an explicit deny in a resource-based policy"
    world.wire.fail("s3", FIRST[control], "AccessDenied", message, status=403)
    assert run(world, control, open_bucket()).outcome == "DENIED"


@EACH
def test_new_bucket_that_does_not_show_yet_is_waited_for(world: World, control: str) -> None:
    """If this fails, a bucket that S3 shows late is taken for deleted."""
    arn = "arn:aws:s3:::orders-open"
    assert run(world, control, arn, creates=True).outcome == "RETURNED"
    open_bucket()
    world.wire.answer("s3", "ListBuckets", {"Buckets": []})
    assert run(world, control, arn, creates=True).outcome == "RETURNED"
    assert run(world, control, arn, creates=True).outcome == "REMEDIATED"
    assert run(world, control, "arn:aws:s3:::gone").outcome == "GONE"


@EACH
def test_change_that_collides_with_another_comes_again(world: World, control: str) -> None:
    """If this fails, S3's "a conflicting operation is in progress" is called a failure."""
    put = {BLOCK: "PutPublicAccessBlock", TLS: "PutBucketPolicy", VERSIONS: "PutBucketVersioning"}[control]
    world.wire.fail("s3", put, "OperationAborted", status=409)
    arn = open_bucket()
    assert run(world, control, arn).outcome == "RETURNED"
    assert run(world, control, arn).outcome == "REMEDIATED"


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:s3:::orders/2026/11.csv",
        "arn:aws:s3:::orders--euw1-az1--x-s3",
        "arn:aws:s3express:eu-west-1:123456789012:bucket/orders--euw1-az1--x-s3",
        "arn:aws:s3:::0b9c--table-s3",
        "arn:aws:s3:eu-west-1:123456789012:accesspoint/orders",
        "arn:aws:s3:::orders-abc123-s3alias",
        "arn:aws:s3:::",
        "arn:aws:s3:::a b",
        "arn:aws:s3:::a:b",
        "arn:aws:s3:eu-west-1:123456789012:orders",
    ],
)
def test_what_is_no_general_purpose_bucket_is_nobodys(arn: str) -> None:
    """If this fails, an object, an alias or a bucket of another kind is asked about as if it were a bucket."""
    assert not any(all_controls()[control].applies_to(arn) for control in (BLOCK, TLS, VERSIONS))
    assert all_controls()[TLS].applies_to("arn:aws-cn:s3:::My.old_Bucket")


@EACH
def test_listing_is_of_the_region_and_in_pages(world: World, control: str) -> None:
    """If this fails, a backfill changes buckets of other regions, or is refused in accounts with very many."""
    bucket("orders")
    s3_backends[ACCOUNT]["aws"].create_bucket("elsewhere", "us-east-1")
    assert list(all_controls()[control].discover(Aws(client), PLACE)) == ["arn:aws:s3:::orders"]
    assert world.wire.params("ListBuckets") == [{"BucketRegion": REGION, "MaxBuckets": 1000}]
    assert list(all_controls()[control].discover(Aws(client), Place(ACCOUNT, "eu-west-2"))) == []
