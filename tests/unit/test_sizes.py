"""How large things may be: nothing is changed that the audit table does not take whole, and all else is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit import records
from evenkeel.control.registry import all_controls
from evenkeel.errors import ApprovalRefusedError, UndoRefusedError
from evenkeel.model import Call, Cause, Change, Mode, NonCompliant, Outcome, Request, Resource
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.dynamodb import wire
from tests import factories
from tests.factories.ec2 import security_group
from tests.tables import AUDIT
from tests.world import ACCOUNT, REGION, client, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.world import World

CONTROL, INGRESS = "kms-key-rotation", "ec2-security-group-open-ingress"
KMS = all_controls()[CONTROL]
BOB = f"arn:aws:iam::{ACCOUNT}:user/bob"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
APPROVE = {"schema_version": 1, "controls": {CONTROL: {"mode": "approve"}}}
FULL = {"x": "a" * (records.MAX_STATE_BYTES - 9)}


def _of(letters: int, letter: str = "é") -> tuple[Call, ...]:
    return (Call("kms", "enable_key_rotation", {"KeyId": letter * letters}),)


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what makes the control's resources as large as is asked for, in one part or another."""
    read, judge = type(KMS).read, type(KMS).judge

    def grow(state: int = 0, calls: int = 0, undo: int = 0, words: int = 0) -> None:
        def judged(self: Any, state: Any, context: Any) -> Any:
            found = judge(self, {name: value for name, value in state.items() if name != "more"}, context)
            if not isinstance(found, NonCompliant) or not found.change:
                return found
            change = Change(found.change.calls + _of(calls) * bool(calls), found.change.undo + _of(undo) * bool(undo))
            return NonCompliant(found.reason + "é" * words, change, remains="é" * words)

        monkeypatch.setattr(type(KMS), "read", lambda *given: {**read(*given), "more": "é" * state})
        monkeypatch.setattr(type(KMS), "judge", judged)

    return grow


@pytest.fixture
def older() -> Iterator[Callable[[], None]]:
    """Write records as they once were: a large state is cut, and changed all the same; yield what ends that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "MAX_STATE_BYTES", len('{"period_days": 365}'))
        patch.setattr(records, "too_large", lambda _: "")
        yield patch.undo


@pytest.mark.parametrize("mode", ["enforce", "approve", "notify"])
@pytest.mark.parametrize("parts", [{"state": 90_000}, {"calls": 110_000}, {"undo": 110_000}, {"undo": 500_000}])
def test_what_cannot_be_recorded_whole_is_told_and_not_changed(
    world: World, grown: Callable[..., None], parts: dict[str, int], mode: str
) -> None:
    """If this fails, something is changed that nobody can take back, or a resource keeps Evenkeel off by its size."""
    arn = factories.key()
    grown(**parts)
    document = {"schema_version": 1, "controls": {CONTROL: {"mode": mode}}}
    result = world.run(CONTROL, request(CONTROL, arn), document=document)
    assert (result.outcome, result.calls) == ("ANNOUNCED", ())
    assert not [name for name in world.wire.changes() if name.startswith("kms:")]
    [record] = world.records()
    assert (record["calls"], record["undo"], record["residue"], record["announce"]) == ([], [], "", True)
    assert "too large to be recorded in full, so Evenkeel does not change it; change it by hand" in record["detail"]
    assert f"calls left out: {1 + ('calls' in parts)} (SHA-256 " in record["detail"]
    assert world.run(CONTROL, request(CONTROL, arn), document=document).outcome == "SKIPPED"
    assert world.chains() == 1


def test_dry_run_tells_what_is_too_large(world: World, grown: Callable[..., None]) -> None:
    """If this fails, a dry run promises a change that is never made."""
    grown(undo=110_000)
    result = world.run(CONTROL, request(CONTROL, factories.key(), dry_run=True))
    assert (result.outcome, "too large" in result.reason, result.calls) == ("WOULD_ANNOUNCE", True, ())


def test_words_are_cut_and_nothing_else(world: World, grown: Callable[..., None]) -> None:
    """If this fails, a long reason makes a record too large for the table, or stops a change."""
    grown(words=500_000)
    assert world.run(CONTROL, request(CONTROL, factories.key())).outcome == "REMEDIATED"
    for record in world.records():
        assert all(record[name].endswith("é… (cut)") for name in ("reason", "remains"))
    assert world.chains() == 1


def test_change_of_the_largest_size_is_recorded_to_the_end(world: World) -> None:
    """If this fails, a change is made whose outcome, or whose undo's outcome, the table does not take."""

    def found(letters: int) -> records.Record:
        wish = Request(CONTROL, Resource(factories.key(), ACCOUNT, REGION), Cause("cloudtrail"))
        change = Change(_of(letters, "a"), _of(letters, "a"))
        return records.finding_record(
            KMS, wish, now=NOW, mode=Mode.ENFORCE, settings_version="x", parameters={}, reason="r" * 9999,
            before={"x": 1}, change=change, remains="r" * 9999, retention_days=400,
        )  # fmt: skip

    spare = records.MAX_CHANGE_BYTES - records._size(found(0))
    assert (records.too_large(found(spare // 2 - 200)), records.too_large(found(spare // 2 + 200)) != "") == ("", True)
    plan = records.planned(found(spare // 2 - 200), NOW)
    ended = records.ended(plan, Outcome.PARTIAL, now=NOW, detail="d" * 9999, after=FULL)
    back = records.ended({**ended, "before": FULL}, Outcome.FAILED, now=NOW, detail="d" * 9999, after=FULL)
    for record in (plan, ended, back):
        client("dynamodb").put_item(TableName=AUDIT, Item=wire(records.seal(record, "x" * 64)))
    assert records.is_whole(world.records()[-1])


def test_security_group_of_the_default_quota_is_never_too_large(world: World) -> None:
    """If this fails, whoever fills a group with open rules, long descriptions and tags keeps Evenkeel off."""
    rule = {"IsEgress": False, "IpProtocol": "tcp", "ToPort": 65535, "GroupOwnerId": ACCOUNT, "Description": "d" * 255}
    # The shortest tags take the most room in a call beside what they take in a state, where all rules differ in them.
    page = [
        {**rule, "SecurityGroupRuleId": f"sgr-{number:017x}", "FromPort": number, "Tags": _short(number), **cidr}
        for cidr in ({"CidrIpv4": "128.0.0.0/1"}, {"CidrIpv6": "8000::/1"})
        for number in range(2, 62)
    ]
    world.wire.answer("ec2", "DescribeSecurityGroupRules", {"SecurityGroupRules": page})
    document = {"schema_version": 1, "controls": {INGRESS: {"mode": "enforce", "parameters": {"ports": [6000]}}}}
    result = world.run(INGRESS, request(INGRESS, security_group(), dry_run=True), document=document)
    assert result.outcome == "WOULD_APPLY"
    assert len(result.calls[0].params["SecurityGroupRuleIds"]) == 120


def _short(number: int) -> list[dict[str, str]]:
    return [{"Key": f"{number:02d}{each:02d}", "Value": ""} for each in range(50)]


def test_parameters_beyond_measure_stop_the_change_and_no_more(world: World) -> None:
    """If this fails, a careless setting makes every record of its control too large for the table."""
    control = all_controls()["tagging-required-tags"]
    values = {"Owner": "shop", **{f"k{number}": "v" * 200 for number in range(2000)}}
    document = {"schema_version": 1, "controls": {control.id: {"parameters": {"values": values}}}}
    result = world.run(control, request(control.id, factories.key()), document=document)
    assert result.outcome == "ANNOUNCED"
    assert world.records()[0]["parameters"]["truncated"]


@pytest.mark.usefixtures("people")
def test_approval_of_what_was_cut_is_refused(world: World, older: Callable[[], None]) -> None:
    """If this fails, approving a record of a large resource crashes, or changes what nobody can compare."""
    arn = factories.key()
    kept = world.run(CONTROL, request(CONTROL, arn), document=APPROVE)
    older()
    with pytest.raises(ApprovalRefusedError, match="too large to be stored in full; reject it"):
        world.decide({"approve": kept.record_id, "resource": arn}, BOB, document=APPROVE)


@pytest.mark.usefixtures("people")
def test_approval_of_what_grew_is_refused(world: World, grown: Callable[..., None]) -> None:
    """If this fails, what grew too large while it waited is changed by an approval."""
    arn = factories.key()
    kept = world.run(CONTROL, request(CONTROL, arn), document=APPROVE)
    grown(state=90_000)
    with pytest.raises(ApprovalRefusedError, match="too large to be recorded in full"):
        world.decide({"approve": kept.record_id, "resource": arn}, BOB, document=APPROVE)


def test_undo_of_what_was_cut_is_refused(world: World, older: Callable[[], None]) -> None:
    """If this fails, taking back a record of a large resource crashes, or weakens what nobody can compare."""
    arn = factories.key()
    done = world.run(CONTROL, request(CONTROL, arn))
    older()
    undoer = Undoer(Aws(client), world.ledger("undo-1"), BOB, 400, world.clock, world.sleep)
    with pytest.raises(UndoRefusedError, match="too large to be stored in full; undo it by hand"):
        undoer.preview(KMS, arn, done.record_id)
