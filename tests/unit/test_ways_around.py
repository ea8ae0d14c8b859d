"""Bounds that are easily got around: a held control, a dry run under a hold, two sessions of one role."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from evenkeel.events.message import encode
from evenkeel.lambda_handler import remediator
from evenkeel.model import Actor
from tests.contract.registry import MATCHES
from tests.world import ACCOUNT, PLACE, Context, client, cloudtrail, request, sqs_event

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"
LIMIT = {"schema_version": 1, "controls": {CONTROL: {"blast_radius": {"limit": 1, "window_seconds": 3600}}}}
FROZEN = {"schema_version": 1, "freezes": [{"cron": "* * * * *", "hours": 1}]}


def _key() -> str:
    return client("kms").create_key()["KeyMetadata"]["Arn"]


def test_control_that_is_held_does_not_change_what_it_changed_before(world: World) -> None:
    """If this fails, a control that reached its blast radius goes on changing the resources of this window."""
    world.now = world.now.replace(minute=0, second=0)
    first, second = _key(), _key()
    outcomes = [str(world.run(CONTROL, request(CONTROL, key), document=LIMIT).outcome) for key in (first, second)]
    assert outcomes == ["REMEDIATED", "HELD"]
    client("kms").disable_key_rotation(KeyId=first)
    assert world.run(CONTROL, request(CONTROL, first), document=LIMIT).outcome == "HELD"


def test_dry_run_tells_of_a_hold(world: World) -> None:
    """If this fails, a dry run says that a held resource would be changed."""
    key = _key()
    world.run(CONTROL, request(CONTROL, key), document=FROZEN)
    dry = world.run(CONTROL, request(CONTROL, key, dry_run=True))
    assert dry.outcome != "WOULD_APPLY"


@pytest.mark.usefixtures("people")
def test_another_session_of_the_same_role_is_not_another_person(world: World) -> None:
    """If this fails, whoever assumes a role twice approves what they caused (unless the session is the person)."""
    from evenkeel.errors import ApprovalRefusedError  # noqa: PLC0415 - one user

    role = "arn:aws:sts::123456789012:assumed-role/admin/"
    document = {"schema_version": 1, "controls": {CONTROL: {"mode": "approve"}}}
    key = _key()
    waits = world.run(CONTROL, request(CONTROL, key, actor=Actor(role + "one")), document=document)
    world.now += timedelta(seconds=1)
    with pytest.raises(ApprovalRefusedError):
        world.decide({"approve": waits.record_id, "resource": key}, role + "two", document=document)


def test_what_a_role_under_our_path_did_is_mended_by_configs_verdict(world: World) -> None:
    """If this fails, whoever may make a role under Evenkeel's path weakens resources for good, not for hours."""
    key, kms = _key(), remediator("kms")
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{ACCOUNT}:role/evenkeel/mallory"}
    cloaked = {"type": "AssumedRole", "sessionContext": {"sessionIssuer": issuer}}
    call = cloudtrail("kms.amazonaws.com", "DisableKeyRotation", userIdentity=cloaked, requestParameters={"keyId": key})
    kms(sqs_event(call), Context())
    assert world.outcomes() == []
    found = next(each for each in MATCHES if each.control.id == CONTROL and each.name == "match-config-rule")
    detail = {**found.event["detail"], "resourceId": key.rpartition("/")[2]}
    kms(sqs_event({**found.event, "detail": detail}), Context())
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_forged_creation_deletes_no_history(world: World) -> None:
    """If this fails, whoever may send to a queue has old logs deleted by calling their group a new one."""
    client("logs").create_log_group(logGroupName="/old")
    arn = f"arn:aws:logs:{PLACE.region}:{ACCOUNT}:log-group:/old"
    world.now += timedelta(days=2)
    result = world.run("logs-group-retention", request("logs-group-retention", arn, creates=True))
    assert result.outcome == "ANNOUNCED"
    assert not [name for name in world.wire.changes() if name.startswith("logs:")]


def test_forged_message_weakens_nothing_and_stands_in_the_audit(world: World) -> None:
    """If this fails, whoever may send to a queue has Evenkeel take something back, or act without a trace."""
    key = _key()
    forged = encode(request(CONTROL, key, actor=Actor("arn:aws:iam::123456789012:user/bob")))
    kms = remediator("kms")
    world.wire.clear()
    for _ in range(2):
        kms(sqs_event(forged), Context())
    assert client("kms").get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    assert [name for name in world.wire.changes() if name.startswith("kms:")] == ["kms:EnableKeyRotation"]
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_tag_exempts_nobody_where_no_rule_asks_for_it(world: World) -> None:
    """If this fails, whoever may tag a resource takes it out of Evenkeel's sight."""
    tags = [{"TagKey": name, "TagValue": "ignore"} for name in ("evenkeel", "exempt", "Environment")]
    key = client("kms").create_key(Tags=tags)["KeyMetadata"]["Arn"]
    assert str(world.run(CONTROL, request(CONTROL, key)).outcome) == "REMEDIATED"
    assert not [name for name in world.wire.names() if name.endswith(":GetResources")]


def test_flood_of_weak_resources_holds_the_control_with_one_critical_alert(world: World) -> None:
    """If this fails, whoever uses up the blast radius first weakens the next resource unseen."""
    keys = [_key() for _ in range(4)]
    outcomes = [str(world.run(CONTROL, request(CONTROL, key), document=LIMIT).outcome) for key in keys]
    assert outcomes == ["REMEDIATED", "HELD", "HELD", "HELD"]
    held = [record for record in world.records() if record.get("outcome") == "HELD"]
    assert [(record["severity"], record["announce"]) for record in held].count(("CRITICAL", True)) == 1
    assert len({record["resource"] for record in held}) == 3


def test_half_a_character_in_a_clients_name_keeps_nothing_from_repair(world: World) -> None:
    """If this fails, a client's name that was cut in the middle of a character makes its calls impossible to repair."""
    key = _key()
    call = cloudtrail(
        "kms.amazonaws.com", "DisableKeyRotation", userAgent="cli \ud83d", requestParameters={"keyId": key}
    )
    remediator("kms")(sqs_event(call), Context())
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]
    assert world.records()[-1]["actor"]["user_agent"] == "cli ?"
    assert world.chains() == 1
