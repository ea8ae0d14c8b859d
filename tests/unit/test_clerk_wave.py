"""The clerk in a wave: thousands of holds end at once, and neither its time nor one failure silences the rest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clerk import vitals
from clerk.handler import handler
from evenkeel.events.queue import BATCH
from evenkeel.runtime.dynamodb import wire
from evenkeel.settings import loaded_mark
from tests.tables import STATE
from tests.world import ACCOUNT, QUEUE_URL, REGION, Context, client, metrics

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture(autouse=True)
def _key(digest_key: str) -> None:
    """Let there be a key for digests, and the clerk have read the vitals just now."""
    assert digest_key
    item = {"pk": vitals.ITEM, "read_to": int(datetime.now(UTC).timestamp()), "counted": {}}
    client("dynamodb").put_item(TableName=STATE, Item=wire(item))


def _put(kind: str, number: int, **more: Any) -> str:
    """Put the state item of what became due a minute ago; return its key."""
    key = f"{CONTROL}#arn:aws:kms:{REGION}:{ACCOUNT}:key/{number:04d}"
    due = int((datetime.now(UTC) - timedelta(minutes=1)).timestamp())
    item = {"pk": key, "due_shard": f"{kind}#{number % 16:02d}", "due_at": due, **more}
    client("dynamodb").put_item(TableName=STATE, Item=wire(item))
    return key


def _wave(number: int) -> None:
    """Let so many holds end at once."""
    for each in range(number):
        _put("held", each, held_request=json.dumps({"kept": each}))


def _slow(world: World, seconds: float) -> Context:
    """Return the context of a function that gets one item done in so many seconds."""
    return Context(remaining=lambda: int(60_000 - 1000 * seconds * len(world.wire.params("UpdateItem"))))


def test_wave_costs_one_write_an_item_and_one_call_for_ten_messages(world: World) -> None:
    """If this fails, a wave of holds takes the clerk several calls an item, and more rounds than it needs."""
    _wave(100)
    world.wire.clear()
    assert handler({}, Context())["due"] == 100
    names, updated = world.wire.names(), [each["Key"]["pk"]["S"] for each in world.wire.params("UpdateItem")]
    assert len([key for key in updated if key != loaded_mark.KEY]) == 100
    assert names.count("sqs:SendMessageBatch") == 100 // BATCH
    assert (names.count("dynamodb:GetItem"), names.count("sqs:SendMessage")) == (1, 0), "one for the vitals"
    assert len({message["Body"] for message in world.messages(QUEUE_URL)}) == 100


def _looked(caplog: pytest.LogCaptureFixture, kind: str) -> list[tuple[int, int, bool]]:
    """Return what the log says of a kind, round by round: how much was due and sent, whether there is more."""
    told: Any = [
        record for record in caplog.records if record.message == "requeued" and record.__dict__["kind"] == kind
    ]
    return [(record.due, record.sent, record.more) for record in told]


def test_wave_is_sent_in_rounds_and_silences_nothing(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, in a wave the clerk is timed out, stuck plans go unseen, and no digest is made."""
    _wave(80)
    stuck = datetime.now(UTC) - timedelta(hours=2)
    _put("plan", 1000, planned_at=int(stuck.timestamp()))
    for stuck_plans in (1, 0, 0):
        world.wire.clear()
        handler({}, _slow(world, 1))
        told = metrics(capsys.readouterr().out)
        assert (told.keys() - {"StuckPlans"}, told.get("StuckPlans", 0)) == ({"SwitchedOff"}, stuck_plans)
    assert _looked(caplog, "plan") == [(1, 1, False), (0, 0, False), (0, 0, False)]
    assert _looked(caplog, "held") == [(50, 50, True), (30, 30, False), (0, 0, False)]
    assert len(world.messages(QUEUE_URL)) == 81


def test_wave_of_plans_leaves_time_for_holds(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, thousands of plans without an outcome keep holds from ending, or go on until the time is over."""
    _wave(5)
    for number in range(1000, 1050):
        _put("plan", number, planned_at=1)
    world.wire.clear()
    assert handler({}, _slow(world, 1)) == {"due": 26 + 5, "stuck": 26}
    assert metrics(capsys.readouterr().out)["StuckPlans"] == 26


def test_hold_that_was_released_meanwhile_is_not_sent(world: World) -> None:
    """If this fails, the clerk sends what a person has released or dropped, or dies of it."""
    _wave(2)

    def released(params: dict[str, Any]) -> None:
        world.wire.clear()
        update = "REMOVE due_at, due_shard, held_request"
        client("dynamodb").update_item(TableName=STATE, Key=params["Key"], UpdateExpression=update)

    world.wire.when("dynamodb", "UpdateItem", released)
    assert handler({}, Context())["due"] == 1
    assert [message["Body"] for message in world.messages(QUEUE_URL)] == ['{"kept": 1}']


def test_part_that_fails_does_not_silence_the_others(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, a disabled key or one refused call keeps holds from ending, or the failure is not counted."""
    _wave(1)
    _put("plan", 1000, planned_at=1)
    world.wire.fail("kms", "GenerateMac", "DisabledException", "the key is disabled")
    with pytest.raises(Exception, match="DisabledException"):
        handler({}, Context())
    assert metrics(capsys.readouterr().out)["StuckPlans"] == 1
    assert len(world.messages(QUEUE_URL)) == 2


def test_all_failures_of_a_round_are_told(world: World) -> None:
    """If this fails, of two parts that fail one is not told."""
    _wave(1)
    world.wire.fail("kms", "GenerateMac", "DisabledException", "the key is disabled")
    world.wire.fail("sqs", "SendMessageBatch", "KmsDisabled", "the other one, too")
    with pytest.raises(ExceptionGroup) as failed:
        handler({}, Context())
    assert ["Disabled" in str(error) for error in failed.value.exceptions] == [True, True]


def test_message_that_the_queue_refuses_is_told_and_due_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """If this fails, a message of a batch that SQS did not take is taken for sent, and its hold never ends."""
    _wave(2)
    refused = {"Failed": [{"Id": "1", "Code": "InternalError", "Message": "m", "SenderFault": False}]}
    world.wire.answer("sqs", "SendMessageBatch", refused)
    assert handler({}, Context())["due"] == 2
    [told] = [record.__dict__ for record in caplog.records if record.message.startswith("not sent")]
    assert (told["queue"], told["reason"]) == (QUEUE_URL, "InternalError: m")
    assert _looked(caplog, "held") == [(2, 1, False)]
    later = client("dynamodb").scan(TableName=STATE)["Items"]
    assert all(int(item["due_at"]["N"]) > datetime.now(UTC).timestamp() for item in later if "held_request" in item)


def test_large_requests_go_in_several_calls(world: World) -> None:
    """If this fails, SQS refuses a batch that is too large, and none of its holds end."""
    for number in range(4):
        _put("held", number, held_request=json.dumps({"kept": str(number) * 80_000}))
    assert handler({}, Context())["due"] == 4
    assert [len(made["Entries"]) for made in world.wire.params("SendMessageBatch")] == [2, 2]
    assert len(world.messages(QUEUE_URL)) == 4
