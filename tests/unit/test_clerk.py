"""The clerk: what is due goes back to its queue, what is stuck is counted."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from clerk import vitals
from clerk.digest import Digests
from clerk.handler import handler
from evenkeel.runtime.dynamodb import wire
from tests.tables import STATE
from tests.wire import Crash
from tests.world import ACCOUNT, QUEUE_URL, REGION, Context, client, metrics, request

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"


@pytest.fixture(autouse=True)
def _key(digest_key: str) -> None:
    """Let there be a key for digests, and the clerk have read the vitals just now."""
    assert digest_key
    item = {"pk": vitals.ITEM, "read_to": int(datetime.now(UTC).timestamp()), "counted": {}}
    client("dynamodb").put_item(TableName=STATE, Item=wire(item))


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
    client("dynamodb").put_item(TableName=STATE, Item=wire(item))
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
    told = metrics(capsys.readouterr().out)
    assert told == {"SwitchedOff": told["SwitchedOff"]} | ({"StuckPlans": stuck} if stuck else {})
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


def test_what_is_due_of_a_group_that_is_not_deployed_is_told_once_a_day_and_kept(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, one plan of a removed group keeps the clerk from all others, is told each round, or is lost."""
    _due("1", 90, control="sqs-encryption")
    _due("2", 90)
    assert handler({}, Context()) == {"due": 2, "stuck": 2}
    assert len(world.messages(QUEUE_URL)) == 1
    assert handler({}, Context()) == {"due": 0, "stuck": 0}
    assert caplog.text.count("is its group still enabled") == 1
    [gone] = [each for each in client("dynamodb").scan(TableName=STATE)["Items"] if "sqs" in each["pk"]["S"]]
    assert 86_000 < int(gone["due_at"]["N"]) - datetime.now(UTC).timestamp() <= 86_400


def test_whole_round(world: World) -> None:
    """If this fails, an act that a dead worker left is never finished."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    world.now -= timedelta(hours=2)
    world.wire.crash("kms", "EnableKeyRotation")
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, arn, creates=True))
    assert handler({}, Context()) == {"due": 1, "stuck": 1}
    [message] = world.messages(QUEUE_URL)
    from evenkeel.lambda_handler import remediator  # noqa: PLC0415 - one user
    from tests.world import sqs_event  # noqa: PLC0415 - one user

    assert remediator("kms")(sqs_event(message["Body"]), Context()) == {"batchItemFailures": []}
    assert client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]
    assert handler({}, Context()) == {"due": 0, "stuck": 0}
    assert world.messages(QUEUE_URL) == []


def _hold(name: str, due: datetime, **more: object) -> dict[str, object]:
    """Put the state item of a request that is held; return it."""
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"
    item = {"pk": f"{CONTROL}#{arn}", "due_shard": "held#03", "due_at": int(due.timestamp()), **more}
    client("dynamodb").put_item(TableName=STATE, Item=wire(item))
    return item


@pytest.mark.parametrize(("minutes", "sent"), [(-1, 1), (0, 1), (5, 0)])
def test_held_request_is_sent_as_it_was_kept_once_it_is_due(world: World, minutes: int, sent: int) -> None:
    """If this fails, what was held comes too early, never, or as another request; or a hold counts as a stuck plan."""
    _hold("1", datetime.now(UTC) + timedelta(minutes=minutes), held_request='{"kept": true}')
    assert handler({}, Context()) == {"due": sent, "stuck": 0}
    assert [message["Body"] for message in world.messages(QUEUE_URL)] == ['{"kept": true}'] * sent


def test_what_was_sent_is_not_sent_again_before_its_outcome_had_time(world: World) -> None:
    """If this fails, each look of the clerk sends the same request once more."""
    _hold("1", datetime.now(UTC) - timedelta(days=1), held_request="{}")
    _due("2", 20)
    assert handler({}, Context())["due"] == 2
    assert handler({}, Context())["due"] == 0
    later = client("dynamodb").scan(TableName=STATE)["Items"]
    waits = [int(item["due_at"]["N"]) - datetime.now(UTC).timestamp() for item in later if "due_at" in item]
    assert all(14 * 60 < seconds <= 15 * 60 for seconds in waits)


def test_item_that_changed_while_the_clerk_looked_is_left_as_it_is(world: World) -> None:
    """If this fails, the clerk sends or puts off a hold that somebody has just placed, or dies of a lost race."""
    placed = datetime.now(UTC) + timedelta(days=30)

    def replaced(_: object) -> None:
        world.wire._plans.clear()
        _hold("1", placed, held_request="{}")

    _hold("1", datetime.now(UTC) - timedelta(minutes=1), held_request="{}")
    _hold("2", datetime.now(UTC) - timedelta(seconds=1), held_request="{}")
    world.wire.when("dynamodb", "UpdateItem", replaced)
    assert handler({}, Context())["due"] == 1
    assert len(world.messages(QUEUE_URL)) == 1
    found = client("dynamodb").scan(TableName=STATE, FilterExpression="attribute_exists(due_at)")["Items"]
    items = {item["pk"]["S"][-1]: int(item["due_at"]["N"]) for item in found}
    assert items["1"] == int(placed.timestamp())


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_clerk_that_cannot_write_says_so(world: World) -> None:
    """If this fails, a state table that refuses everything looks like a lost race."""
    _hold("1", datetime.now(UTC) - timedelta(minutes=1), held_request="{}")
    world.wire.fail("dynamodb", "UpdateItem", "ValidationException", "no")
    with pytest.raises(Exception, match="ValidationException"):
        handler({}, Context())


@pytest.mark.filterwarnings("ignore:No application metrics")
@pytest.mark.parametrize(("hours", "sent"), [(36, None), (37, 37 * 3600)])
def test_age_of_the_digest_is_sent_where_it_is_too_old(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], hours: int, sent: float | None
) -> None:
    """If this fails, the alarm on a missing digest has no data, or a metric is paid for while all is well."""
    monkeypatch.setattr(Digests, "make_due", lambda _: float(hours * 3600))
    handler({}, Context())
    assert metrics(capsys.readouterr().out).get("DigestAge") == sent
