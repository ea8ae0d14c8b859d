"""What people release or drop of what is held, and what an undo holds until somebody releases it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.errors import ApprovalRefusedError, NothingHeldError
from evenkeel.model import Cause
from evenkeel.operators.on_demand import described
from evenkeel.remediation.undo import Undoer
from tests.unit.deciding import ALICE, APPROVE, BOB, CAROL, CONTROL, FROZEN, rotates, wish
from tests.world import QUEUE_URL, client, request

if TYPE_CHECKING:
    from evenkeel.model import HeldBy
    from tests.world import World

pytestmark = pytest.mark.usefixtures("people", "unbroken")


def _held(world: World) -> str:
    """Return a key whose repair a freeze holds."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    frozen = {"schema_version": 1, "freezes": FROZEN["freezes"]}
    assert world.run(CONTROL, wish(arn, creates=True), document=frozen).outcome == "HELD"
    return arn


def test_release_of_one_repairs_it_after_another_look(world: World) -> None:
    """If this fails, a person cannot let a held repair go on, or it goes on without their name."""
    arn = _held(world)
    [result] = world.decide({"release": CONTROL, "resource": arn}, BOB)
    assert (result.outcome, rotates(arn)) == ("REMEDIATED", True)
    assert world.records()[-1]["approver"] == BOB
    assert world.state(CONTROL, arn).held(world.now) == ""


def test_release_after_the_hold_is_over_is_refused(world: World) -> None:
    """If this fails, a release of last week's hold goes around the settings of today."""
    arn = _held(world)
    world.now += timedelta(days=40)
    with pytest.raises(NothingHeldError, match="not held by"):
        world.decide({"release": CONTROL, "resource": arn}, BOB)
    assert not rotates(arn)


def test_release_in_a_freeze_keeps_it_held(world: World) -> None:
    """If this fails, release goes around a freeze."""
    arn = _held(world)
    [result] = world.decide({"release": CONTROL, "resource": arn}, BOB, document=FROZEN)
    assert (result.outcome, rotates(arn)) == ("HELD", False)
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
    assert all(result.reason.startswith("released: frozen until ") for result in results)
    sent = world.messages(QUEUE_URL)
    assert len(sent) == 3
    assert min(made["DelaySeconds"] for made in world.wire.params("SendMessage")) > 0
    assert all(world.state(CONTROL, arn).held(world.now) == "" for arn in arns)
    assert world.state(CONTROL, awaiting[0]).held(world.now)
    assert [world.run(CONTROL, result.request).outcome for result in results] == ["REMEDIATED"] * 3


def test_release_of_all_passes_over_what_is_busy_and_says_so(world: World) -> None:
    """If this fails, one busy resource keeps all others held, or is told as released."""
    arns = {_held(world) for _ in range(3)}
    # The first update is that of the control's allowance.
    world.wire.fail("dynamodb", "UpdateItem", "ConditionalCheckFailedException", skip=1)
    results = world.decide({"release": CONTROL, "resource": "all"}, BOB)
    assert {result.request.resource.arn for result in results} == arns
    [busy] = [result for result in results if result.outcome == "SKIPPED"]
    assert "not released: " in busy.reason
    assert "another worker is busy with it" in busy.reason
    held = {arn for arn in arns if world.state(CONTROL, arn).held(world.now)}
    assert held == {busy.request.resource.arn}


def test_dropped_request_is_set_aside_with_its_reason(world: World) -> None:
    """If this fails, what people decide not to do is done after all, or nobody can say who decided."""
    arn = _held(world)
    [result] = world.decide({"drop": CONTROL, "resource": arn, "because": "decommissioned"}, BOB)
    assert (result.outcome, result.reason) == ("REJECTED", f"dropped by {BOB}: decommissioned")
    world.now += timedelta(days=29)
    assert (world.run(CONTROL, wish(arn)).outcome, rotates(arn)) == ("SKIPPED", False)


def test_who_caused_it_does_not_drop_it(world: World) -> None:
    """If this fails, somebody weakens a resource in a freeze and has it left alone for 30 days by themselves."""
    arn = _held(world)
    with pytest.raises(ApprovalRefusedError, match="caused it; somebody else has to drop it"):
        world.decide({"drop": CONTROL, "resource": arn, "because": "mine"}, ALICE)
    assert world.outcomes() == ["HELD"]


def _undone(world: World) -> str:
    """Return a key whose repair bob took back."""
    from evenkeel.runtime.aws import Aws  # noqa: PLC0415 - one user

    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    repaired = world.run(CONTROL, wish(arn, creates=True))
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
        wish(arn),
        wish(arn, creates=True),
        wish(arn, attempt=3, first_seen=datetime.now(UTC).isoformat()),
        request(CONTROL, arn, cause=Cause("verify", event_name="clerk")),
        request(CONTROL, arn, cause=Cause("manual")),
    ]
    written = len(world.records())
    for each in wishes:
        assert world.run(CONTROL, each, document=document, redelivered=each.attempt > 0).outcome == "SKIPPED"
    assert world.decide({"release": CONTROL, "resource": "all"}, CAROL) == []
    assert (len(world.records()), rotates(arn)) == (written, False)


def test_hold_of_an_undo_ends_when_a_person_releases_it(world: World) -> None:
    """If this fails, the way that an undo names to repair again does not exist."""
    arn = _undone(world)
    [result] = world.decide({"release": CONTROL, "resource": arn}, CAROL)
    assert (result.outcome, rotates(arn)) == ("REMEDIATED", True)
    assert world.run(CONTROL, wish(arn)).outcome == "COMPLIANT"


def _again(world: World, arn: str, document: Any = None) -> HeldBy:
    """Return what holds a resource, as a person is answered who asks for it once more."""
    by = request(CONTROL, arn, cause=Cause("manual"))
    result = world.run(CONTROL, by, document=document or {"schema_version": 1})
    assert (result.outcome, result.held_by is None) == ("SKIPPED", False)
    return result.held_by


def test_what_holds_a_resource_is_answered_as_data(world: World) -> None:
    """If this fails, a program has to read our sentences to know who holds a resource, and until when."""
    frozen = {"schema_version": 1, "freezes": FROZEN["freezes"]}
    by_freeze = _again(world, _held(world), frozen)
    record = world.records()[-1]
    assert (by_freeze.kind, by_freeze.record) == ("freeze", record["record_id"])
    assert by_freeze.until > world.now
    assert _again(world, _undone(world)).kind == "person"


def test_release_of_a_freeze_names_the_freeze_as_data(world: World) -> None:
    """If this fails, whoever releases what a freeze holds is not told that it will be held again."""
    _held(world)
    [result] = world.decide({"release": CONTROL, "resource": "all"}, BOB)
    assert described(result)["held_by"]["kind"] == "freeze"


def test_release_of_what_nothing_holds_is_refused_by_a_kind_of_its_own(world: World) -> None:
    """If this fails, a program cannot tell "there is nothing to release" from a refusal."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(NothingHeldError):
        world.decide({"release": CONTROL, "resource": arn}, BOB)
