"""Bounds that are easily got around: a held control, a dry run under a hold, two sessions of one role."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from evenkeel.model import Actor
from tests.world import client, request

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
