"""What people approve and reject of what is kept, and which decisions are refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit.records import seal
from evenkeel.errors import ApprovalRefusedError, MalformedPayloadError
from evenkeel.remediation import decide
from evenkeel.runtime.dynamodb import wire
from tests.tables import AUDIT, STATE
from tests.unit.deciding import ALICE, APPROVE, BOB, CAROL, CONTROL, FROZEN, approve, rotates, wish
from tests.world import client

if TYPE_CHECKING:
    from tests.world import World

pytestmark = pytest.mark.usefixtures("people", "unbroken")


def test_planned_change_is_kept_and_told_once(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, something is changed before anybody approves, or on-call is asked at every event."""
    arn, record_id = awaiting
    for _ in range(3):
        assert world.run(CONTROL, wish(arn), document=APPROVE).outcome == "SKIPPED"
    [record] = world.records()
    assert (record["record_id"], record["outcome"], record["announce"]) == (record_id, "AWAITING", True)
    assert [call["operation"] for call in record["calls"]] == ["enable_key_rotation"]
    assert not rotates(arn)


def test_another_persons_approval_repairs_under_their_name(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, an approved change is not made, or nobody can say who approved it."""
    arn, _ = awaiting
    assert approve(world, awaiting).outcome == "REMEDIATED"
    assert rotates(arn)
    assert world.outcomes() == ["AWAITING", "PLANNED", "REMEDIATED"]
    for record in world.records()[1:]:
        assert (record["approver"], record["actor"]["principal"]) == (BOB, ALICE)
    assert world.state(CONTROL, arn).held(world.now) == ""


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_whoever_caused_it_does_not_decide(world: World, awaiting: tuple[str, str], verb: str) -> None:
    """If this fails, people approve or reject what they caused themselves."""
    payload = {verb: awaiting[1], "resource": awaiting[0], **({"because": "mine"} if verb == "reject" else {})}
    with pytest.raises(ApprovalRefusedError, match="alice caused it; somebody else has to decide"):
        world.decide(payload, ALICE, document=APPROVE)
    assert (world.outcomes(), rotates(awaiting[0])) == (["AWAITING"], False)


def test_change_that_drifted_is_refused(world: World) -> None:
    """If this fails, people approve one change and another is made."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    client("kms").enable_key_rotation(KeyId=arn, RotationPeriodInDays=500)
    result = world.run(CONTROL, wish(arn), document=APPROVE)
    client("kms").enable_key_rotation(KeyId=arn, RotationPeriodInDays=900)
    with pytest.raises(ApprovalRefusedError, match="it changed since record"):
        approve(world, (arn, result.record_id))
    assert world.outcomes() == ["AWAITING"]


def test_settings_that_changed_the_calls_refuse_it(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, people approve calls that they did not see."""
    document = {"schema_version": 1, "controls": {CONTROL: {"mode": "approve", "parameters": {"period_days": 90}}}}
    with pytest.raises(ApprovalRefusedError, match="it changed since record"):
        approve(world, awaiting, document=document)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (FROZEN, "frozen until"),
        ({"schema_version": 1, "controls": {CONTROL: {"mode": "off"}}}, "the control is off"),
        ({"schema_version": 1, "controls": {CONTROL: {"mode": "notify"}}}, "the control's mode is notify"),
        ({"schema_version": 1}, "the settings do not require approval any more"),
        (
            {**APPROVE, "exemptions": [{"controls": ["*"], "resources": ["*"], "reason": "r", "approver": "a",
                                        "expires": "2099-01-01"}]},
            "exempt until",
        ),
    ],
)  # fmt: skip
def test_approval_does_not_go_around_the_settings(
    world: World, awaiting: tuple[str, str], document: dict[str, Any], told: str
) -> None:
    """If this fails, an approval changes what is frozen, exempt or switched off."""
    with pytest.raises(ApprovalRefusedError, match=told):
        approve(world, awaiting, document=document)
    assert not rotates(awaiting[0])
    assert approve(world, awaiting).outcome == "REMEDIATED"


def test_approval_counts_once(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, one approval serves for whatever comes later."""
    approve(world, awaiting)
    client("kms").disable_key_rotation(KeyId=awaiting[0])
    with pytest.raises(ApprovalRefusedError, match="was decided already, or has expired"):
        approve(world, awaiting, CAROL)
    assert not rotates(awaiting[0])


def test_approval_expires_and_is_asked_for_again(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, a plan of last week is approved, or a finding is forgotten since nobody answered."""
    arn, _ = awaiting
    world.now += decide.APPROVAL_TIME + timedelta(seconds=1)
    with pytest.raises(ApprovalRefusedError, match="has expired"):
        approve(world, awaiting)
    again = world.run(CONTROL, world.kept(CONTROL, arn), document=APPROVE)
    assert (again.outcome, world.records()[-1]["announce"]) == ("AWAITING", True)
    assert approve(world, (arn, again.record_id)).outcome == "REMEDIATED"


def test_approval_of_what_is_mended_already_changes_nothing_and_ends_the_wait(
    world: World, awaiting: tuple[str, str]
) -> None:
    """If this fails, an approval repeats what somebody did by hand, or leaves the resource unwatched for days."""
    arn, _ = awaiting
    client("kms").enable_key_rotation(KeyId=arn)
    assert approve(world, awaiting).outcome == "COMPLIANT"
    assert (world.outcomes(), world.state(CONTROL, arn).held(world.now)) == (["AWAITING"], "")


def test_planted_record_is_not_approved(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, whoever can put a record approves a change that nobody planned."""
    arn, record_id = awaiting
    [record] = world.records()
    bare = {name: value for name, value in record.items() if name not in {"hash", "previous"}}
    planted = seal({**bare, "record_id": "f" * 12 + "-0"}, record["hash"])
    client("dynamodb").put_item(TableName=AUDIT, Item=wire(planted))
    with pytest.raises(ApprovalRefusedError, match="was decided already, or has expired"):
        approve(world, (arn, planted["record_id"]))
    client("dynamodb").delete_item(
        TableName=AUDIT, Key={"resource": {"S": arn}, "record_id": {"S": planted["record_id"]}}
    )
    forged = seal({**bare, "actor": {**record["actor"], "principal": "nobody"}}, "")
    for overwritten in (forged, {**record, "actor": {**record["actor"], "principal": "nobody"}}):
        client("dynamodb").put_item(TableName=AUDIT, Item=wire(overwritten))
        with pytest.raises(
            ApprovalRefusedError, match=f"{record_id} was changed after it was written; verify the audit"
        ):
            approve(world, awaiting, ALICE)
    client("dynamodb").put_item(TableName=AUDIT, Item=wire(record))
    assert not rotates(arn)


def test_planted_calls_do_not_run_even_where_the_state_item_agrees(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, whoever can write both tables makes an approver run calls of their own."""
    arn, record_id = awaiting
    [record] = world.records()
    bare = {name: value for name, value in record.items() if name not in {"hash", "previous"}}
    calls = [{"service": "kms", "operation": "schedule_key_deletion", "params": {"KeyId": arn}}]
    forged = seal({**bare, "calls": calls}, "")
    client("dynamodb").put_item(TableName=AUDIT, Item=wire(forged))
    client("dynamodb").update_item(
        TableName=STATE,
        Key={"pk": {"S": f"{CONTROL}#{arn}"}},
        UpdateExpression="SET head = :head",
        ExpressionAttributeValues={":head": {"S": forged["hash"]}},
    )
    with pytest.raises(ApprovalRefusedError, match="it changed since record"):
        approve(world, (arn, record_id))
    assert client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"


def test_rejected_change_is_left_alone_for_thirty_days(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, a rejected change is made, asked for again the next day, or never looked at again."""
    arn, record_id = awaiting
    [result] = world.decide({"reject": record_id, "resource": arn, "because": "legacy"}, BOB, document=APPROVE)
    assert (result.outcome, result.reason, result.calls) == ("REJECTED", f"rejected by {BOB}: legacy", ())
    waiting, rejected = world.records()
    assert (result.request.resource.arn, result.record_id) == (arn, rejected["record_id"])
    assert (rejected["detail"], rejected["after"]) == (result.reason, waiting["after"])
    assert rejected["announce"]
    with pytest.raises(ApprovalRefusedError, match="was decided"):
        approve(world, awaiting)
    world.now += timedelta(days=29, hours=23)
    for document in (APPROVE, {"schema_version": 1}, {"schema_version": 1, "controls": {CONTROL: {"mode": "notify"}}}):
        assert world.run(CONTROL, wish(arn), document=document).outcome == "SKIPPED"
    assert world.outcomes() == ["AWAITING", "REJECTED"]
    world.now += timedelta(hours=1, minutes=1)
    assert world.run(CONTROL, wish(arn), document=APPROVE).outcome == "AWAITING"


def test_rejection_can_be_released(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, a rejection by mistake keeps a resource unwatched for a month."""
    arn, record_id = awaiting
    world.decide({"reject": record_id, "resource": arn, "because": "typo"}, BOB, document=APPROVE)
    [result] = world.decide({"release": CONTROL, "resource": arn}, CAROL, document={"schema_version": 1})
    assert (result.outcome, rotates(arn), world.records()[-1]["approver"]) == ("REMEDIATED", True, CAROL)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"release": CONTROL}, "not held by"),
        ({"drop": CONTROL, "because": "x"}, "not held by"),
        ({"release": "kms-key"}, "kms-key: not a control of this function; it has"),
        ({"drop": "nothing", "because": "x"}, "nothing: not a control of this function"),
        ({"approve": "r-1"}, "record r-1 does not wait for approval"),
        ({"reject": "r-1", "because": "x"}, "record r-1 does not wait for approval"),
    ],
)
def test_decision_about_nothing_is_refused(world: World, payload: dict[str, Any], told: str) -> None:
    """If this fails, a typo in a decision is a stack trace, or decides about something else."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ApprovalRefusedError, match=told):
        world.decide({"resource": arn, **payload}, BOB)


def test_what_waits_for_approval_is_not_released_or_dropped(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, release is a way around approval: whoever caused it releases it."""
    for payload in ({"release": CONTROL}, {"drop": CONTROL, "because": "x"}):
        with pytest.raises(ApprovalRefusedError, match=f"it awaits approval; approve or reject record {awaiting[1]}"):
            world.decide({"resource": awaiting[0], **payload}, ALICE, document=APPROVE)


def test_plan_and_outcome_of_a_repair_do_not_wait_for_approval(world: World) -> None:
    """If this fails, a finished repair can be approved again."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    world.run(CONTROL, wish(arn))
    for record in world.records():
        with pytest.raises(ApprovalRefusedError, match="does not wait for approval"):
            approve(world, (arn, record["record_id"]))


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"approve": "r"}, "approve: send exactly approve, caller, resource"),
        ({"approve": "r", "resource": "a", "because": "x"}, "approve: send exactly"),
        ({"approve": "r", "reject": "r", "resource": "a", "because": "x"}, "approve: send exactly"),
        ({"reject": "r", "resource": "a"}, "reject: send exactly because, caller, reject, resource"),
        ({"reject": "r", "resource": "a", "because": " "}, "because: write a text"),
        ({"drop": "c", "resource": "a", "because": None}, "because: write a text"),
        ({"release": ["c"], "resource": "a"}, "release: write a text"),
        ({"release": "c", "resource": ""}, "resource: write a text"),
        ({"release": "c", "resource": "a" * 1025}, "resource: write a text of at most 1024 characters"),
    ],
)
def test_wrong_payloads_are_refused(world: World, payload: dict[str, Any], told: str) -> None:
    """If this fails, a decision of unknown form is guessed at."""
    with pytest.raises(MalformedPayloadError) as caught:
        world.decide(payload, BOB)
    assert str(caught.value).startswith(told)
