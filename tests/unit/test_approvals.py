"""What people decide about kept changes, and what they may not decide; whoever is asked twice changes once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel import policy
from evenkeel.errors import ApprovalRefusedError, MalformedPayloadError
from evenkeel.model import Actor, Cause
from evenkeel.records import seal
from evenkeel.registry import all_controls
from evenkeel.state import wire
from evenkeel.undo import Undoer
from tests.wire import Crash
from tests.world import QUEUE_URL, client, one_at_a_time, request

if TYPE_CHECKING:
    from evenkeel.model import Result
    from tests.world import World

CONTROL = "kms-key-rotation"
ALICE, BOB, CAROL = (f"arn:aws:iam::123456789012:user/{name}" for name in ("alice", "bob", "carol"))
APPROVE = {"schema_version": 1, "controls": {CONTROL: {"mode": "approve"}}}
FROZEN = {**APPROVE, "freezes": [{"cron": "* * * * *", "hours": 1}]}
pytestmark = pytest.mark.usefixtures("people")


@pytest.fixture(autouse=True)
def _unbroken(world: World) -> Any:
    yield
    world.chains()


def _rotates(arn: str) -> bool:
    return client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


def _wish(arn: str, **more: Any) -> Any:
    return request(CONTROL, arn, actor=Actor(ALICE, owner="alice"), **more)


@pytest.fixture
def awaiting(world: World) -> tuple[str, str]:
    """Return a key that alice made, and the record of its repair that waits for approval."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    result = world.run(CONTROL, _wish(arn, creates=True), document=APPROVE)
    assert result.outcome == "AWAITING"
    return arn, result.record_id


def _approve(world: World, waits: tuple[str, str], who: str = BOB, **more: Any) -> Result:
    [result] = world.decide({"approve": waits[1], "resource": waits[0]}, who, **{"document": APPROVE, **more})
    return result


def test_planned_change_is_kept_and_told_once(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, something is changed before anybody approves, or on-call is asked at every event."""
    arn, record_id = awaiting
    for _ in range(3):
        assert world.run(CONTROL, _wish(arn), document=APPROVE).outcome == "SKIPPED"
    [record] = world.records()
    assert (record["record_id"], record["outcome"], record["announce"]) == (record_id, "AWAITING", True)
    assert [call["operation"] for call in record["calls"]] == ["enable_key_rotation"]
    assert not _rotates(arn)


def test_another_persons_approval_repairs_under_their_name(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, an approved change is not made, or nobody can say who approved it."""
    arn, _ = awaiting
    assert _approve(world, awaiting).outcome == "REMEDIATED"
    assert _rotates(arn)
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
    assert (world.outcomes(), _rotates(awaiting[0])) == (["AWAITING"], False)


def test_change_that_drifted_is_refused(world: World) -> None:
    """If this fails, people approve one change and another is made."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    client("kms").enable_key_rotation(KeyId=arn, RotationPeriodInDays=500)
    result = world.run(CONTROL, _wish(arn), document=APPROVE)
    client("kms").enable_key_rotation(KeyId=arn, RotationPeriodInDays=900)
    with pytest.raises(ApprovalRefusedError, match="it changed since record"):
        _approve(world, (arn, result.record_id))
    assert world.outcomes() == ["AWAITING"]


def test_settings_that_changed_the_calls_refuse_it(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, people approve calls that they did not see."""
    document = {"schema_version": 1, "controls": {CONTROL: {"mode": "approve", "parameters": {"period_days": 90}}}}
    with pytest.raises(ApprovalRefusedError, match="it changed since record"):
        _approve(world, awaiting, document=document)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (FROZEN, "frozen until"),
        ({"schema_version": 1, "controls": {CONTROL: {"mode": "off"}}}, "the control is off"),
        ({"schema_version": 1, "controls": {CONTROL: {"mode": "notify"}}}, "the control's mode is notify"),
        ({"schema_version": 1}, "the settings do not ask for approval any more"),
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
        _approve(world, awaiting, document=document)
    assert not _rotates(awaiting[0])
    assert _approve(world, awaiting).outcome == "REMEDIATED"


def test_approval_counts_once(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, one approval serves for whatever comes later."""
    _approve(world, awaiting)
    client("kms").disable_key_rotation(KeyId=awaiting[0])
    with pytest.raises(ApprovalRefusedError, match="was decided, or its time is over"):
        _approve(world, awaiting, CAROL)
    assert not _rotates(awaiting[0])


def test_approval_expires_and_is_asked_for_again(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, a plan of last week is approved, or a finding is forgotten since nobody answered."""
    arn, _ = awaiting
    world.now += policy.APPROVAL_TIME + timedelta(seconds=1)
    with pytest.raises(ApprovalRefusedError, match="its time is over"):
        _approve(world, awaiting)
    again = world.run(CONTROL, world.kept(CONTROL, arn), document=APPROVE)
    assert (again.outcome, world.records()[-1]["announce"]) == ("AWAITING", True)
    assert _approve(world, (arn, again.record_id)).outcome == "REMEDIATED"


def test_approval_of_what_is_mended_already_changes_nothing_and_ends_the_wait(
    world: World, awaiting: tuple[str, str]
) -> None:
    """If this fails, an approval repeats what somebody did by hand, or leaves the resource unwatched for days."""
    arn, _ = awaiting
    client("kms").enable_key_rotation(KeyId=arn)
    assert _approve(world, awaiting).outcome == "COMPLIANT"
    assert (world.outcomes(), world.state(CONTROL, arn).held(world.now)) == (["AWAITING"], "")


def test_throttled_approval_is_neither_lost_nor_made_twice(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, an approved change that AWS throttled is forgotten, or leaves a hold nobody can end."""
    arn, _ = awaiting
    world.wire.fail("kms", "EnableKeyRotation", "ThrottlingException")
    assert _approve(world, awaiting).outcome == "RETURNED"
    world.now += timedelta(minutes=16)
    look = request(CONTROL, arn, cause=Cause("verify", event_name="clerk"))
    asked = world.run(CONTROL, look, document=APPROVE)
    assert asked.outcome == "AWAITING"
    assert _approve(world, (arn, asked.record_id)).outcome == "REMEDIATED"
    item = world.state(CONTROL, arn)
    assert (item.plan, item.hold_until, item.held_request) == ("", 0, "")


def test_two_approvers_at_once_make_one_change(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, two approvals that race change the resource twice, or break its chain."""

    def first(_: object) -> None:
        world.wire._plans.clear()
        assert _approve(world, awaiting, CAROL).outcome == "REMEDIATED"

    world.wire.when("dynamodb", "TransactWriteItems", first)
    assert _approve(world, awaiting).outcome == "COMPLIANT"
    assert world.outcomes() == ["AWAITING", "PLANNED", "REMEDIATED"]
    assert world.records()[-1]["approver"] == CAROL


def test_many_approvers_in_parallel_make_one_change(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, really parallel approvals change the resource more than once."""
    from evenkeel import settings  # noqa: PLC0415 - one user
    from evenkeel.decisions import Approval  # noqa: PLC0415 - one user

    arn, _ = awaiting
    [record], kept = world.records(), world.kept(CONTROL, arn)
    loaded, connect = (
        settings.parse('{"schema_version": 1, "controls": {"kms-key-rotation": {"mode": "approve"}}}'),
        one_at_a_time(),
    )
    ready, outcomes = threading.Barrier(8), []

    def approve(number: int) -> None:
        run = world.pipeline(f"desk-{number}", connect=connect).run
        ready.wait()
        approval = Approval(record, f"approver-{number}")
        outcomes.append(str(run(all_controls()[CONTROL], kept, loaded, approval=approval).outcome))

    threads = [threading.Thread(target=approve, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("REMEDIATED") == 1
    assert set(outcomes) <= {"REMEDIATED", "COMPLIANT", "RETURNED"}
    assert world.outcomes() == ["AWAITING", "PLANNED", "REMEDIATED"]


def test_approval_that_races_with_a_rejection_does_not_change(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, what one person rejected is changed by another's approval at the same moment."""

    def first(_: object) -> None:
        world.wire._plans.clear()
        world.decide({"reject": awaiting[1], "resource": awaiting[0], "because": "no"}, CAROL, document=APPROVE)

    world.wire.when("dynamodb", "TransactWriteItems", first)
    assert _approve(world, awaiting).outcome == "SKIPPED"
    assert (world.outcomes(), _rotates(awaiting[0])) == (["AWAITING", "REJECTED"], False)


def test_planted_record_is_not_approved(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, whoever can put a record approves a change that nobody planned."""
    arn, record_id = awaiting
    [record] = world.records()
    bare = {name: value for name, value in record.items() if name not in {"hash", "previous"}}
    planted = seal({**bare, "record_id": "f" * 12 + "-0"}, record["hash"])
    client("dynamodb").put_item(TableName="audit", Item=wire(planted))
    with pytest.raises(ApprovalRefusedError, match="was decided, or its time is over"):
        _approve(world, (arn, planted["record_id"]))
    client("dynamodb").delete_item(
        TableName="audit", Key={"resource": {"S": arn}, "record_id": {"S": planted["record_id"]}}
    )
    forged = seal({**bare, "actor": {**record["actor"], "principal": "nobody"}}, "")
    for overwritten in (forged, {**record, "actor": {**record["actor"], "principal": "nobody"}}):
        client("dynamodb").put_item(TableName="audit", Item=wire(overwritten))
        with pytest.raises(ApprovalRefusedError, match=f"{record_id} is not what was written; verify the audit"):
            _approve(world, awaiting, ALICE)
    client("dynamodb").put_item(TableName="audit", Item=wire(record))
    assert not _rotates(arn)


def test_planted_calls_do_not_run_even_where_the_state_item_agrees(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, whoever can write both tables makes an approver run calls of their own."""
    arn, record_id = awaiting
    [record] = world.records()
    bare = {name: value for name, value in record.items() if name not in {"hash", "previous"}}
    calls = [{"service": "kms", "operation": "schedule_key_deletion", "params": {"KeyId": arn}}]
    forged = seal({**bare, "calls": calls}, "")
    client("dynamodb").put_item(TableName="audit", Item=wire(forged))
    client("dynamodb").update_item(
        TableName="state",
        Key={"pk": {"S": f"{CONTROL}#{arn}"}},
        UpdateExpression="SET head = :head",
        ExpressionAttributeValues={":head": {"S": forged["hash"]}},
    )
    with pytest.raises(ApprovalRefusedError, match="it changed since record"):
        _approve(world, (arn, record_id))
    assert client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"


def test_rejected_change_is_left_alone_for_thirty_days(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, a rejected change is made, asked for again the next day, or never looked at again."""
    arn, record_id = awaiting
    [result] = world.decide({"reject": record_id, "resource": arn, "because": "legacy"}, BOB, document=APPROVE)
    assert (result.outcome, result.reason) == ("REJECTED", f"rejected by {BOB}: legacy")
    assert world.records()[-1]["announce"]
    with pytest.raises(ApprovalRefusedError, match="was decided"):
        _approve(world, awaiting)
    world.now += timedelta(days=29, hours=23)
    for document in (APPROVE, {"schema_version": 1}, {"schema_version": 1, "controls": {CONTROL: {"mode": "notify"}}}):
        assert world.run(CONTROL, _wish(arn), document=document).outcome == "SKIPPED"
    assert world.outcomes() == ["AWAITING", "REJECTED"]
    world.now += timedelta(hours=1, minutes=1)
    assert world.run(CONTROL, _wish(arn), document=APPROVE).outcome == "AWAITING"


def test_rejection_can_be_released(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, a rejection by mistake keeps a resource unwatched for a month."""
    arn, record_id = awaiting
    world.decide({"reject": record_id, "resource": arn, "because": "typo"}, BOB, document=APPROVE)
    [result] = world.decide({"release": CONTROL, "resource": arn}, CAROL, document={"schema_version": 1})
    assert (result.outcome, _rotates(arn), world.records()[-1]["approver"]) == ("REMEDIATED", True, CAROL)


def _held(world: World) -> str:
    """Return a key whose repair a freeze holds."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    frozen = {"schema_version": 1, "freezes": FROZEN["freezes"]}
    assert world.run(CONTROL, _wish(arn, creates=True), document=frozen).outcome == "HELD"
    return arn


def test_release_of_one_repairs_it_after_another_look(world: World) -> None:
    """If this fails, a person cannot let a held repair go on, or it goes on without their name."""
    arn = _held(world)
    [result] = world.decide({"release": CONTROL, "resource": arn}, BOB)
    assert (result.outcome, _rotates(arn)) == ("REMEDIATED", True)
    assert world.records()[-1]["approver"] == BOB
    assert world.state(CONTROL, arn).held(world.now) == ""


def test_release_in_a_freeze_keeps_it_held(world: World) -> None:
    """If this fails, release goes around a freeze."""
    arn = _held(world)
    [result] = world.decide({"release": CONTROL, "resource": arn}, BOB, document=FROZEN)
    assert (result.outcome, _rotates(arn)) == ("HELD", False)
    assert world.kept(CONTROL, arn).resource.arn == arn


def test_release_of_what_is_mended_already_ends_the_hold(world: World) -> None:
    """If this fails, a released resource stays unwatched until its hold would have ended."""
    arn = _held(world)
    client("kms").enable_key_rotation(KeyId=arn)
    [result] = world.decide({"release": CONTROL, "resource": arn}, BOB)
    assert (result.outcome, world.state(CONTROL, arn).held(world.now)) == ("COMPLIANT", "")


def test_release_of_all_sends_everything_but_what_waits_for_approval(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, release leaves something behind, loses it, or approves what nobody looked at."""
    arns = {_held(world) for _ in range(3)}
    results = world.decide({"release": CONTROL, "resource": "all"}, BOB)
    assert {result.request.resource.arn for result in results} == arns
    assert {str(result.outcome) for result in results} == {"RETURNED"}
    sent = world.messages(QUEUE_URL)
    assert len(sent) == 3
    assert min(made["DelaySeconds"] for made in world.wire.params("SendMessage")) > 0
    assert all(world.state(CONTROL, arn).held(world.now) == "" for arn in arns)
    assert world.state(CONTROL, awaiting[0]).held(world.now)
    assert [world.run(CONTROL, result.request).outcome for result in results] == ["REMEDIATED"] * 3


def test_dropped_request_is_set_aside_with_its_reason(world: World) -> None:
    """If this fails, what people decide not to do is done after all, or nobody can say who decided."""
    arn = _held(world)
    [result] = world.decide({"drop": CONTROL, "resource": arn, "because": "decommissioned"}, BOB)
    assert (result.outcome, result.reason) == ("REJECTED", f"dropped by {BOB}: decommissioned")
    world.now += timedelta(days=29)
    assert (world.run(CONTROL, _wish(arn)).outcome, _rotates(arn)) == ("SKIPPED", False)


def test_who_caused_it_does_not_drop_it(world: World) -> None:
    """If this fails, somebody weakens a resource in a freeze and has it left alone for 30 days by themselves."""
    arn = _held(world)
    with pytest.raises(ApprovalRefusedError, match="caused it; somebody else has to drop it"):
        world.decide({"drop": CONTROL, "resource": arn, "because": "mine"}, ALICE)
    assert world.outcomes() == ["HELD"]


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        ({"release": CONTROL}, "holds nothing there"),
        ({"drop": CONTROL, "because": "x"}, "holds nothing there"),
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
        with pytest.raises(
            ApprovalRefusedError, match=f"it waits for approval; approve or reject record {awaiting[1]}"
        ):
            world.decide({"resource": awaiting[0], **payload}, ALICE, document=APPROVE)


def test_plan_and_outcome_of_a_repair_do_not_wait_for_approval(world: World) -> None:
    """If this fails, a finished repair can be approved again."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    world.run(CONTROL, _wish(arn))
    for record in world.records():
        with pytest.raises(ApprovalRefusedError, match="does not wait for approval"):
            _approve(world, (arn, record["record_id"]))


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


def _undone(world: World) -> str:
    """Return a key whose repair bob took back."""
    from evenkeel.aws import Aws  # noqa: PLC0415 - one user

    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    repaired = world.run(CONTROL, _wish(arn, creates=True))
    undoer = Undoer(Aws(client), world.ledger("undo"), BOB, 400, world.clock, world.sleep)
    assert undoer.run(all_controls()[CONTROL], arn, repaired.record_id).outcome == "UNDONE"
    return arn


@pytest.mark.parametrize("document", [{"schema_version": 1}, APPROVE, FROZEN,
    {"schema_version": 1, "controls": {CONTROL: {"mode": "notify"}}},
    {"schema_version": 1, "controls": {CONTROL: {"blast_radius": {"limit": 1}}}},
])  # fmt: skip
def test_hold_of_an_undo_is_respected_whatever_the_settings(world: World, document: dict[str, Any]) -> None:
    """If this fails, what a person took back is repaired, announced, kept or asked for again."""
    arn = _undone(world)
    wishes = [
        _wish(arn),
        _wish(arn, creates=True),
        _wish(arn, attempt=3, first_seen=datetime.now(UTC).isoformat()),
        request(CONTROL, arn, cause=Cause("verify", event_name="clerk")),
        request(CONTROL, arn, cause=Cause("manual")),
    ]
    written = len(world.records())
    for wish in wishes:
        assert world.run(CONTROL, wish, document=document, redelivered=wish.attempt > 0).outcome == "SKIPPED"
    assert world.decide({"release": CONTROL, "resource": "all"}, CAROL) == []
    assert (len(world.records()), _rotates(arn)) == (written, False)


def test_hold_of_an_undo_ends_when_a_person_releases_it(world: World) -> None:
    """If this fails, the way that an undo names to repair again does not exist."""
    arn = _undone(world)
    [result] = world.decide({"release": CONTROL, "resource": arn}, CAROL)
    assert (result.outcome, _rotates(arn)) == ("REMEDIATED", True)
    assert world.run(CONTROL, _wish(arn)).outcome == "COMPLIANT"


def test_crash_in_an_approved_repair_is_finished_by_the_clerks_look(world: World, awaiting: tuple[str, str]) -> None:
    """If this fails, an approval whose worker died after the call leaves its plan without an outcome."""
    arn, _ = awaiting
    world.wire.crash("dynamodb", "TransactWriteItems", skip=1)
    with pytest.raises(Crash):
        _approve(world, awaiting)
    world.now += timedelta(minutes=16)
    look = request(CONTROL, arn, cause=Cause("verify", event_name="clerk"))
    assert world.run(CONTROL, look, document=APPROVE).outcome == "COMPLIANT"
    assert world.outcomes() == ["AWAITING", "PLANNED", "REMEDIATED"]
    assert world.records()[-1]["approver"] == BOB
