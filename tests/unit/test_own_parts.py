"""The stack's own parts are never changed, whatever asks for it; who weakens one past CloudFormation is announced."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel import system_parts
from evenkeel.control.registry import all_controls
from evenkeel.errors import ApprovalRefusedError, MalformedPayloadError
from evenkeel.events.message import decode, encode
from evenkeel.lambda_handler import remediator
from evenkeel.model import Actor, Cause
from evenkeel.operators import on_demand
from evenkeel.remediation import own_parts
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from tests import factories
from tests.runs import opened
from tests.sts import signed
from tests.tables import STATE
from tests.unit.deciding import APPROVE, BOB, FROZEN, approve, rotates
from tests.world import ACCOUNT, PLACE, REGION, Context, client, cloudtrail, request, sqs_event

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"
RETENTION = "logs-group-retention"
PITR = "dynamodb-point-in-time-recovery"
TRACING = "lambda-xray-tracing"
GROUP = "/aws/lambda/evenkeel-test-kms"
CLOUDFORMATION = "cloudformation.amazonaws.com"
MALLORY = f"arn:aws:iam::{ACCOUNT}:user/mallory"
FINE: dict[str, Any] = {"batchItemFailures": []}
MODES = [
    {"schema_version": 1, "settle_seconds": 0, "controls": {CONTROL: {"mode": mode}}}
    for mode in ("notify", "approve", "enforce")
]
ROLE = {"type": "AssumedRole", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSCloudFormation/AWSCloudFormation"}
PEOPLE = {
    "a person": Actor(MALLORY, "IAMUser"),
    "root": Actor(f"arn:aws:iam::{ACCOUNT}:root", "Root", "root"),
    "a role named like CloudFormation": Actor(ROLE["arn"], ROLE["type"]),
    "a client that calls itself CloudFormation": Actor(
        MALLORY, "IAMUser", user_agent=CLOUDFORMATION, source_ip=CLOUDFORMATION
    ),
    "another service": Actor(MALLORY, invoked_by="autoscaling.amazonaws.com"),
    "nobody": Actor(),
}
DEPLOYER = Actor(BOB, "IAMUser", "bob", CLOUDFORMATION, CLOUDFORMATION, CLOUDFORMATION)
WRITES = {"dynamodb:PutItem", "dynamodb:TransactWriteItems", "dynamodb:UpdateItem"}
"""What the engine writes into its own tables."""
_ids = count()


pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture(autouse=True)
def _unbroken(world: World) -> Any:
    yield
    world.chains()


@pytest.fixture
def key(world: World) -> str:
    """Return the ARN of a key of the stack's own that does not rotate."""
    arn = factories.key()
    world.own_keys = frozenset({arn})
    return arn


def _cause(world: World, origin: str = "cloudtrail") -> Cause:
    world.now += timedelta(seconds=2)
    return Cause(origin, f"event-{next(_ids)}", "DisableKeyRotation", world.now.isoformat())


def _by(world: World, who: Actor, arn: str, control: str = CONTROL, **more: Any) -> str:
    """Look at a resource after a call of somebody's; return the outcome."""
    found = world.run(control, request(control, arn, actor=who, cause=_cause(world)), **more)
    assert set(world.wire.changes()) <= WRITES
    return str(found.outcome)


def _announced(world: World) -> list[tuple[str, bool, str]]:
    return [
        (each["severity"], each["announce"], each["detail"])
        for each in world.records()
        if each.get("outcome") == "ANNOUNCED"
    ]


@pytest.mark.parametrize("document", MODES, ids=["notify", "approve", "enforce"])
@pytest.mark.parametrize("who", PEOPLE.values(), ids=PEOPLE)
def test_weakened_part_is_a_critical_alert_and_stays_as_it_is(
    world: World, key: str, who: Actor, document: dict[str, Any]
) -> None:
    """If this fails, Evenkeel fights over its own key, or whoever blinds it does so unseen."""
    assert _by(world, who, key, document=document) == "ANNOUNCED"
    assert _announced(world) == [("CRITICAL", True, own_parts.WEAKENED)]
    assert not rotates(key)


def test_cloudformations_own_change_is_an_ordinary_finding(world: World, key: str) -> None:
    """If this fails, a deployment wakes on-call, or a template that is wrong is never reported."""
    assert _by(world, DEPLOYER, key) == "RETURNED"  # a deployment's calls are several: it waits for the last of them
    world.now += timedelta(minutes=15)
    wish = request(CONTROL, key, actor=DEPLOYER, cause=Cause("cloudtrail", "e", "CreateKey", world.start.isoformat()))
    assert world.run(CONTROL, wish).outcome == "ANNOUNCED"
    assert _announced(world) == [("MEDIUM", True, own_parts.FOUND)]


@pytest.mark.parametrize("origin", ["manual", "tag", "config", "securityhub", "verify", "clerk"])
def test_finding_that_nobody_is_seen_to_have_made_is_announced_once(world: World, key: str, origin: str) -> None:
    """If this fails, a run over the account repeats itself about Evenkeel, or is a critical alert."""
    first = world.run(CONTROL, request(CONTROL, key, cause=_cause(world, origin)))
    again = world.run(CONTROL, request(CONTROL, key, cause=_cause(world, origin)))
    assert (first.outcome, again.outcome) == ("ANNOUNCED", "ANNOUNCED" if origin == "manual" else "SKIPPED")
    assert _announced(world) == [("MEDIUM", True, own_parts.FOUND)]


def test_person_behind_a_known_finding_is_still_critical_and_then_known(world: World, key: str) -> None:
    """If this fails, the tag change that arrives before the call hides who made it, or both go on by turns."""
    looks = ("tag", "cloudtrail", "tag", "config", "cloudtrail")
    found = [
        str(world.run(CONTROL, request(CONTROL, key, actor=PEOPLE["a person"], cause=_cause(world, look))).outcome)
        for look in looks
    ]
    assert found == ["ANNOUNCED", "ANNOUNCED", "SKIPPED", "SKIPPED", "SKIPPED"]
    assert [severity for severity, *_ in _announced(world)] == ["MEDIUM", "CRITICAL"]


def test_part_weakened_again_after_it_was_set_right_is_news(world: World, key: str) -> None:
    """If this fails, who weakens a part twice within a day is seen once."""
    assert _by(world, PEOPLE["a person"], key) == "ANNOUNCED"
    client("kms").enable_key_rotation(KeyId=key)
    assert world.run(CONTROL, request(CONTROL, key, cause=_cause(world))).outcome == "COMPLIANT"
    client("kms").disable_key_rotation(KeyId=key)
    assert _by(world, PEOPLE["a person"], key) == "ANNOUNCED"
    assert len(_announced(world)) == 2


def test_scope_does_not_hide_a_weakened_part(world: World, key: str) -> None:
    """If this fails, a stack whose scope is one team's resources does not report that somebody weakened it."""
    elsewhere = ("arn:aws:s3:::shop-*",)
    assert _by(world, PEOPLE["a person"], key, scope=elsewhere) == "ANNOUNCED"
    ordinary = world.run(CONTROL, request(CONTROL, factories.key()), scope=elsewhere)
    assert (ordinary.outcome, ordinary.reason) == ("SKIPPED", "out of the stack's scope")


def test_people_may_decide_that_a_finding_about_a_part_is_none(world: World, key: str) -> None:
    """If this fails, an approved exemption, or a control that is off, does not hold for Evenkeel's own parts."""
    exemption = {
        "controls": [CONTROL],
        "resources": [key],
        "reason": "lab",
        "approver": "ciso",
        "expires": "2099-12-31",
    }
    off = {"schema_version": 1, "controls": {CONTROL: {"mode": "off"}}}
    for document in (off, {"schema_version": 1, "exemptions": [exemption]}):
        assert _by(world, PEOPLE["a person"], key, document=document) == "SKIPPED"
    assert world.records() == []


@pytest.mark.usefixtures("people")
def test_approval_of_an_older_version_is_refused(world: World) -> None:
    """If this fails, a plan that waited while Evenkeel was updated still changes Evenkeel."""
    arn = factories.key()
    waits = world.run(CONTROL, request(CONTROL, arn, actor=PEOPLE["a person"]), document=APPROVE)
    assert waits.outcome == "AWAITING"
    world.own_keys = frozenset({arn})
    with pytest.raises(ApprovalRefusedError, match="a part of this Evenkeel stack"):
        approve(world, (arn, waits.record_id))
    assert not rotates(arn)


@pytest.mark.usefixtures("people")
def test_release_of_an_older_versions_hold_only_announces(world: World) -> None:
    """If this fails, releasing what a freeze held changes a part of Evenkeel."""
    arn = factories.key()
    frozen = {"schema_version": 1, "freezes": FROZEN["freezes"]}
    assert world.run(CONTROL, request(CONTROL, arn), document=frozen).outcome == "HELD"
    world.own_keys = frozenset({arn})
    [result] = world.decide({"release": CONTROL, "resource": arn}, BOB)
    assert (result.outcome, rotates(arn)) == ("ANNOUNCED", False)


def test_hold_hides_no_weakening_of_another_kind(world: World, key: str) -> None:
    """If this fails, who has a part on hold for one finding hides another behind it."""
    world.own_keys = frozenset()
    repaired = world.run(CONTROL, request(CONTROL, key))
    _undoer(world).run(all_controls()[CONTROL], key, repaired.record_id)
    world.own_keys = frozenset({key})
    assert _by(world, PEOPLE["a person"], key) == "ANNOUNCED"
    assert _announced(world) == [("CRITICAL", True, own_parts.WEAKENED)]
    assert world.state(CONTROL, key).held(world.now)


def _undoer(world: World) -> Undoer:
    return Undoer(Aws(client), world.ledger("undo"), BOB, 400, world.clock, world.sleep)


def test_older_versions_change_of_a_part_can_be_undone(world: World) -> None:
    """If this fails, what an older version changed of Evenkeel itself stays so, past its template, for ever."""
    arn = factories.key()
    repaired = world.run(CONTROL, request(CONTROL, arn))
    world.own_keys = frozenset({arn})
    done = _undoer(world).run(all_controls()[CONTROL], arn, repaired.record_id)
    assert (done.outcome, rotates(arn)) == ("UNDONE", False)
    found = world.run(CONTROL, request(CONTROL, arn, cause=_cause(world, "tag")))
    assert (found.outcome, rotates(arn)) == ("SKIPPED", False)


def test_run_with_apply_changes_no_part(world: World, key: str, sts: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If this fails, a person who brings an account in line changes Evenkeel with it, or is not answered why not."""
    monkeypatch.setenv("EVENKEEL_DATA_KEY_ARN", key)
    other, handler = factories.key(), remediator("kms")
    run = opened(lambda payload: handler(signed(sts, payload), Context()), CONTROL)
    wish = {"control": CONTROL, "resources": [key, other], "dry_run": False, "run": run}
    mine, theirs = handler(wish, Context())["results"]
    assert (mine["outcome"], theirs["outcome"]) == ("ANNOUNCED", "REMEDIATED")
    assert (own_parts.FOUND in mine["reason"], rotates(key), rotates(other)) == (True, False, True)
    assert handler({"control": CONTROL, "resources": [key]}, Context())["results"][0]["outcome"] == "WOULD_ANNOUNCE"
    assert world.records()[-1]["severity"] == "MEDIUM"


@pytest.mark.parametrize(
    ("identity", "severity"),
    [
        ({}, "CRITICAL"),
        ({"userIdentity": {**ROLE, "accountId": ACCOUNT}, "userAgent": CLOUDFORMATION}, "CRITICAL"),
        ({"userIdentity": {**ROLE, "accountId": ACCOUNT, "invokedBy": CLOUDFORMATION}, "userAgent": "x"}, "MEDIUM"),
    ],
    ids=["alice", "pretender", "CloudFormation"],
)
@pytest.mark.parametrize("variable", system_parts.KEYS)
def test_event_names_who_changed_a_key_of_the_stacks_own(
    world: World, monkeypatch: pytest.MonkeyPatch, variable: str, identity: dict[str, Any], severity: str
) -> None:
    """If this fails, a function does not know a key that it is handed, or takes a pretender for CloudFormation."""
    arn = factories.key()
    monkeypatch.setenv(variable, arn)
    world.settings({"schema_version": 1, "settle_seconds": 0})
    event = cloudtrail("kms.amazonaws.com", "DisableKeyRotation", requestParameters={"keyId": arn}, **identity)
    assert remediator("kms")(sqs_event(event), Context()) == FINE
    assert _announced(world)[0][0] == severity
    assert not rotates(arn)


@pytest.mark.parametrize(
    "name",
    [
        "/aws/lambda/evenkeel-test-kms2",
        "/aws/lambda/evenkeel-test-",
        "/aws/lambda/evenkeel-test-kms/more",
        "/aws/lambda/evenkeel-other-kms",
        "/aws/lambda/Evenkeel-test-kms",
        "evenkeel-test-kms",
    ],
)
def test_name_that_only_resembles_a_parts_is_ordinary(world: World, name: str) -> None:
    """If this fails, a name that begins like ours, or another stack's part, is left weak."""
    arn = factories.group(name)
    client("logs").tag_resource(resourceArn=arn, tags={"aws:cloudformation:stack-name": "evenkeel-test"})
    assert world.run(RETENTION, request(RETENTION, arn)).outcome == "REMEDIATED"


_TABLE, _FUNCTION = f"table/{STATE}", "function:evenkeel-test-kms"


@pytest.mark.parametrize(
    ("control", "name"),
    [
        (PITR, f"arn:aws:dynamodb:::{_TABLE}"),
        (PITR, f"arn:aws:dynamodb:{REGION}::{_TABLE}"),
        (PITR, f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/arn:aws:dynamodb:{REGION}:{ACCOUNT}:{_TABLE}"),
        (PITR, f"arn:aws-cn:dynamodb:{REGION}:{ACCOUNT}:{_TABLE}"),
        (RETENTION, f"arn:aws:logs:::log-group:{GROUP}"),
        (TRACING, "evenkeel-test-kms:$LATEST"),
        (TRACING, _FUNCTION),
        (TRACING, f"{ACCOUNT}:{_FUNCTION}"),
        (TRACING, f"arn:aws:lambda:{REGION}:{ACCOUNT}:{_FUNCTION}:$LATEST:$LATEST"),
    ],
)
def test_part_has_no_second_name(control: str, name: str) -> None:
    """If this fails, a name that AWS takes for a part, and we do not, has Evenkeel change the part.

    Scope, exemptions and holds would be passed by the same way.
    """
    controls = tuple(all_controls().values())
    with pytest.raises(MalformedPayloadError, match=r"resources: .* is not an AWS::"):
        on_demand.parse({"control": control, "resources": [name]}, controls, PLACE, "run", datetime.now(UTC))
    if name.startswith("arn:"):
        with pytest.raises(MalformedPayloadError, match=r"is not an AWS::|is not in partition aws"):
            decode(encode(request(control, name)), controls, PLACE)


def test_log_group_and_table_of_the_stack_are_parts(world: World) -> None:
    """If this fails, Evenkeel raises its own retention, or protects its own table, against its template."""
    group, table = factories.group(GROUP), f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{STATE}"
    client("logs").put_retention_policy(logGroupName=GROUP, retentionInDays=7)
    assert _by(world, PEOPLE["root"], group, RETENTION) == "ANNOUNCED"
    assert _by(world, PEOPLE["root"], table, PITR) == "ANNOUNCED"
    assert [severity for severity, *_ in _announced(world)] == ["CRITICAL", "CRITICAL"]


def test_part_that_somebody_made_unreadable_is_a_critical_alert(world: World, key: str) -> None:
    """If this fails, whoever forbids Evenkeel to read its own key is not seen."""
    denied = "User: role is not authorized to perform it with an explicit deny in a resource-based policy"
    other = factories.key()
    for arn, outcome in ((other, ("MEDIUM", True)), (key, ("CRITICAL", True))):
        world.wire.fail("kms", "DescribeKey", "AccessDeniedException", denied)
        assert _by(world, PEOPLE["a person"], arn) == "DENIED"
        assert (world.records()[-1]["severity"], world.records()[-1]["announce"]) == outcome


def test_parts_are_known_by_whole_names_of_one_place() -> None:
    """If this fails, a part of another stack, account, region or partition is taken for this stack's own."""
    mine = system_parts.arns("evenkeel", PLACE, frozenset())
    assert f"arn:aws:sqs:{REGION}:{ACCOUNT}:evenkeel-kms" in mine
    assert f"arn:aws:iam::{ACCOUNT}:role/evenkeel/evenkeel-{REGION}-kms-undo" in mine
    assert all(json.dumps(arn).count(":") >= 5 and "*" not in arn and "{" not in arn for arn in mine)
    assert mine.isdisjoint(system_parts.arns("evenkeel-prod", PLACE, frozenset()))
