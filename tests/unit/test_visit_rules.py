"""Exemptions, freezes and tags on the way of a request: what is read, what is left alone, what is kept for later."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clerk.requeue import Requeuer
from evenkeel.control.registry import all_controls
from evenkeel.model import Cause
from evenkeel.remediation.repair import NotGrantedError
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.environment import Environment
from evenkeel.settings import parser
from tests.factories.rds import instance
from tests.tables import STATE
from tests.wire import Crash
from tests.world import ACCOUNT, QUEUE_URL, client, request

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"
TAGS_READ = "resourcegroupstaggingapi:GetResources"
BY_TAG = {"tags": {"env": "dev"}, "mode": "notify"}
NEVER = "2099-12-31"
EXEMPTION = {"controls": [CONTROL], "reason": "lab", "approver": "ciso", "expires": NEVER}
DENIED = "because no resource-based policy allows the tag:GetResources action"
NO_GRANT = "because no identity-based policy allows the tag:GetResources action"


@pytest.fixture(autouse=True)
def _unbroken(world: World) -> Any:
    yield
    world.chains()


@pytest.fixture
def key(world: World) -> str:
    """Return the ARN of a key that does not rotate, tagged as a development key."""
    return client("kms").create_key(Tags=[{"TagKey": "env", "TagValue": "dev"}])["KeyMetadata"]["Arn"]


def _with(*overrides: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"schema_version": 1, "controls": {CONTROL: {"overrides": list(overrides)}}, **more}


def _rotates(arn: str) -> bool:
    return client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


@pytest.mark.parametrize(
    ("document", "reads"),
    [
        ({"schema_version": 1}, 0),
        (_with({"resources": ["*:nothing"], "mode": "off"}), 0),
        (_with({"tags": {"env": "prod"}, "mode": "off"}), 1),
        (_with(exemptions=[{**EXEMPTION, "tags": {"env": "prod"}}]), 1),
        (_with(exemptions=[{**EXEMPTION, "controls": ["logs-group-retention"], "tags": {"env": "dev"}}]), 0),
        (_with(exemptions=[{**EXEMPTION, "expires": "2020-01-01", "tags": {"env": "dev"}}]), 0),
        (_with(exemptions=[{**EXEMPTION, "resources": ["*:nothing"]}]), 0),
        ({"schema_version": 1, "controls": {"logs-group-retention": {"overrides": [BY_TAG]}}}, 0),
    ],
)
def test_tags_are_read_once_and_only_where_a_rule_asks(
    world: World, key: str, document: dict[str, Any], reads: int
) -> None:
    """If this fails, every repair costs a read of tags that no rule asks for, or a rule about tags goes unasked."""
    assert world.run(CONTROL, request(CONTROL, key), document=document).outcome == "REMEDIATED"
    assert world.wire.names().count(TAGS_READ) == reads


def test_override_by_tag_is_obeyed(world: World, key: str) -> None:
    """If this fails, what a team's tag asks for is not what is done."""
    other = client("kms").create_key()["KeyMetadata"]["Arn"]
    outcomes = [world.run(CONTROL, request(CONTROL, arn), document=_with(BY_TAG)).outcome for arn in (key, other)]
    assert outcomes == ["ANNOUNCED", "REMEDIATED"]


@pytest.mark.parametrize(
    ("code", "message", "outcome"),
    [
        ("ThrottlingException", "slow down", "RETURNED"),
        ("InternalServiceException", "", "RETURNED"),
        ("AccessDeniedException", DENIED, "DENIED"),
        ("InvalidParameterException", "no such ARN", "FAILED"),
    ],
)
def test_tags_that_cannot_be_read_mean_do_not_touch_and_tell(
    world: World, key: str, code: str, message: str, outcome: str
) -> None:
    """If this fails, a resource that its tags exempt is changed, or a rule by tags silences a control for good."""
    world.wire.fail("resourcegroupstaggingapi", "GetResources", code, message, times=9)
    result = world.run(CONTROL, request(CONTROL, key), document=_with(BY_TAG))
    assert (result.outcome, "tags" in result.reason) == (outcome, True)
    assert not _rotates(key)
    told = [] if outcome == "RETURNED" else [(outcome, True)]
    assert [(record["outcome"], record["announce"]) for record in world.records()] == told
    again = world.run(CONTROL, request(CONTROL, key), document=_with(BY_TAG))
    assert again.outcome == ("SKIPPED" if told else "RETURNED")  # told within a day
    assert len(world.records()) == len(told)


@pytest.mark.parametrize("fields", [{"dry_run": True}, {}], ids=["dry run", "out of scope"])
def test_unreadable_tags_of_what_is_only_looked_at_are_no_record(
    world: World, key: str, fields: dict[str, Any]
) -> None:
    """If this fails, a look writes into the audit, or the audit speaks of what is none of the stack's business."""
    world.wire.fail("resourcegroupstaggingapi", "GetResources", "AccessDeniedException", DENIED)
    scope = ("*",) if fields else ("arn:aws:sqs:*",)
    result = world.run(CONTROL, request(CONTROL, key, **fields), document=_with(BY_TAG), scope=scope)
    assert (result.outcome, world.records()) == ("SKIPPED", [])


def test_kept_request_whose_tags_cannot_be_read_ends(world: World, key: str) -> None:
    """If this fails, what a hold kept is sent round for ever, since it never ends."""
    frozen = _with(freezes=[{"name": "f", "cron": "0 0 * * *", "hours": 24}])
    assert world.run(CONTROL, request(CONTROL, key), document=frozen).outcome == "HELD"
    kept = world.kept(CONTROL, key)
    world.now += timedelta(days=2)
    world.wire.fail("resourcegroupstaggingapi", "GetResources", "AccessDeniedException", DENIED)
    assert world.run(CONTROL, kept, document=_with(BY_TAG)).outcome == "DENIED"
    found = client("dynamodb").get_item(TableName=STATE, Key={"pk": {"S": f"{CONTROL}#{key}"}})["Item"]
    assert not {"due_at", "due_shard", "held_request"} & set(found)


def test_our_own_missing_grant_to_read_tags_is_a_defect_of_the_stack(world: World, key: str) -> None:
    """If this fails, a stack that cannot read tags leaves everything alone in silence."""
    world.wire.fail("resourcegroupstaggingapi", "GetResources", "AccessDeniedException", NO_GRANT)
    with pytest.raises(NotGrantedError, match="deploy the stack"):
        world.run(CONTROL, request(CONTROL, key), document=_with(BY_TAG))
    assert world.wire.changes() == []


@pytest.mark.parametrize("which", [{"resources": ["*"]}, {"accounts": [ACCOUNT]}, {"tags": {"env": ["dev", "test"]}}])
@pytest.mark.parametrize("mode", ["notify", "approve", "enforce"])
def test_what_is_exempt_is_skipped_and_nothing_is_written(
    world: World, key: str, which: dict[str, Any], mode: str
) -> None:
    """If this fails, an exempted resource is changed, announced or held, or the reason is not told."""
    document = _with(exemptions=[{**EXEMPTION, **which}])
    document["controls"][CONTROL]["mode"] = mode
    result = world.run(CONTROL, request(CONTROL, key, creates=True), document=document)
    assert (result.outcome, result.reason) == ("SKIPPED", f"exempt until {NEVER}: lab (approved by ciso)")
    assert world.wire.changes() == []
    dry = world.run(CONTROL, request(CONTROL, key, dry_run=True), document=document)
    assert (dry.outcome, world.records()) == ("SKIPPED", [])


def test_expired_exemption_is_as_if_absent(world: World, key: str) -> None:
    """If this fails, an exemption never ends."""
    yesterday, today = (str((world.now - timedelta(days=days)).date()) for days in (1, 0))
    exemption = {**EXEMPTION, "resources": ["*"]}
    for expires, outcome in ((today, "SKIPPED"), (yesterday, "REMEDIATED")):
        document = _with(exemptions=[{**exemption, "expires": expires}])
        assert world.run(CONTROL, request(CONTROL, key), document=document).outcome == outcome


def _frozen(world: World, hours: int = 8) -> tuple[dict[str, Any], datetime]:
    """Return settings with a freeze that began at the full hour, and its end."""
    start = world.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    cron = f"0 {start.hour} {start.day} {start.month} *"
    return _with(freezes=[{"name": "f", "cron": cron, "hours": hours}]), start + timedelta(hours=hours)


def test_frozen_finding_is_kept_with_its_time_and_not_told(world: World, key: str) -> None:
    """If this fails, something is changed in a freeze, is lost by it, or on-call is woken by it."""
    document, ends = _frozen(world)
    result = world.run(CONTROL, request(CONTROL, key, creates=True), document=document)
    assert (result.outcome, _rotates(key)) == ("HELD", False)
    [record] = world.records()
    assert (record["outcome"], record["announce"], record["severity"]) == ("HELD", False, "MEDIUM")
    assert record["detail"] == f"frozen until {ends:%Y-%m-%d %H:%M} UTC"
    item = client("dynamodb").scan(TableName=STATE)["Items"][0]
    assert (item["due_at"]["N"], item["due_shard"]["S"][:5]) == (str(int(ends.timestamp())), "held#")
    assert world.kept(CONTROL, key).resource.arn == key
    assert world.run(CONTROL, request(CONTROL, key), document=document).outcome == "SKIPPED"
    assert len(world.records()) == 1


def _clerk(world: World) -> list[str]:
    """Let the clerk look; return what it sent."""
    queues = {"kms": QUEUE_URL}
    requeuer = Requeuer(
        Aws(client), Environment.read(), queues, account=ACCOUNT, now=world.now, remaining_milliseconds=lambda: 60_000
    )
    requeuer.requeue("plan", 0)
    requeuer.requeue("held", 0)
    return [message["Body"] for message in world.messages(QUEUE_URL)]


def test_clerk_sends_what_was_frozen_when_it_is_due_and_it_is_looked_at_again(world: World, key: str) -> None:
    """If this fails, what came up in a freeze is forgotten, comes too early, or is changed without another look."""
    document, ends = _frozen(world)
    other = client("kms").create_key()["KeyMetadata"]["Arn"]
    for arn in (key, other):
        world.run(CONTROL, request(CONTROL, arn, creates=True), document=document)
    world.now = ends - timedelta(seconds=2)
    assert _clerk(world) == []
    world.now = ends + timedelta(seconds=2)
    sent = _clerk(world)
    assert len(sent) == 2
    assert _clerk(world) == []
    client("kms").enable_key_rotation(KeyId=other)
    outcomes = {arn: world.run(CONTROL, world.kept(CONTROL, arn), document=document).outcome for arn in (key, other)}
    assert outcomes == {key: "REMEDIATED", other: "COMPLIANT"}
    world.now += timedelta(hours=1)
    assert _clerk(world) == []
    assert not any(world.state(CONTROL, arn).hold_until for arn in (key, other))


def test_what_comes_out_of_a_long_freeze_into_a_throttle_is_not_given_up(world: World, key: str) -> None:
    """If this fails, a freeze of a day makes every throttled request a dead letter."""
    from evenkeel.remediation.decide import returned_too_long  # noqa: PLC0415 - one user

    document, ends = _frozen(world, hours=24)
    world.run(CONTROL, request(CONTROL, key, attempt=3, first_seen=world.now.isoformat()), document=document)
    world.now = ends + timedelta(minutes=1)
    world.wire.fail("kms", "GetKeyRotationStatus", "ThrottlingException")
    result = world.run(CONTROL, world.kept(CONTROL, key), document=document)
    assert (result.outcome, returned_too_long(result.request, world.now)) == ("RETURNED", False)


@pytest.mark.parametrize("mode", ["off", "notify"])
def test_end_of_a_freeze_under_settings_that_change_nothing_ends_the_hold(world: World, key: str, mode: str) -> None:
    """If this fails, the clerk sends the same request every quarter of an hour, or people are not told."""
    document, ends = _frozen(world)
    world.run(CONTROL, request(CONTROL, key, creates=True), document=document)
    world.now = ends + timedelta(seconds=1)
    later = {"schema_version": 1, "controls": {CONTROL: {"mode": mode}}}
    result = world.run(CONTROL, world.kept(CONTROL, key), document=later)
    assert result.outcome == {"off": "SKIPPED", "notify": "ANNOUNCED"}[mode]
    world.now += timedelta(hours=1)
    assert _clerk(world) == []


def test_finding_announced_today_ends_its_hold_too(world: World, key: str) -> None:
    """If this fails, a hold on what was told already is sent again and again."""
    notify = {"schema_version": 1, "controls": {CONTROL: {"mode": "notify"}}}
    assert world.run(CONTROL, request(CONTROL, key), document=notify).outcome == "ANNOUNCED"
    document, ends = _frozen(world)
    assert world.run(CONTROL, request(CONTROL, key), document=document).outcome == "HELD"
    world.now = ends + timedelta(seconds=1)
    assert world.run(CONTROL, world.kept(CONTROL, key), document=notify).outcome == "SKIPPED"
    world.now += timedelta(hours=1)
    assert _clerk(world) == []


def test_freeze_that_begins_after_a_crash_closes_the_open_plan(world: World, key: str) -> None:
    """If this fails, a plan from before the freeze stays open behind its hold."""
    world.wire.crash("kms", "EnableKeyRotation")
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, key, creates=True))
    world.now += timedelta(minutes=2)
    document, _ = _frozen(world)
    wish = request(CONTROL, key, cause=Cause("verify", event_name="clerk"))
    assert world.run(CONTROL, wish, document=document, owner="worker-2").outcome == "HELD"
    assert world.outcomes() == ["PLANNED", "FAILED", "HELD"]
    assert (world.state(CONTROL, key).plan, _rotates(key)) == ("", False)


def test_people_are_told_what_critical_finding_a_freeze_keeps(world: World, key: str) -> None:
    """If this fails, a database stands open for days of a freeze and nobody knows, or small findings wake on-call."""
    document, _ = _frozen(world)
    world.run(CONTROL, request(CONTROL, key), document=document)
    public = "rds-public-access"
    document["controls"] = {public: {"mode": "enforce"}}
    assert world.run(public, request(public, instance()), document=document).outcome == "HELD"
    assert [(record["severity"], record["announce"]) for record in world.records()] == [
        ("MEDIUM", False),
        ("CRITICAL", True),
    ]


def test_dry_run_in_a_freeze_says_so_and_keeps_nothing(world: World, key: str) -> None:
    """If this fails, a person's look is kept and acted on later."""
    document, _ = _frozen(world)
    result = world.run(CONTROL, request(CONTROL, key, dry_run=True), document=document)
    assert (result.outcome, "frozen until" in result.reason) == ("WOULD_ANNOUNCE", True)
    assert world.wire.changes() == []


def test_control_that_is_off_asks_aws_nothing(world: World, key: str) -> None:
    """If this fails, a control that people switched off goes on reading every resource."""
    world.wire.clear()
    result = world.run(CONTROL, request(CONTROL, key), document=_with() | {"controls": {CONTROL: {"mode": "off"}}})
    assert (result.outcome, result.reason, world.wire.calls) == ("SKIPPED", "the control is off", [])


def test_resource_out_of_scope_is_not_read(world: World, key: str) -> None:
    """If this fails, a stack reads resources that it was told to stay away from."""
    loaded = parser.parse('{"schema_version": 1}')
    control = all_controls()[CONTROL]
    world.wire.clear()
    result = world.visits(scope=("*:table/*",)).run(control, request(CONTROL, key), loaded)
    assert (result.outcome, result.reason, world.wire.calls) == ("SKIPPED", "out of the stack's scope", [])
