"""Three people, one of whom caused what the others decide about: the repair of a key that is kept for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.model import Actor
from tests.world import client, request

if TYPE_CHECKING:
    from evenkeel.model import Result
    from tests.world import World

CONTROL = "kms-key-rotation"
ALICE, BOB, CAROL = (f"arn:aws:iam::123456789012:user/{name}" for name in ("alice", "bob", "carol"))
APPROVE = {"schema_version": 1, "controls": {CONTROL: {"mode": "approve"}}}
FROZEN = {**APPROVE, "freezes": [{"cron": "* * * * *", "hours": 1}]}


def rotates(arn: str) -> bool:
    """Say whether a key rotates."""
    return client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


def wish(arn: str, **more: Any) -> Any:
    """Return a request of alice's making."""
    return request(CONTROL, arn, actor=Actor(ALICE, owner="alice"), **more)


def approve(world: World, waits: tuple[str, str], who: str = BOB, **more: Any) -> Result:
    """Approve what waits (a resource and a record) in a person's name."""
    [result] = world.decide({"approve": waits[1], "resource": waits[0]}, who, **{"document": APPROVE, **more})
    return result
