"""Nothing that is wrong goes unsaid: what is the same finding, what is another, and when one is news again."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.events import parsing
from evenkeel.events.message import decode, encode
from evenkeel.model import Actor, Cause
from tests.factories.ec2 import authorize, ebs_default_encryption, permission, rules, security_group
from tests.factories.rds import instance
from tests.factories.s3 import open_bucket
from tests.world import ACCOUNT, PLACE, client, cloudtrail, request

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.model import Request
    from tests.world import World

ANY, RDS, INGRESS = "0.0.0.0/0", "rds-public-access", "ec2-security-group-open-ingress"
BLOCK = "s3-bucket-public-access-block"
BOB = f"arn:aws:iam::{ACCOUNT}:user/bob"
_ids = count()


def _look(world: World, control: str, arn: str, call: str = "Call", **fields: Any) -> str:
    """Let the event of a call come in a second; return the outcome."""
    world.now += timedelta(seconds=1)
    cause = Cause("cloudtrail", f"event-{next(_ids)}", call, world.now.isoformat())
    return str(world.run(control, request(control, arn, cause=cause, **fields)).outcome)


def _public(arn: str, *, public: bool) -> None:
    client("rds").modify_db_instance(DBInstanceIdentifier=arn.rpartition(":")[2], PubliclyAccessible=public)


def _database_unprotected(arn: str, off: bool) -> None:
    client("rds").modify_db_instance(DBInstanceIdentifier=arn.rpartition(":")[2], DeletionProtection=not off)


def _table() -> str:
    arn: str = client("dynamodb").create_table(
        TableName="orders",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )["TableDescription"]["TableArn"]
    return arn


def _table_unprotected(_: str, off: bool) -> None:
    client("dynamodb").update_table(TableName="orders", DeletionProtectionEnabled=not off)


@pytest.mark.parametrize(
    ("control", "make", "weaken"),
    [
        (RDS, lambda: instance(PubliclyAccessible=True), lambda arn, off: _public(arn, public=off)),
        ("rds-deletion-protection", instance, _database_unprotected),
        ("dynamodb-deletion-protection", _table, _table_unprotected),
    ],
)
def test_finding_that_was_fixed_and_comes_back_is_announced(
    world: World, control: str, make: Callable[[], str], weaken: Callable[[str, bool], None]
) -> None:
    """If this fails, a database that is made public again within a day of its repair by its owner is not reported."""
    arn = make()
    weaken(arn, True)
    outcomes = [_look(world, control, arn)]
    weaken(arn, False)
    outcomes.append(_look(world, control, arn))
    weaken(arn, True)
    outcomes.append(_look(world, control, arn))
    assert outcomes == ["ANNOUNCED", "COMPLIANT", "ANNOUNCED"]
    assert world.outcomes() == ["ANNOUNCED", "ANNOUNCED"]
    assert all(record["announce"] for record in world.records())
    world.chains()


def test_calls_that_change_nothing_of_the_finding_stay_silent(world: World) -> None:
    """If this fails, auto scaling, which calls UpdateTable all day long, announces the same table each time."""
    arn = _table()
    outcomes = [_look(world, "dynamodb-deletion-protection", arn, "UpdateTable") for _ in range(5)]
    assert outcomes == ["ANNOUNCED", *["SKIPPED"] * 4]


def test_compliant_resource_costs_a_write_only_after_an_announcement(world: World) -> None:
    """If this fails, each look at a resource that is in order writes to a table."""
    arn = instance(PubliclyAccessible=False)
    for _ in range(2):
        assert _look(world, RDS, arn) == "COMPLIANT"
        assert world.wire.changes() == []
    _public(arn, public=True)
    _look(world, RDS, arn)
    _public(arn, public=False)
    writes = []
    for _ in range(2):
        assert _look(world, RDS, arn) == "COMPLIANT"
        writes.append(world.wire.changes())
    assert writes == [["dynamodb:UpdateItem"], []]


def test_dry_run_forgets_nothing(world: World) -> None:
    """If this fails, a dry run writes to a table."""
    arn = instance(PubliclyAccessible=True)
    _look(world, RDS, arn)
    _public(arn, public=False)
    assert _look(world, RDS, arn, dry_run=True) == "COMPLIANT"
    assert world.wire.changes() == []


def test_announcement_by_a_later_look_is_not_forgotten(world: World) -> None:
    """If this fails, a worker that looked before the weakening has the same finding announced twice."""
    arn = instance(PubliclyAccessible=False)

    def other(_: object) -> None:
        world.wire._plans.clear()
        _public(arn, public=True)
        assert _look(world, RDS, arn) == "ANNOUNCED"

    world.wire.when("dynamodb", "GetItem", other)
    assert _look(world, RDS, arn) == "COMPLIANT"
    assert _look(world, RDS, arn) == "SKIPPED"


def test_forgetting_that_loses_a_race_comes_again(world: World) -> None:
    """If this fails, an announcement that could not be forgotten silences the finding's return."""
    arn = instance(PubliclyAccessible=True)
    _look(world, RDS, arn)
    _public(arn, public=False)
    world.wire.fail("dynamodb", "UpdateItem", "ConditionalCheckFailedException")
    assert _look(world, RDS, arn) == "RETURNED"
    assert _look(world, RDS, arn) == "COMPLIANT"
    _public(arn, public=True)
    assert _look(world, RDS, arn) == "ANNOUNCED"


def test_new_resource_of_an_old_name_is_news(world: World) -> None:
    """If this fails, a database that is deleted and made again, public again, is not reported."""
    arn = instance(PubliclyAccessible=True)
    outcomes = [_look(world, RDS, arn, "CreateDBInstance", creates=True) for _ in range(2)]
    assert outcomes == ["ANNOUNCED", "ANNOUNCED"]


def test_rule_that_is_added_again_is_announced(world: World) -> None:
    """If this fails, a rule that was revoked, which no event tells, can be added again within a day unseen."""
    arn = security_group(permission(ANY))
    assert _look(world, INGRESS, arn, weakens=True) == "ANNOUNCED"
    (rule,) = rules(arn)
    client("ec2").revoke_security_group_ingress(
        GroupId=arn.rpartition("/")[2], SecurityGroupRuleIds=[rule["SecurityGroupRuleId"]]
    )
    authorize(arn, permission(ANY))
    assert _look(world, INGRESS, arn, weakens=True) == "ANNOUNCED"


def test_rule_that_is_added_beside_an_open_one_is_not_announced(world: World) -> None:
    """If this fails, each harmless rule that a cluster adds to an open group announces the group again."""
    arn = security_group(permission(ANY))
    assert _look(world, INGRESS, arn, weakens=True) == "ANNOUNCED"
    authorize(arn, permission("10.0.0.0/8", 443))
    assert _look(world, INGRESS, arn, weakens=True) == "SKIPPED"


def test_weakening_call_is_announced_once(world: World) -> None:
    """If this fails, an event that is delivered twice, or was made before the announcement, is announced twice."""
    control, arn = "ec2-ebs-default-encryption", ebs_default_encryption()
    first = Cause("cloudtrail", "first", "DisableEbsEncryptionByDefault", world.now.isoformat())
    before = Cause("cloudtrail", "before", first.event_name, (world.now - timedelta(minutes=1)).isoformat())
    later = Cause("cloudtrail", "later", first.event_name, (world.now + timedelta(minutes=1)).isoformat())
    outcomes = [
        str(world.run(control, request(control, arn, cause=cause, weakens=True)).outcome)
        for cause in (first, first, before, later, later)
    ]
    assert outcomes == ["ANNOUNCED", "SKIPPED", "SKIPPED", "ANNOUNCED", "SKIPPED"]


def test_worse_finding_is_announced_with_who_made_it_worse(world: World) -> None:
    """If this fails, a bucket that somebody lays open hides behind what somebody else did to it before."""
    arn = open_bucket()
    client("s3").delete_bucket_ownership_controls(Bucket="orders-open")
    assert _look(world, BLOCK, arn, actor=Actor("arn:aws:iam::123456789012:user/alice")) == "ANNOUNCED"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{arn}/*"}
    policy = f'{{"Version": "2012-10-17", "Statement": [{statement}]}}'.replace("'", '"')
    client("s3").put_bucket_policy(Bucket="orders-open", Policy=policy)
    assert _look(world, BLOCK, arn, "PutBucketPolicy", actor=Actor(BOB)) == "ANNOUNCED"
    first, second = world.records()
    assert ("access control lists" in first["detail"], "policy is public" in second["detail"]) == (True, True)
    assert second["actor"]["principal"] == BOB
    assert _look(world, BLOCK, arn) == "SKIPPED"


def test_person_who_runs_a_control_hears_the_finding(world: World) -> None:
    """If this fails, `evenkeel run` answers that something was announced, and not what is wrong."""
    arn = instance(PubliclyAccessible=True)
    _look(world, RDS, arn)
    [announced] = world.records()
    answer = world.run(RDS, request(RDS, arn, cause=Cause("manual", "invocation-1", "Invoke")))
    assert (answer.outcome, answer.record_id) == ("ANNOUNCED", announced["record_id"])
    assert answer.reason.startswith("is publicly accessible; the control's mode is notify (announced on ")
    assert [call.operation for call in answer.calls] == ["modify_db_instance"]
    assert len(world.records()) == 1


def test_person_hears_that_a_resource_cannot_be_read(world: World) -> None:
    """If this fails, `evenkeel run` says of a resource that is hidden from it only that this was said before."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    denied = "because no resource-based policy allows the kms:GetKeyRotationStatus action"
    world.wire.fail("kms", "GetKeyRotationStatus", "AccessDeniedException", denied, times=2)
    _look(world, "kms-key-rotation", arn)
    answer = world.run("kms-key-rotation", request("kms-key-rotation", arn, cause=Cause("manual")))
    assert (answer.outcome, denied in answer.reason) == ("DENIED", True)
    assert len(world.records()) == 1


def test_raised_mode_repairs_at_the_next_event(world: World) -> None:
    """If this fails, what was announced stays weak although its control enforces by now."""
    arn = instance(PubliclyAccessible=True)
    _look(world, RDS, arn)
    world.document = {"schema_version": 1, "controls": {RDS: {"mode": "enforce"}}}
    assert _look(world, RDS, arn) == "REMEDIATED"


def test_mark_of_a_weakening_call_survives_the_queue(world: World) -> None:
    """If this fails, an event that waits in the queue is taken for one that changed nothing."""
    controls = (all_controls()["ec2-ebs-default-encryption"],)
    event = cloudtrail("ec2.amazonaws.com", "DisableEbsEncryptionByDefault", world.now)
    [wish] = parsing.parse(event, controls, PLACE).requests
    assert wish.weakens
    encoded = encode(wish)
    assert decode(encoded, controls, PLACE) == wish
    del encoded["request"]["weakens"]
    older: Request = decode(encoded, controls, PLACE)
    assert not older.weakens


def test_finding_that_was_repaired_and_comes_back_is_announced(world: World) -> None:
    """If this fails, a bucket that Evenkeel closed after its policy went is made public again within a day unseen."""
    arn = open_bucket()
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{arn}/*"}
    policy, outcomes = json.dumps({"Version": "2012-10-17", "Statement": [statement]}), []
    for change in (
        lambda s3: s3.put_bucket_policy(Bucket="orders-open", Policy=policy),
        lambda s3: s3.delete_bucket_policy(Bucket="orders-open"),
        lambda s3: s3.delete_public_access_block(Bucket="orders-open"),
    ):
        change(client("s3"))
        outcomes.append(_look(world, BLOCK, arn))
    client("s3").delete_public_access_block(Bucket="orders-open")
    client("s3").put_bucket_policy(Bucket="orders-open", Policy=policy)
    outcomes.append(_look(world, BLOCK, arn, "PutBucketPolicy"))
    assert outcomes == ["ANNOUNCED", "REMEDIATED", "REMEDIATED", "ANNOUNCED"]
