"""An undo that stops half way is held, says how far it came, and can be completed; it waits for a busy AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError

from evenkeel.control.registry import all_controls
from evenkeel.errors import UndoRefusedError
from evenkeel.remediation.undo import CALL_PAUSES, Undoer
from evenkeel.runtime.aws import Aws
from tests import factories
from tests.cases.ec2_security_group_open_ingress import ANY, ANY_6
from tests.factories.ec2 import authorize, permission, rules, security_group
from tests.sts import CALLER
from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

INGRESS, ROTATION = (all_controls()[name] for name in ("ec2-security-group-open-ingress", "kms-key-rotation"))
TLS = all_controls()["s3-tls-only-policy"]
AUTHORIZE = "AuthorizeSecurityGroupIngress"
BUSY = "RequestLimitExceeded"
ENFORCE = {"schema_version": 1, "controls": {each.id: {"mode": "enforce"} for each in (INGRESS, TLS)}}


def _undoer(world: World) -> Undoer:
    return Undoer(Aws(client), world.ledger("undo-1"), CALLER, 400, world.clock, world.sleep)


def _content(arn: str) -> list[str]:
    return sorted(str({name: rule[name] for name in rule if name != "SecurityGroupRuleId"}) for rule in rules(arn))


def _unanswered(_: dict[str, Any]) -> None:
    raise ReadTimeoutError(endpoint_url="https://127.0.0.1/")


@pytest.fixture
def closed(world: World) -> tuple[str, str, list[str]]:
    """Return a repaired group with open rules of two sets of tags, its repair's record, and its rules before."""
    arn = security_group(permission(ANY))
    authorize(arn, permission(ANY_6), team="shop")
    before = _content(arn)
    done = world.run(INGRESS, request(INGRESS.id, arn), document=ENFORCE)
    assert (done.outcome, rules(arn)) == ("REMEDIATED", [])
    world.wire.clear()
    return arn, done.record_id, before


@pytest.fixture
def rotated(world: World) -> tuple[str, str]:
    """Return a repaired key and the record of its repair."""
    arn = factories.key()
    return arn, world.run(ROTATION, request(ROTATION.id, arn, creates=True)).record_id


def test_undo_that_stops_half_way_is_held_and_says_how_far_it_came(
    world: World, closed: tuple[str, str, list[str]]
) -> None:
    """If this fails, an open port is told as "not held", and nothing closes it since undo's own calls wake nobody."""
    arn, record_id, _ = closed
    world.wire.fail("ec2", AUTHORIZE, "RulesPerSecurityGroupLimitExceeded", skip=1)
    assert _undoer(world).run(INGRESS, arn, record_id).outcome == "FAILED"
    assert len(rules(arn)) == 1
    item, ended = world.state(INGRESS.id, arn), world.records()[-1]
    assert bool(item.held(world.now))
    assert (item.plan, item.lease_owner, item.hold_record) == ("", "", ended["record_id"])
    assert item.hold_kind == "undo"
    assert "1 of 2 calls succeeded; then ec2:authorize_security_group_ingress failed: " in ended["detail"]
    assert "RulesPerSecurityGroupLimitExceeded" in ended["detail"]
    assert "the resource is held: undo again with force, or release it" in ended["detail"]


def test_undo_that_stopped_half_way_is_completed_with_force(world: World, closed: tuple[str, str, list[str]]) -> None:
    """If this fails, a half undo can never be completed: the rules that are there already are refused each time."""
    arn, record_id, before = closed
    world.wire.fail("ec2", AUTHORIZE, "RulesPerSecurityGroupLimitExceeded", skip=1)
    _undoer(world).run(INGRESS, arn, record_id)
    with pytest.raises(UndoRefusedError, match="then undo with force"):
        _undoer(world).run(INGRESS, arn, record_id)
    assert _undoer(world).run(INGRESS, arn, record_id, force=True).outcome == "UNDONE"
    assert _content(arn) == before
    assert bool(world.state(INGRESS.id, arn).held(world.now))
    with pytest.raises(UndoRefusedError, match="undone already"):
        _undoer(world).run(INGRESS, arn, record_id, force=True)
    assert world.chains() == 1


def test_undo_that_stopped_half_way_is_repaired_on_release(
    world: World, closed: tuple[str, str, list[str]], people: None
) -> None:
    """If this fails, who does not want to complete an undo cannot have the resource mended for a month."""
    arn, record_id, _ = closed
    world.wire.fail("ec2", AUTHORIZE, "RulesPerSecurityGroupLimitExceeded", skip=1)
    _undoer(world).run(INGRESS, arn, record_id)
    # Half of what was undone is neither what the person wanted nor what Evenkeel left: it is announced once.
    outcomes = [world.run(INGRESS, request(INGRESS.id, arn), document=ENFORCE).outcome for _ in range(2)]
    assert outcomes == ["ANNOUNCED", "SKIPPED"]
    [released] = world.decide({"release": INGRESS.id, "resource": arn}, CALLER, document=ENFORCE)
    assert (released.outcome, rules(arn)) == ("REMEDIATED", [])
    assert world.chains() == 1


def test_undo_waits_for_a_busy_aws(world: World, closed: tuple[str, str, list[str]]) -> None:
    """If this fails, one throttled call leaves a change half taken back."""
    arn, record_id, before = closed
    pauses: list[float] = []
    world.wire.fail("ec2", AUTHORIZE, BUSY, status=503, times=2, skip=1)
    undoer = Undoer(Aws(client), world.ledger("undo-1"), CALLER, 400, world.clock, pauses.append)
    assert undoer.run(INGRESS, arn, record_id).outcome == "UNDONE"
    assert (_content(arn), pauses) == (before, list(CALL_PAUSES[:2]))


def test_undo_waits_for_what_the_control_calls_busy(
    world: World, rotated: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, "not ready yet" in a control's own words ends its undo."""
    monkeypatch.setattr(type(ROTATION), "busy_codes", frozenset({"KeyBusy"}))
    world.wire.fail("kms", "DisableKeyRotation", "KeyBusy")
    assert _undoer(world).run(ROTATION, *rotated).outcome == "UNDONE"


def test_busy_aws_is_given_up_in_time_and_nothing_is_held(world: World, closed: tuple[str, str, list[str]]) -> None:
    """If this fails, undo uses up its function's minute, or holds a resource that it did not touch."""
    arn, record_id, _ = closed
    world.wire.fail("ec2", AUTHORIZE, BUSY, status=503, times=99)
    assert _undoer(world).run(INGRESS, arn, record_id).outcome == "FAILED"
    assert len(world.wire.params(AUTHORIZE)) == 1 + len(CALL_PAUSES)
    assert "0 of 2 calls succeeded" in world.records()[-1]["detail"]
    assert (world.state(INGRESS.id, arn).held(world.now), rules(arn)) == ("", [])


def test_pauses_are_one_allowance_for_all_calls(world: World, closed: tuple[str, str, list[str]]) -> None:
    """If this fails, an undo of many calls outlasts its function, and leaves a plan open."""
    arn, record_id, _ = closed
    world.wire.fail("ec2", AUTHORIZE, BUSY, times=2)
    world.wire.fail("ec2", AUTHORIZE, BUSY, times=99, skip=1)
    assert _undoer(world).run(INGRESS, arn, record_id).outcome == "FAILED"
    assert len(world.wire.params(AUTHORIZE)) == 2 + len(CALL_PAUSES)
    assert "1 of 2 calls succeeded" in world.records()[-1]["detail"]


def test_call_that_got_no_answer_and_went_through_is_not_made_twice(
    world: World, closed: tuple[str, str, list[str]]
) -> None:
    """If this fails, a rule that came back although AWS's answer was lost makes the undo fail."""
    arn, record_id, before = closed

    def lost(params: dict[str, Any]) -> None:
        client("ec2").authorize_security_group_ingress(**params)
        _unanswered(params)

    world.wire.when("ec2", AUTHORIZE, lost)
    assert _undoer(world).run(INGRESS, arn, record_id).outcome == "UNDONE"
    assert _content(arn) == before


@pytest.mark.parametrize("then", ["silence", "refusal"])
def test_undo_that_may_have_gone_through_is_held(world: World, rotated: tuple[str, str], then: str) -> None:
    """If this fails, a key that no longer rotates is told as not held because AWS's answer was lost."""
    if then == "silence":
        world.wire.when("kms", "DisableKeyRotation", _unanswered, times=99)
    else:
        world.wire.fail("kms", "DisableKeyRotation", "KMSInternalException", status=500)
        world.wire.fail("kms", "DisableKeyRotation", "UnsupportedOperationException")
    assert _undoer(world).run(ROTATION, *rotated).outcome == "FAILED"
    assert "may or may not have succeeded" in world.records()[-1]["detail"]
    assert bool(world.state(ROTATION.id, rotated[0]).held(world.now))


def test_whole_document_is_not_sent_again_after_a_pause(world: World) -> None:
    """If this fails, a policy that its owner edits while AWS is busy is replaced by the one of long ago."""
    arn = factories.bucket()
    done = world.run(TLS, request(TLS.id, arn), document=ENFORCE)
    assert done.outcome == "REMEDIATED"
    world.wire.clear()
    world.wire.fail("s3", "DeleteBucketPolicy", "SlowDown", status=503)
    assert _undoer(world).run(TLS, arn, done.record_id).outcome == "FAILED"
    assert len(world.wire.params("DeleteBucketPolicy")) == 1
    assert world.state(TLS.id, arn).held(world.now) == ""
