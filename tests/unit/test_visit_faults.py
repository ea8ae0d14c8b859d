"""What happens when workers die, collide or are refused between two calls."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from evenkeel.errors import EvenkeelError
from evenkeel.remediation.repair import NotGrantedError
from tests.tables import AUDIT
from tests.wire import Crash
from tests.world import client, request

if TYPE_CHECKING:
    from evenkeel.model import Request
    from tests.world import World

CONTROL = "kms-key-rotation"
DENY = (
    "User: role is not authorized to perform: kms:EnableKeyRotation with an explicit deny in a service control policy"
)
NO_GRANT = "User: role is not authorized to perform it because no identity-based policy allows the action"
LEASE = timedelta(seconds=91)


@pytest.fixture
def key(world: World) -> str:
    """Return the ARN of a key that does not rotate."""
    return client("kms").create_key()["KeyMetadata"]["Arn"]


def _rotates(arn: str) -> bool:
    return client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


def _changes(world: World) -> int:
    return world.wire.names().count("kms:EnableKeyRotation")


def _chained(world: World) -> bool:
    from evenkeel.audit.records import record_hash  # noqa: PLC0415 - one user

    previous = ""
    for record in world.records():
        if record["previous"] != previous or record["hash"] != record_hash(record):
            return False
        previous = record["hash"]
    return True


def test_worker_that_dies_before_the_call_is_followed_by_one_that_adopts_its_plan(world: World, key: str) -> None:
    """If this fails, a crash after the write-ahead record loses the change, or plans it twice."""
    wish = request(CONTROL, key, creates=True)
    world.wire.crash("kms", "EnableKeyRotation")
    with pytest.raises(Crash):
        world.run(CONTROL, wish)
    assert (world.outcomes(), _rotates(key)) == (["PLANNED"], False)
    world.now += LEASE
    result = world.run(CONTROL, wish, owner="worker-2", redelivered=True)
    assert (result.outcome, world.outcomes(), _changes(world)) == ("REMEDIATED", ["PLANNED", "REMEDIATED"], 1)
    assert world.state(CONTROL, key).plan == ""
    assert _chained(world)


def test_worker_that_dies_after_the_call_is_followed_by_one_that_only_writes_the_outcome(
    world: World, key: str
) -> None:
    """If this fails, a change is made twice, or stays without an outcome."""
    wish = request(CONTROL, key, creates=True)
    world.wire.crash("dynamodb", "TransactWriteItems", skip=1)
    with pytest.raises(Crash):
        world.run(CONTROL, wish)
    assert (world.outcomes(), _rotates(key)) == (["PLANNED"], True)
    world.now += LEASE
    result = world.run(CONTROL, wish, owner="worker-2", redelivered=True)
    assert (result.outcome, world.outcomes(), _changes(world)) == ("COMPLIANT", ["PLANNED", "REMEDIATED"], 0)
    planned, ended = world.records()
    assert ended["plan_id"] == planned["record_id"]
    assert ended["undo"] == planned["undo"]
    assert _chained(world)


def test_redelivery_while_the_first_worker_is_still_at_it_waits(world: World, key: str) -> None:
    """If this fails, two workers change one resource at the same time."""
    world.wire.crash("kms", "EnableKeyRotation")
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    result = world.run(CONTROL, request(CONTROL, key), owner="worker-2", redelivered=True)
    assert (result.outcome, _changes(world), world.outcomes()) == ("RETURNED", 0, ["PLANNED"])
    assert "another worker" in result.reason


def test_second_worker_that_races_for_a_new_resource_waits(world: World, key: str) -> None:
    """If this fails, a duplicate of a creation's event changes the resource beside the first worker."""

    def other(_: object) -> None:
        world.wire._plans.clear()
        world.wire.crash("kms", "EnableKeyRotation")
        with pytest.raises(Crash):
            world.visits("worker-2").run(*_args(world, request(CONTROL, key, creates=True)))

    world.wire.when("dynamodb", "TransactWriteItems", other)
    result = world.run(CONTROL, request(CONTROL, key, creates=True))
    assert (result.outcome, world.outcomes()) == ("RETURNED", ["PLANNED"])


def _args(world: World, wish: Request) -> tuple:
    from evenkeel.control.registry import all_controls  # noqa: PLC0415 - one user
    from evenkeel.settings import parser  # noqa: PLC0415 - one user

    return all_controls()[CONTROL], wish, parser.parse('{"schema_version": 1}')


def test_head_that_moved_meanwhile_is_read_again_and_the_chain_holds(world: World, key: str) -> None:
    """If this fails, two records claim the same predecessor, or a resource with a history cannot be changed."""
    world.run(CONTROL, request(CONTROL, key, creates=True))
    client("kms").disable_key_rotation(KeyId=key)
    result = world.run(CONTROL, request(CONTROL, key, creates=True))  # a first look that supposes no history
    assert result.outcome == "REMEDIATED"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"] * 2
    assert _chained(world)


def test_state_item_is_read_where_dynamodb_does_not_return_it(world: World, key: str) -> None:
    """If this fails, a refusal without the item's image ends in a wrong head and an endless conflict."""
    world.wire.cancel("None", "ConditionalCheckFailed")
    result = world.run(CONTROL, request(CONTROL, key, creates=True))
    assert result.outcome == "REMEDIATED"
    assert "dynamodb:GetItem" in world.wire.names()


def test_state_item_that_never_holds_still_returns_the_request(world: World, key: str) -> None:
    """If this fails, a busy state item makes a worker spin."""
    world.wire.cancel("None", "ConditionalCheckFailed", times=10)
    result = world.run(CONTROL, request(CONTROL, key))
    assert (result.outcome, _changes(world)) == ("RETURNED", 0)
    assert "keeps changing" in result.reason


@pytest.mark.parametrize(("conflicts", "outcome"), [(1, "REMEDIATED"), (4, "REMEDIATED"), (5, "RETURNED")])
def test_transaction_conflicts_are_ridden_out_then_returned(
    world: World, key: str, conflicts: int, outcome: str
) -> None:
    """If this fails, a brief conflict ends a repair, or a long one holds the worker."""
    world.wire.cancel("None", "TransactionConflict", times=conflicts)
    result = world.run(CONTROL, request(CONTROL, key, creates=True))
    assert result.outcome == outcome
    assert _rotates(key) is (outcome == "REMEDIATED")


def test_other_errors_of_the_tables_are_not_swallowed(world: World, key: str) -> None:
    """If this fails, a table that cannot be written is taken for a lost race."""
    world.wire.fail("dynamodb", "TransactWriteItems", "ValidationException", "too large")
    with pytest.raises(Exception, match="too large"):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    world.wire.fail("dynamodb", "UpdateItem", "ResourceNotFoundException", "no table")
    with pytest.raises(Exception, match="no table"):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    assert not _rotates(key)


def test_throttled_change_returns_and_is_finished_under_the_same_plan(world: World, key: str) -> None:
    """If this fails, throttling loses the change, plans it again, or keeps the lease."""
    wish = request(CONTROL, key, creates=True)
    world.wire.fail("kms", "EnableKeyRotation", "ThrottlingException", "slow down")
    first = world.run(CONTROL, wish)
    assert (first.outcome, first.delay_seconds) == ("RETURNED", 2)
    assert world.state(CONTROL, key).lease_owner == ""
    second = world.run(CONTROL, first.request.again(world.now), owner="worker-2")
    assert second.outcome == "REMEDIATED"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]
    assert _chained(world)


def test_explicit_deny_is_audited_and_announced_once_a_day(world: World) -> None:
    """If this fails, an organization's deny is retried for ever, hidden, or told at every event."""
    for day, announced in ((0, True), (0, False), (1, True)):
        key = client("kms").create_key()["KeyMetadata"]["Arn"]
        world.now = world.start + timedelta(days=day)
        world.wire.fail("kms", "EnableKeyRotation", "AccessDeniedException", DENY)
        result = world.run(CONTROL, request(CONTROL, key, creates=True))
        ended = next(record for record in world.records() if record["record_id"] == result.record_id)
        assert (ended["outcome"], ended["announce"]) == ("DENIED", announced)
        assert "explicit deny" in ended["detail"]
        assert world.state(CONTROL, key).plan == ""


def test_read_that_the_key_policy_denies_is_audited(world: World, key: str) -> None:
    """If this fails, a key whose policy shuts us out is retried for ever or forgotten."""
    message = "not authorized to perform: kms:GetKeyRotationStatus because no resource-based policy allows it"
    world.wire.fail("kms", "GetKeyRotationStatus", "AccessDeniedException", message)
    result = world.run(CONTROL, request(CONTROL, key))
    assert result.outcome == "DENIED"
    assert (world.outcomes(), world.records()[0]["announce"]) == (["DENIED"], True)


@pytest.mark.parametrize("operation", ["GetKeyRotationStatus", "EnableKeyRotation"])
def test_missing_grant_of_our_own_is_a_defect_of_the_stack(world: World, key: str, operation: str) -> None:
    """If this fails, a permission that the stack lacks is blamed on the resource's owner."""
    world.wire.fail("kms", operation, "AccessDeniedException", NO_GRANT)
    with pytest.raises(NotGrantedError, match="deploy the stack"):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    assert world.state(CONTROL, key).plan == ""


def test_change_that_shows_late_is_applied_then_proved(world: World, key: str) -> None:
    """If this fails, an eventually consistent change counts as failed, or is never proved."""
    stale = {"KeyRotationEnabled": False}
    world.wire.answer("kms", "GetKeyRotationStatus", stale, times=7)
    first = world.run(CONTROL, request(CONTROL, key, creates=True))
    assert (first.outcome, world.outcomes(), _changes(world)) == ("RETURNED", ["PLANNED", "APPLIED"], 1)
    assert world.state(CONTROL, key).lease_owner == ""
    assert first.request.plan == world.records()[0]["record_id"]
    world.wire.answer("kms", "GetKeyRotationStatus", stale)
    second = world.run(CONTROL, first.request.again(world.now), owner="worker-2")
    assert (second.outcome, _changes(world)) == ("RETURNED", 0)
    assert second.delay_seconds > first.delay_seconds
    third = world.run(CONTROL, second.request.again(world.now), owner="worker-3")
    assert (third.outcome, _changes(world)) == ("COMPLIANT", 0)
    assert world.outcomes() == ["PLANNED", "APPLIED", "REMEDIATED"]
    assert world.state(CONTROL, key).plan == ""
    assert _chained(world)


def test_change_that_never_holds_fails_after_a_quarter_of_an_hour(world: World, key: str) -> None:
    """If this fails, a change without effect is retried for ever, or called a success."""
    world.wire.answer("kms", "GetKeyRotationStatus", {"KeyRotationEnabled": False}, times=99)
    result = world.run(CONTROL, request(CONTROL, key, creates=True))
    changes = _changes(world)
    rounds = 0
    while result.outcome == "RETURNED":
        again = result.request.again(world.now)
        world.sleep(result.delay_seconds)
        result = world.run(CONTROL, again, owner="worker-2")
        changes += _changes(world)
        rounds += 1
    assert (result.outcome, changes) == ("FAILED", 1)
    assert world.outcomes() == ["PLANNED", "APPLIED", "FAILED"]
    assert world.records()[-1]["announce"]
    assert timedelta(minutes=15) <= world.now - world.start < timedelta(minutes=35)
    assert rounds < 10


def test_look_after_the_change_survives_throttling(world: World, key: str) -> None:
    """If this fails, a throttled verification loses the outcome of a change that was made."""
    world.wire.fail("kms", "GetKeyRotationStatus", "ThrottlingException", skip=1, times=2)
    assert world.run(CONTROL, request(CONTROL, key, creates=True)).outcome == "REMEDIATED"


def test_look_after_the_change_that_is_refused_is_not_taken_for_a_proof(world: World, key: str) -> None:
    """If this fails, a change is called proved though nobody could look."""
    world.wire.fail("kms", "GetKeyRotationStatus", "InvalidArnException", "odd", skip=1)
    with pytest.raises(Exception, match="odd"):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    assert world.outcomes() == ["PLANNED"]


def test_look_after_the_change_without_the_permission_is_told_and_leaves_no_lease(world: World, key: str) -> None:
    """If this fails, a role that lacks a read leaves a changed resource without an outcome, locked for a while."""
    told = "not authorized to perform: kms:GetKeyRotationStatus because no identity-based policy allows it"
    world.wire.fail("kms", "GetKeyRotationStatus", "AccessDeniedException", told, skip=1, times=9)
    with pytest.raises(NotGrantedError, match="deploy the stack's current policies"):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    assert world.outcomes() == ["PLANNED", "FAILED"]
    assert "changed, but the change cannot be verified" in world.records()[-1]["detail"]
    assert world.ledger().state(CONTROL, key).lease_owner == ""


def test_refused_change_fails_and_says_why(world: World, key: str) -> None:
    """If this fails, a refusal of AWS's is lost or retried without end."""
    world.wire.fail("kms", "EnableKeyRotation", "UnsupportedOperationException", "not this key")
    result = world.run(CONTROL, request(CONTROL, key, creates=True))
    assert (result.outcome, world.outcomes()) == ("FAILED", ["PLANNED", "FAILED"])
    assert "not this key" in world.records()[-1]["detail"]
    assert world.records()[-1]["announce"]


def test_resource_that_goes_away_before_the_change_is_no_alarm(world: World, key: str) -> None:
    """If this fails, people are called for a resource that its owner deleted meanwhile."""
    world.wire.fail("kms", "EnableKeyRotation", "NotFoundException", "gone")
    result = world.run(CONTROL, request(CONTROL, key))
    assert (result.outcome, world.records()[-1]["announce"]) == ("FAILED", False)


@pytest.mark.parametrize(
    ("age", "creates", "outcome"),
    [(1, True, "RETURNED"), (119, True, "RETURNED"), (121, True, "GONE"), (1, False, "GONE")],
)
def test_resource_not_found_is_waited_for_only_when_it_was_just_made(
    world: World, age: int, creates: bool, outcome: str
) -> None:
    """If this fails, a new key is lost to eventual consistency, or a deleted one is waited for."""
    arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-4000-8000-000000000000"
    wish = request(CONTROL, arn, creates=creates)
    world.now += timedelta(seconds=age)
    assert world.run(CONTROL, wish).outcome == outcome
    assert world.records() == []


def test_throttled_read_returns(world: World, key: str) -> None:
    """If this fails, a throttled read counts as a crash or loses the event."""
    world.wire.fail("kms", "GetKeyRotationStatus", "ThrottlingException")
    result = world.run(CONTROL, request(CONTROL, key))
    assert (result.outcome, result.delay_seconds) == ("RETURNED", 2)


def test_refused_read_is_raised(world: World, key: str) -> None:
    """If this fails, an unknown refusal of a read passes for an outcome."""
    world.wire.fail("kms", "GetKeyRotationStatus", "InvalidArnException", "odd")
    with pytest.raises(Exception, match="odd"):
        world.run(CONTROL, request(CONTROL, key))


def test_full_blast_radius_holds_and_changes_nothing(world: World) -> None:
    """If this fails, one bad deployment lets Evenkeel change the whole account, or what was stopped is lost."""
    radius = {"limit": 2, "window_seconds": 60}
    document = {"schema_version": 1, "controls": {CONTROL: {"blast_radius": radius}}}
    keys = [client("kms").create_key()["KeyMetadata"]["Arn"] for _ in range(5)]
    world.now = world.now.replace(second=0)
    results = [world.run(CONTROL, request(CONTROL, key, creates=True), document=document) for key in keys[:4]]
    assert [result.outcome for result in results] == ["REMEDIATED", "REMEDIATED", "HELD", "HELD"]
    assert (_changes(world), [_rotates(key) for key in keys]) == (0, [True, True, False, False, False])
    assert "UTC: 2 changes in 60 s, limit 2; all of kms-key-rotation is held" in results[2].reason
    held = [record for record in world.records() if record.get("outcome") == "HELD"]
    assert [(record["severity"], record["announce"]) for record in held] == [("CRITICAL", True), ("MEDIUM", False)]
    world.now += timedelta(hours=23)  # many windows later: the whole control is held, for a day
    assert world.run(CONTROL, request(CONTROL, keys[4], creates=True), document=document).outcome == "HELD"
    world.now += timedelta(hours=1, seconds=61)
    kept = world.kept(CONTROL, keys[2])
    assert world.run(CONTROL, kept, document=document).outcome == "REMEDIATED"


def test_plan_for_other_calls_is_closed_before_a_new_one(world: World, key: str) -> None:
    """If this fails, an interrupted plan is adopted for calls it does not name."""
    world.wire.crash("kms", "EnableKeyRotation")
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    world.now += LEASE
    document = {"schema_version": 1, "controls": {CONTROL: {"parameters": {"period_days": 180}}}}
    result = world.run(CONTROL, request(CONTROL, key), document=document, owner="worker-2", redelivered=True)
    assert result.outcome == "REMEDIATED"
    assert world.outcomes() == ["PLANNED", "FAILED", "PLANNED", "REMEDIATED"]
    assert not world.records()[1]["announce"]
    assert _chained(world)


def test_record_that_vanished_is_not_passed_over(world: World, key: str) -> None:
    """If this fails, a plan whose audit record was removed is closed as if nothing had happened."""
    world.wire.crash("dynamodb", "TransactWriteItems", skip=1)
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    [record] = world.records()
    client("dynamodb").delete_item(
        TableName=AUDIT, Key={"resource": {"S": key}, "record_id": {"S": record["record_id"]}}
    )
    world.now += LEASE
    with pytest.raises(EvenkeelError, match="missing from the audit table"):
        world.run(CONTROL, request(CONTROL, key), owner="worker-2", redelivered=True)


def test_proof_of_a_plan_that_vanished_is_not_passed_over(world: World, key: str) -> None:
    """If this fails, a late proof hides that the audit lost its plan."""
    world.wire.answer("kms", "GetKeyRotationStatus", {"KeyRotationEnabled": False}, times=99)
    first = world.run(CONTROL, request(CONTROL, key, creates=True))
    plan = world.records()[0]["record_id"]
    client("dynamodb").delete_item(TableName=AUDIT, Key={"resource": {"S": key}, "record_id": {"S": plan}})
    again = first.request.again(world.now)
    world.now += timedelta(minutes=16)
    with pytest.raises(EvenkeelError, match="missing from the audit table"):
        world.run(CONTROL, again, owner="worker-2")


def test_proof_waits_for_a_worker_at_the_same_resource(world: World, key: str) -> None:
    """If this fails, an outcome is written over another worker's act."""
    world.wire.crash("dynamodb", "TransactWriteItems", skip=1)
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    result = world.run(CONTROL, request(CONTROL, key), owner="worker-2", redelivered=True)
    assert (result.outcome, world.outcomes()) == ("RETURNED", ["PLANNED"])
    world.now += LEASE
    assert world.run(CONTROL, result.request.again(world.now), owner="worker-2").outcome == "COMPLIANT"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_proof_that_loses_a_race_comes_again(world: World, key: str) -> None:
    """If this fails, a lost race at the outcome leaves the plan open without anyone coming back."""
    world.wire.crash("dynamodb", "TransactWriteItems", skip=1)
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    world.now += LEASE
    world.wire.cancel("None", "ConditionalCheckFailed")
    result = world.run(CONTROL, request(CONTROL, key), owner="worker-2", redelivered=True)
    assert result.outcome == "RETURNED"
