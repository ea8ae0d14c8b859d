"""The clerk: what is due goes back to its queue, what is stuck is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from clerk.handler import handler
from evenkeel.state import wire
from tests.wire import Crash
from tests.world import ACCOUNT, QUEUE_URL, REGION, Context, client, metrics, request

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"


@pytest.fixture(autouse=True)
def _queues(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("EVENKEEL_QUEUE_URLS", json.dumps({"kms": QUEUE_URL}))


def _due(name: str, minutes: float, control: str = CONTROL) -> str:
    """Put the state item of a plan that is ``minutes`` old; return its resource."""
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"
    planned = datetime.now(UTC) - timedelta(minutes=minutes)
    due = planned + timedelta(minutes=15)
    item = {
        "pk": f"{control}#{arn}",
        "due_shard": f"plan#{int(name) % 16:02d}",
        "due_at": int(due.timestamp()),
        "planned_at": int(planned.timestamp()),
    }
    client("dynamodb").put_item(TableName="state", Item=wire(item))
    return arn


@pytest.mark.parametrize(
    ("ages", "due", "stuck"),
    [([], 0, 0), ([14], 0, 0), ([16], 1, 0), ([59], 1, 0), ([61], 1, 1), ([1, 20, 40, 90, 5000], 4, 2)],
)
def test_due_and_stuck_plans(
    world: World, ages: list[float], due: int, stuck: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, an act without outcome is forgotten, or its alarm does not rise."""
    for number, age in enumerate(ages):
        _due(str(number), age)
    assert handler({"source": "aws.scheduler"}, Context()) == {"due": due, "stuck": stuck}
    assert metrics(capsys.readouterr().out) == {"StuckPlans": stuck}
    assert len(world.messages(QUEUE_URL)) == due


def test_message_asks_to_verify(world: World) -> None:
    """If this fails, the remediator does not understand what the clerk sends."""
    arn = _due("1", 20)
    handler({}, Context())
    [message] = world.messages(QUEUE_URL)
    sent = json.loads(message["Body"])["request"]
    assert (sent["control"], sent["resource"]) == (CONTROL, {"arn": arn, "account": ACCOUNT, "region": REGION})
    assert sent["cause"]["origin"] == "verify"
    assert message["MessageAttributes"]["origin"]["StringValue"] == QUEUE_URL


def test_plan_of_a_group_that_is_not_deployed_is_told_and_kept(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, one plan of a removed group keeps the clerk from all others."""
    _due("1", 90, control="sqs-encryption")
    _due("2", 90)
    assert handler({}, Context()) == {"due": 2, "stuck": 2}
    assert len(world.messages(QUEUE_URL)) == 1


def test_whole_round(world: World) -> None:
    """If this fails, an act that a dead worker left is never finished."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    world.now -= timedelta(hours=2)
    world.wire.crash("kms", "EnableKeyRotation")
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, arn, creates=True))
    assert handler({}, Context()) == {"due": 1, "stuck": 1}
    [message] = world.messages(QUEUE_URL)
    from evenkeel.remediator import remediator  # noqa: PLC0415 - one user
    from tests.world import sqs_event  # noqa: PLC0415 - one user

    assert remediator("kms")(sqs_event(message["Body"]), Context()) == {"batchItemFailures": []}
    assert client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]
    assert handler({}, Context()) == {"due": 0, "stuck": 0}
    assert world.messages(QUEUE_URL) == []
