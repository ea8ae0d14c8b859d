"""Taking a change back: what is undone, what is refused, and what keeps the event path away afterwards."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit.ledger import Ledger
from evenkeel.audit.records import record_hash, seal
from evenkeel.control.registry import all_controls
from evenkeel.errors import ApprovalRefusedError, BrokenChainError, LeaseHeldError, UndoRefusedError
from evenkeel.remediation.undo import HOLD, Undoer
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.dynamodb import wire
from tests import factories
from tests.sts import CALLER, Sts, signed
from tests.tables import AUDIT, STATE
from tests.unit.deciding import APPROVE, BOB, approve
from tests.wire import Crash
from tests.world import Context, client, request
from undo.handler import _as_group, _own, handler

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"
KMS = all_controls()[CONTROL]
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


def _undoer(world: World, caller: str = CALLER) -> Undoer:
    ledger = Ledger(Aws(client), AUDIT, STATE, "undo-1", world.clock, world.sleep)
    return Undoer(Aws(client), ledger, caller, 400, world.clock, world.sleep)


def _rotates(arn: str) -> bool:
    return client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


@pytest.fixture
def repaired(world: World) -> tuple[str, str]:
    """Return a repaired key and the record of its repair."""
    arn = factories.key()
    result = world.run(CONTROL, request(CONTROL, arn, creates=True))
    return arn, result.record_id


def test_look_tells_and_changes_nothing(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, a dry run of undo weakens something."""
    world.wire.clear()
    look = _undoer(world).preview(KMS, *repaired)
    assert world.wire.changes() == []
    assert ([call.operation for call in look.calls], look.drifted) == (["disable_key_rotation"], False)


def test_undo_is_audited_and_holds_the_event_path_off(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, an undo is repaired away at once, or leaves no trace of who asked."""
    arn, record_id = repaired
    done = _undoer(world).run(KMS, arn, record_id)
    assert (done.outcome, _rotates(arn)) == ("UNDONE", False)
    assert world.outcomes() == ["PLANNED", "REMEDIATED", "PLANNED", "UNDONE"]
    ended = world.records()[-1]
    assert (ended["undoes"], ended["actor"]["principal"], ended["cause"]["origin"]) == (record_id, CALLER, "undo")
    assert (ended["calls"], ended["undo"]) == (world.records()[1]["undo"], world.records()[1]["calls"])
    assert ended["hash"] == record_hash(ended)
    result = world.run(CONTROL, request(CONTROL, arn))
    assert (result.outcome, "held until" in result.reason, CALLER in result.reason) == ("SKIPPED", True, True)
    assert not _rotates(arn)
    notify = {"schema_version": 1, "controls": {CONTROL: {"mode": "notify"}}}
    assert world.run(CONTROL, request(CONTROL, arn), document=notify).outcome == "SKIPPED"
    world.now += HOLD + timedelta(seconds=1)
    assert world.run(CONTROL, request(CONTROL, arn)).outcome == "REMEDIATED"


@pytest.mark.usefixtures("people")
def test_undo_of_an_approved_repair_is_laid_to_the_one_who_undid_it_alone(world: World) -> None:
    """If this fails, record and alert name the approver of the repair as the one who decided about its undo."""
    arn = factories.key()
    waits = world.run(CONTROL, request(CONTROL, arn, creates=True), document=APPROVE)
    repair = approve(world, (arn, waits.record_id), BOB)
    assert world.records()[-1]["approver"] == BOB
    _undoer(world).run(KMS, arn, repair.record_id)
    for record in world.records()[-2:]:
        assert (record["actor"]["principal"], record["actor"]["owner"]) == (CALLER, CALLER)
        assert BOB not in json.dumps(record)


def test_undo_happens_once(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, a repeated undo changes what came after the first."""
    _undoer(world).run(KMS, *repaired)
    with pytest.raises(UndoRefusedError, match="undone already"):
        _undoer(world).run(KMS, *repaired)


def test_undo_of_an_undo_is_refused(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, people repair by undoing an undo, around modes and holds."""
    done = _undoer(world).run(KMS, *repaired)
    with pytest.raises(UndoRefusedError, match="is an undo itself"):
        _undoer(world).run(KMS, repaired[0], done.record_id)


def test_unfinished_and_unknown_records_are_refused(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, a plan or another resource's record is taken back."""
    arn, _ = repaired
    with pytest.raises(UndoRefusedError, match="is PLANNED; only a finished repair"):
        _undoer(world).preview(KMS, arn, world.records()[0]["record_id"])
    with pytest.raises(UndoRefusedError, match="has no record nonsense"):
        _undoer(world).preview(KMS, arn, "nonsense")


def test_resource_that_changed_since_needs_force(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, an undo overwrites what somebody set after the repair."""
    arn, record_id = repaired
    client("kms").enable_key_rotation(KeyId=arn, RotationPeriodInDays=90)
    assert _undoer(world).preview(KMS, arn, record_id).drifted
    with pytest.raises(UndoRefusedError, match="it changed since"):
        _undoer(world).run(KMS, arn, record_id)
    assert _rotates(arn)
    assert _undoer(world).run(KMS, arn, record_id, force=True).outcome == "UNDONE"


def test_undo_that_does_not_show_is_told(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, an undo without effect is called done."""
    stale = {"KeyRotationEnabled": True, "RotationPeriodInDays": 365}
    world.wire.answer("kms", "GetKeyRotationStatus", stale, times=99)
    assert _undoer(world).run(KMS, *repaired).outcome == "FAILED"
    assert (
        world.records()[-1]["detail"] == "the calls succeeded, but the change does not show yet; the resource is held"
    )


def test_undo_that_shows_late_is_not_repaired_again(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, what a person took back is set again as soon as AWS shows it."""
    arn, record_id = repaired
    stale = {"KeyRotationEnabled": True, "RotationPeriodInDays": 365}
    world.wire.answer("kms", "GetKeyRotationStatus", stale, times=99)
    _undoer(world).run(KMS, arn, record_id)
    world.wire.clear()
    assert world.run(CONTROL, request(CONTROL, arn)).outcome == "SKIPPED"
    assert not _rotates(arn)


def test_undo_that_may_not_be_looked_at_is_told_and_held(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, an undo without the permission to prove it leaves an open plan that nobody can close."""
    arn, record_id = repaired
    world.wire.fail("kms", "DescribeKey", "AccessDeniedException", "not authorized to perform: kms:DescribeKey")
    assert _undoer(world).run(KMS, arn, record_id).outcome == "FAILED"
    assert "cannot be verified" in world.records()[-1]["detail"]
    assert "kms:DescribeKey" in world.records()[-1]["detail"]
    item = world.ledger().state(CONTROL, arn)
    assert (item.plan, item.lease_owner, bool(item.held(world.now))) == ("", "", True)


def test_undo_waits_out_a_throttled_look(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, an undo that went through is told as failed because a look was throttled."""
    arn, record_id = repaired
    world.wire.fail("kms", "DescribeKey", "ThrottlingException", times=2)
    assert _undoer(world).run(KMS, arn, record_id).outcome == "UNDONE"


def _replace(world: World, **changes: Any) -> None:
    """Rewrite the outcome's record and everything that would give it away, as somebody with the table's keys could."""
    record = {**world.records()[-1], **changes}
    kept = {name: value for name, value in record.items() if name not in {"hash", "previous"}}
    sealed = seal(kept, record["previous"])
    client("dynamodb").put_item(TableName=AUDIT, Item=wire(sealed))
    client("dynamodb").update_item(
        TableName=STATE,
        Key={"pk": {"S": f"{CONTROL}#{record['resource']}"}},
        UpdateExpression="SET head = :head",
        ExpressionAttributeValues={":head": {"S": sealed["hash"]}},
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"undo": [{"service": "kms", "operation": "schedule_key_deletion", "params": {}}]}, "are not those that"),
        ({"parameters": {"period_days": 1}}, "parameters that are not valid"),
        ({"schema_version": 2}, "newer schema version"),
        ({"outcome": "FAILED"}, "is FAILED; only a finished repair"),
    ],
)
def test_planted_record_cannot_act(world: World, repaired: tuple[str, str], changes: dict[str, Any], told: str) -> None:
    """If this fails, whoever can write the table can make Evenkeel call what they like."""
    _replace(world, **changes)
    with pytest.raises(UndoRefusedError, match=told):
        _undoer(world).run(KMS, *repaired)
    assert _rotates(repaired[0])


@pytest.mark.parametrize("parameters", [{}, {"period_days": 365, "dropped": True}])
def test_repair_from_before_a_parameter_came_or_went_is_undone(
    world: World, repaired: tuple[str, str], parameters: dict[str, Any]
) -> None:
    """If this fails, an update that gives a control a parameter takes away the way back for all its earlier repairs."""
    _replace(world, parameters=parameters)
    assert _undoer(world).run(KMS, *repaired).outcome == "UNDONE"
    assert not _rotates(repaired[0])


def test_record_that_was_changed_breaks_its_chain(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, an undo trusts a record that is not what was written."""
    client("dynamodb").put_item(TableName=AUDIT, Item=wire({**world.records()[-1], "reason": "x"}))
    with pytest.raises(BrokenChainError):
        _undoer(world).preview(KMS, *repaired)


def test_failure_hidden_in_a_success_stops_the_undo(world: World) -> None:
    """If this fails, tags that could not be taken off are reported as taken off."""
    tags = all_controls()["tagging-required-tags"]
    arn = factories.topic()
    given = {"required": ["Project"], "values": {"Project": "shop"}}
    document = {"schema_version": 1, "controls": {tags.id: {"parameters": given}}}
    result = world.run(tags, request(tags.id, arn), document=document)
    failure = {"StatusCode": 400, "ErrorCode": "InvalidParameterException", "ErrorMessage": "no"}
    world.wire.answer("resourcegroupstaggingapi", "UntagResources", {"FailedResourcesMap": {arn: failure}})
    done = _undoer(world).run(tags, arn, result.record_id)
    assert (done.outcome, world.state(tags.id, arn).held(world.now)) == ("FAILED", "")
    assert "no; the resource is not held" in world.records()[-1]["detail"]


def test_person_sees_then_undoes(world: World, sts: str, repaired: tuple[str, str]) -> None:
    """If this fails, the undo function does not do what the operator's command asks."""
    arn, record_id = repaired
    wish = {"resource": arn, "record": record_id}
    world.wire.clear()
    look = handler(wish, Context())
    assert (look["outcome"], look["drifted"], world.wire.changes()) == ("WOULD_UNDO", False, [])
    assert look["calls"][0].startswith("aws kms disable-key-rotation --key-id ")
    done = handler(signed(sts, {**wish, "dry_run": False}), Context())
    assert (done["outcome"], _rotates(arn)) == ("UNDONE", False)
    assert Sts.assumed == ["arn:aws:iam::123456789012:role/evenkeel/evenkeel-test-eu-west-1-kms-undo"]
    assert world.records()[-1]["actor"]["principal"] == CALLER


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ([], "MalformedPayloadError: send"),
        ({"resource": "x"}, "MalformedPayloadError: send"),
        ({"resource": 5, "record": "r"}, "MalformedPayloadError: resource: write a str"),
        ({"resource": "", "record": "r"}, "MalformedPayloadError: resource: write a str"),
        ({"resource": "x", "record": "r", "dryrun": True}, "MalformedPayloadError: dryrun: known:"),
        ({"resource": "x", "record": "r", "dry_run": 0}, "MalformedPayloadError: dry_run: write a bool"),
        ({"resource": "x", "record": "r"}, "UndoRefusedError: x: no record r of a known control"),
    ],
)
def test_mistakes_are_told(world: World, wish: Any, told: str) -> None:
    """If this fails, a typo in an undo is a stack trace, or undoes something."""
    error = handler(wish, Context())["error"]
    assert f"{error['kind']}: {error['message']}".startswith(told)


def test_undo_without_proof_is_refused(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, whoever may invoke the function undoes under nobody's name."""
    wish = {"resource": repaired[0], "record": repaired[1], "dry_run": False}
    assert handler(wish, Context())["error"]["kind"] == "UnprovedCallerError"
    assert _rotates(repaired[0])


def test_denied_read_of_a_held_resource_is_silent_and_does_not_use_up_the_days_alert(
    world: World, repaired: tuple[str, str]
) -> None:
    """If this fails, a held resource is announced, or it keeps people from hearing of the day's first real denial."""
    _undoer(world).run(KMS, *repaired)
    message = "not authorized because no resource-based policy allows the kms:GetKeyRotationStatus action"
    world.wire.fail("kms", "GetKeyRotationStatus", "AccessDeniedException", message, times=2)
    assert world.run(CONTROL, request(CONTROL, repaired[0])).outcome == "SKIPPED"
    assert world.run(CONTROL, request(CONTROL, factories.key())).outcome == "DENIED"
    assert world.records()[-1]["announce"]


def test_undo_for_a_group_that_is_not_enabled_says_what_to_do(
    world: World, sts: str, repaired: tuple[str, str]
) -> None:
    """If this fails, whoever removed a group from the stack reads AWS's raw refusal to assume a role."""
    Sts.assumable = False
    for each in (_own, _as_group):
        each.cache_clear()
    for dry_run in (True, False):
        payload = {"resource": repaired[0], "record": repaired[1], "dry_run": dry_run}
        error = handler(signed(sts, payload), Context())["error"]
        assert error["kind"] == "GroupNotEnabledError"
        assert error["message"].endswith("add kms to EnabledGroups and deploy, or undo it by hand")
    for each in (_own, _as_group):
        each.cache_clear()
    assert _rotates(repaired[0])


def test_resource_out_of_scope_is_not_undone(
    world: World, repaired: tuple[str, str], variables: pytest.MonkeyPatch
) -> None:
    """If this fails, undo changes what the stack may not change."""
    variables.setenv("EVENKEEL_SCOPE", "arn:aws:logs:*")
    assert (
        "out of the stack's scope"
        in handler({"resource": repaired[0], "record": repaired[1]}, Context())["error"]["message"]
    )


def test_refused_undo_call_fails_and_leaves_no_hold(world: World, repaired: tuple[str, str]) -> None:
    """If this fails, an undo that AWS refused is called done, or keeps the resource from being watched."""
    world.wire.fail("kms", "DisableKeyRotation", "AccessDeniedException", "explicit deny")
    done = _undoer(world).run(KMS, *repaired)
    assert (done.outcome, world.state(CONTROL, repaired[0]).held(world.now)) == ("FAILED", "")
    assert world.chains() == 1
    client("kms").disable_key_rotation(KeyId=repaired[0])
    assert world.run(CONTROL, request(CONTROL, repaired[0])).outcome == "REMEDIATED"


def test_undo_waits_for_a_worker_and_closes_what_one_left(world: World) -> None:
    """If this fails, undo changes a resource beside a worker, or leaves that worker's plan open for ever."""
    arn = factories.key()
    done = world.run(CONTROL, request(CONTROL, arn, creates=True))
    client("kms").disable_key_rotation(KeyId=arn)
    world.wire.crash("kms", "EnableKeyRotation")
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, arn))
    with pytest.raises(LeaseHeldError, match="try again"):
        _undoer(world).run(KMS, arn, done.record_id, force=True)
    world.now += timedelta(minutes=2)
    assert _undoer(world).run(KMS, arn, done.record_id, force=True).outcome == "UNDONE"
    assert world.outcomes() == ["PLANNED", "REMEDIATED", "PLANNED", "FAILED", "PLANNED", "UNDONE"]
    assert world.chains() == 1


def test_release_of_an_undo_that_was_cut_short_closes_it(world: World, repaired: tuple[str, str], people: None) -> None:
    """If this fails, an undo whose worker died holds the resource for a month, or is told as a repair."""
    arn, _ = repaired
    world.wire.crash("kms", "DisableKeyRotation")
    with pytest.raises(Crash):
        _undoer(world).run(KMS, *repaired)
    world.now += timedelta(minutes=2)
    with pytest.raises(ApprovalRefusedError, match="no held request"):
        world.decide({"drop": CONTROL, "resource": arn, "because": "x"}, CALLER)
    [result] = world.decide({"release": CONTROL, "resource": arn}, CALLER)
    item = world.state(CONTROL, arn)
    assert (result.outcome, item.plan, item.held(world.now)) == ("COMPLIANT", "", "")
    assert world.outcomes() == ["PLANNED", "REMEDIATED", "PLANNED", "FAILED"]
    assert world.chains() == 1
