"""What a hold is about: the finding that it was placed for is left alone, and no other hides behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.audit.state_item import HoldKind, StateItem
from evenkeel.control.registry import all_controls
from evenkeel.model import Cause
from evenkeel.remediation import decide, holds
from evenkeel.remediation.fingerprint import announced_recently
from evenkeel.remediation.holds import HoldEffect
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from tests.factories.ec2 import authorize, permission, rules, security_group
from tests.factories.rds import instance
from tests.factories.s3 import open_bucket
from tests.tables import STATE
from tests.unit.deciding import ALICE, BOB, CAROL
from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

INGRESS, RDS, BLOCK = "ec2-security-group-open-ingress", "rds-public-access", "s3-bucket-public-access-block"
ANY = "0.0.0.0/0"
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ENFORCE: dict[str, Any] = {"schema_version": 1, "controls": {name: {"mode": "enforce"} for name in (INGRESS, RDS)}}
_ids = count()
pytestmark = pytest.mark.usefixtures("people")


@pytest.fixture(autouse=True)
def _enforced(world: World) -> Any:
    world.document = ENFORCE
    yield
    world.chains()


def _item(kind: str, findings: tuple[str, ...] | None, **more: Any) -> StateItem:
    until = int((NOW + timedelta(hours=1)).timestamp())
    return StateItem(hold_until=until, hold_kind=kind, hold_findings=findings, hold_at=int(NOW.timestamp()), **more)


def _bearing(item: StateItem, control: str = "kms-key-rotation", *, found: str = "f", **fields: Any) -> HoldEffect:
    wish = request(control, "arn:aws:kms:eu-west-1:123456789012:key/1", **fields)
    record = {"fingerprint": found, "before": {}, "severity": all_controls()[control].severity}
    return holds.hold_effect(item, record, all_controls()[control], wish, NOW + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("kind", "same", "other"),
    [
        (HoldKind.PERSON, HoldEffect.HELD, HoldEffect.OTHER),
        (HoldKind.APPROVAL, HoldEffect.HELD, HoldEffect.NONE),
        (HoldKind.FREEZE, HoldEffect.HELD, HoldEffect.NONE),
        (HoldKind.TUG_OF_WAR, HoldEffect.HELD, HoldEffect.NONE),
        (HoldKind.BLAST_RADIUS, HoldEffect.COUNTED, HoldEffect.NONE),
    ],
)
def test_hold_is_about_its_findings_only(kind: HoldKind, same: HoldEffect, other: HoldEffect) -> None:
    """If this fails, a hold hides a finding that it was not placed for, or does not hold the one that it was."""
    item = _item(kind, ("f", "g"))
    assert (_bearing(item), _bearing(item, found="g"), _bearing(item, found="h")) == (same, same, other)
    assert _bearing(_item(kind, ())) is other
    assert _bearing(StateItem()) is HoldEffect.NONE


def test_hold_of_an_earlier_version_is_obeyed_and_hides_nothing_critical() -> None:
    """If this fails, an update of the stack has undone resources repaired, or leaves a critical finding unsaid."""
    old = _item("", None)
    assert _bearing(old) is HoldEffect.HELD
    assert _bearing(old, "cloudtrail-logging") is HoldEffect.OTHER


@pytest.mark.parametrize(("minutes", "bearing"), [(-5, HoldEffect.HELD), (5, HoldEffect.OTHER)])
def test_weakening_after_a_person_decided_is_not_what_they_decided(minutes: int, bearing: HoldEffect) -> None:
    """If this fails, what somebody weakens under a person's hold is silent, or the event that led to it is repeated."""
    when = (NOW + timedelta(minutes=minutes)).isoformat()
    cause = Cause("cloudtrail", "event", "DisableKeyRotation", when)
    assert _bearing(_item(HoldKind.PERSON, ("f",)), cause=cause, weakens=True) is bearing
    assert _bearing(_item(HoldKind.TUG_OF_WAR, ("f",)), cause=cause, weakens=True) is HoldEffect.HELD


@given(
    st.lists(st.sampled_from("abcd"), max_size=12),
    st.sampled_from("abcd"),
)
def test_tug_of_war_is_three_rounds_of_one_finding_or_ten_of_any(found: list[str], this: str) -> None:
    """If this fails, three different findings hold a resource, or a resource is repaired without end."""
    rounds = [{"at": number, "fingerprint": each} for number, each in enumerate(found)]
    tug = decide.tug_of_war(rounds, this)
    assert bool(tug) is (found.count(this) >= 3 or len(found) >= 10)
    assert all(each in rounds for each in tug)


def test_rounds_of_an_earlier_version_count_for_every_finding() -> None:
    """If this fails, an update of the stack in the middle of a tug of war gives it three rounds more."""
    assert len(decide.tug_of_war([{"at": 1}, {"at": 2}, {"at": 3, "fingerprint": "f"}], "f")) == 3


@given(
    st.integers(min_value=0, max_value=200_000),
    st.booleans(),
    st.integers(min_value=-200_000, max_value=200_000),
    st.booleans(),
    st.booleans(),
)
def test_silence_needs_the_same_finding_within_a_day_and_nothing_new(
    age: int, same: bool, event_age: int, weakens: bool, known_event: bool
) -> None:
    """If this fails, people are not told of a finding that is new, or are told twice of one that is not."""
    item = StateItem(announced="f", announced_at=int(NOW.timestamp()) - age, announced_event="e")
    when = (NOW - timedelta(seconds=event_age)).isoformat()
    cause = Cause("cloudtrail", "e" if known_event else "other", "Call", when)
    wish = request("kms-key-rotation", "arn", cause=cause, weakens=weakens)
    record = {"fingerprint": "f" if same else "g", "before": {}}
    silent = announced_recently(item, record, wish, NOW, state_has_ids=False)
    recurred = weakens and not known_event and event_age <= age
    assert silent is (same and age < 86_400 and not recurred)


def _look(world: World, control: str, arn: str, **fields: Any) -> str:
    world.now += timedelta(seconds=1)
    cause = Cause("cloudtrail", f"event-{next(_ids)}", "Call", world.now.isoformat())
    return str(world.run(control, request(control, arn, cause=cause, **fields)).outcome)


def _opened(world: World, arn: str, *permissions: dict[str, Any]) -> str:
    authorize(arn, *permissions)
    return _look(world, INGRESS, arn, weakens=True)


def test_tug_of_war_over_one_rule_does_not_cover_another(world: World) -> None:
    """If this fails, whoever opens a port three times may then open all ports for a day, unseen and unrepaired."""
    arn = security_group()
    rounds = [_opened(world, arn, permission(ANY)) for _ in range(4)]
    assert rounds == ["REMEDIATED"] * 3 + ["HELD"]
    assert _look(world, INGRESS, arn, weakens=True) == "SKIPPED"
    assert _opened(world, arn, permission(ANY, -1, -1, protocol="-1")) == "REMEDIATED"
    assert rules(arn) == []


def test_different_rules_are_each_revoked(world: World) -> None:
    """If this fails, three different rules that were let in by mistake make the fourth one stay."""
    arn = security_group()
    sources = ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "0.0.0.0/2", "64.0.0.0/2")
    assert [_opened(world, arn, permission(source)) for source in sources] == ["REMEDIATED"] * 5


def test_ten_repairs_of_one_resource_in_a_day_are_enough(world: World) -> None:
    """If this fails, somebody who opens another port each time has Evenkeel at work without end."""
    arn = security_group()
    ports = [_opened(world, arn, permission(ANY, 22 - number, 22 + number)) for number in range(12)]
    assert ports == ["REMEDIATED"] * 10 + ["HELD"] * 2
    held = [record for record in world.records() if record.get("outcome") == "HELD"]
    assert all((record["severity"], record["announce"]) == ("CRITICAL", True) for record in held)
    assert "repaired 10 times within a day" in held[0]["detail"]
    assert _look(world, INGRESS, arn) == "SKIPPED"


def _undone(world: World, control: str, arn: str) -> None:
    """Have bob take back the repair of a resource."""
    repaired = world.run(control, request(control, arn))
    assert repaired.outcome == "REMEDIATED"
    undoer = Undoer(Aws(client), world.ledger("undo"), BOB, 400, world.clock, world.sleep)
    assert undoer.run(all_controls()[control], arn, repaired.record_id).outcome == "UNDONE"


def test_what_is_new_under_a_persons_hold_is_announced_once_and_not_changed(world: World) -> None:
    """If this fails, a bucket that somebody undid may be laid open for 30 days unseen, or the undo is overruled."""
    arn = open_bucket()
    _undone(world, BLOCK, arn)
    assert _look(world, BLOCK, arn) == "SKIPPED"
    policy_text = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", '
        f'"Action": "s3:GetObject", "Resource": "{arn}/*"}}]}}'
    )
    client("s3").put_bucket_policy(Bucket="orders-open", Policy=policy_text)
    assert _look(world, BLOCK, arn) == "ANNOUNCED"
    told = world.records()[-1]
    assert (told["announce"], "new since the resource was put on hold" in told["detail"]) == (True, True)
    world.now += timedelta(days=2)
    assert _look(world, BLOCK, arn) == "SKIPPED"
    assert world.state(BLOCK, arn).held(world.now)
    with pytest.raises(client("s3").exceptions.ClientError, match="NoSuchPublicAccessBlockConfiguration"):
        client("s3").get_public_access_block(Bucket="orders-open")


def test_critical_finding_under_a_persons_hold_is_news_once_it_was_gone(world: World) -> None:
    """If this fails, a database that a person undid, and its owner then made private, is made public again unseen."""
    arn = instance(PubliclyAccessible=True)
    _undone(world, RDS, arn)
    outcomes = [_look(world, RDS, arn)]
    for public in (False, True, True):
        client("rds").modify_db_instance(DBInstanceIdentifier="orders", PubliclyAccessible=public)
        outcomes.append(_look(world, RDS, arn))
    assert outcomes == ["SKIPPED", "COMPLIANT", "ANNOUNCED", "SKIPPED"]
    assert client("rds").describe_db_instances()["DBInstances"][0]["PubliclyAccessible"]


def test_release_still_repairs_what_was_announced_under_the_hold(world: World) -> None:
    """If this fails, the command that an undo names to repair again does nothing once something new was announced."""
    arn = security_group(permission(ANY))
    _undone(world, INGRESS, arn)
    assert _opened(world, arn, permission(ANY, 3389)) == "ANNOUNCED"
    [result] = world.decide({"release": INGRESS, "resource": arn}, CAROL)
    assert (result.outcome, rules(arn)) == ("REMEDIATED", [])


def test_another_finding_takes_the_place_of_a_plan_that_waits(world: World) -> None:
    """If this fails, a plan that waits for approval hides a wider hole, or is approved for what nobody looked at."""
    world.document = {"schema_version": 1, "controls": {INGRESS: {"mode": "approve"}}}
    arn = security_group(permission(ANY))
    first = world.run(INGRESS, request(INGRESS, arn))
    assert (first.outcome, _look(world, INGRESS, arn)) == ("AWAITING", "SKIPPED")
    assert _opened(world, arn, permission(ANY, 3389)) == "AWAITING"
    second = world.records()[-1]
    with pytest.raises(Exception, match="was decided already, or has expired"):
        world.decide({"approve": first.record_id, "resource": arn}, ALICE)
    [result] = world.decide({"approve": second["record_id"], "resource": arn}, ALICE)
    assert (result.outcome, rules(arn)) == ("REMEDIATED", [])


def test_rejection_holds_what_was_rejected_and_nothing_else(world: World) -> None:
    """If this fails, a rejected change is asked for again, or a wider hole stays unsaid for 30 days."""
    world.document = {"schema_version": 1, "controls": {INGRESS: {"mode": "approve"}}}
    arn = security_group(permission(ANY))
    waits = world.run(INGRESS, request(INGRESS, arn))
    world.decide({"reject": waits.record_id, "resource": arn, "because": "a bastion"}, BOB)
    assert _look(world, INGRESS, arn) == "SKIPPED"
    assert _opened(world, arn, permission(ANY, 3389)) == "ANNOUNCED"
    assert len(rules(arn)) == 2


def test_critical_finding_held_by_a_full_blast_radius_is_announced(world: World) -> None:
    """If this fails, the second public database beyond the blast radius is held without a word."""
    world.now = world.now.replace(minute=0, second=0)
    radius = {"mode": "enforce", "blast_radius": {"limit": 1, "window_seconds": 3600}}
    world.document = {"schema_version": 1, "controls": {RDS: radius}}
    arns = [instance(f"orders-{number}", PubliclyAccessible=True) for number in range(3)]
    assert [_look(world, RDS, arn) for arn in arns] == ["REMEDIATED", "HELD", "HELD"]
    assert [record["announce"] for record in world.records() if record.get("outcome") == "HELD"] == [True, True]


def test_new_resource_of_a_held_name_is_not_the_one_that_was_held(world: World) -> None:
    """If this fails, a database that is made public under the name of one that a person undid stays unsaid 30 days."""
    arn = instance(PubliclyAccessible=True)
    _undone(world, RDS, arn)
    outcomes = [_look(world, RDS, arn)]
    client("rds").delete_db_instance(DBInstanceIdentifier="orders", SkipFinalSnapshot=True)
    outcomes.append(_look(world, RDS, arn))
    instance(PubliclyAccessible=True)
    outcomes += [_look(world, RDS, arn, creates=True), _look(world, RDS, arn)]
    assert outcomes == ["SKIPPED", "GONE", "ANNOUNCED", "SKIPPED"]
    assert world.records()[-1]["announce"]


@pytest.mark.parametrize("kind", [HoldKind.APPROVAL, HoldKind.FREEZE, HoldKind.TUG_OF_WAR, HoldKind.BLAST_RADIUS])
def test_critical_finding_of_a_new_resource_is_decided_about_anew(kind: HoldKind) -> None:
    """If this fails, a hold hides a critical finding of a new resource, or what comes and goes rings each time."""
    later = Cause("cloudtrail", "event", "CreateKey", (NOW + timedelta(minutes=1)).isoformat())
    before = Cause("cloudtrail", "event", "CreateKey", (NOW - timedelta(minutes=1)).isoformat())
    item = _item(kind, ("f",))
    assert _bearing(item, RDS, cause=later, creates=True) is HoldEffect.NONE
    assert _bearing(item, RDS, cause=before, creates=True) is not HoldEffect.NONE
    assert _bearing(item, cause=later, creates=True) is not HoldEffect.NONE


def test_what_an_undo_put_back_is_not_new_because_its_rules_have_new_ids(world: World) -> None:
    """If this fails, the first harmless rule after an undo is announced as a hole that nobody has decided about."""
    arn = security_group(permission(ANY))
    _undone(world, INGRESS, arn)
    assert _opened(world, arn, permission("10.0.0.0/8", 443)) == "SKIPPED"
    assert _opened(world, arn, permission(ANY, 3389)) == "ANNOUNCED"


def test_critical_finding_that_meets_a_hold_placed_just_now_is_announced(world: World) -> None:
    """If this fails, a public database is silent where a person decides about the resource in the same moment."""
    world.now = world.now.replace(minute=0, second=0)
    radius = {"mode": "enforce", "blast_radius": {"limit": 1, "window_seconds": 3600}}
    world.document = {"schema_version": 1, "controls": {RDS: radius}}
    arns = [instance(f"orders-{number}", PubliclyAccessible=True) for number in range(2)]
    assert _look(world, RDS, arns[0]) == "REMEDIATED"

    def meanwhile(_: object) -> None:
        world.wire._plans.clear()
        until = int((world.now + timedelta(days=30)).timestamp())
        client("dynamodb").update_item(
            TableName=STATE,
            Key={"pk": {"S": f"{RDS}#{arns[1]}"}},
            UpdateExpression="SET hold_until = :until, hold_kind = :kind, hold_findings = :others",
            ExpressionAttributeValues={":until": {"N": str(until)}, ":kind": {"S": "person"}, ":others": {"L": []}},
        )

    world.wire.when("dynamodb", "UpdateItem", meanwhile)
    assert _look(world, RDS, arns[1]) == "ANNOUNCED"
    assert world.state(RDS, arns[1]).hold_kind == HoldKind.PERSON
