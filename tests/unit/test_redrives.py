"""Dead letters are sent back in a person's name: one record of the request, then each letter, and only those named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from clerk import handler as clerk
from notifier import alert
from tests.sts import CALLER, signed
from tests.unit.test_alert import HOME
from tests.wire import Crash
from tests.world import DLQ_URL, QUEUE_URL, Context, client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.world import World

LOGS_URL = QUEUE_URL.replace("-kms", "-logs")
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture(autouse=True)
def _fresh(world: World, sts: str, variables: pytest.MonkeyPatch) -> Iterator[None]:
    assert world
    assert sts
    variables.setenv("EVENKEEL_GROUPS", "kms,logs")
    client("sqs").create_queue(QueueName=LOGS_URL.rpartition("/")[2])
    clerk._aws.cache_clear()
    yield
    clerk._aws.cache_clear()


def letter(body: str) -> str:
    """Put a dead letter; return its id."""
    return str(client("sqs").send_message(QueueUrl=DLQ_URL, MessageBody=body)["MessageId"])


def redrive(url: str, groups: dict[str, Any], context: Context | None = None, **other: Any) -> dict[str, Any]:
    """Ask the clerk, in the operator's proved name."""
    return clerk.handler({**signed(url, {"redrive": groups}), **other}, context or Context())


def bodies(world: World, url: str) -> list[str]:
    """Return what is in a queue."""
    return sorted(message["Body"] for message in world.messages(url))


def test_what_is_sent_back_is_audited_once_and_told_with_who(world: World, sts: str) -> None:
    """If this fails, somebody has Evenkeel act on old events, and nobody can say who."""
    first, second, other = letter("one"), letter("two"), letter("three")
    assert redrive(sts, {"kms": [first], "logs": [second]}) == {"sent": [first, second], "missing": []}
    (record,) = world.records()
    assert (record["outcome"], record["announce"], record["actor"]["principal"]) == ("REDRIVEN", True, CALLER)
    assert record["before"] == {"messages": {"kms": [first], "logs": [second]}}
    assert "dead letters sent back to their queues: 1 to kms, 1 to logs" in record["reason"]
    assert f"Caused by: {CALLER} with Redrive at " in alert.outcome(record, HOME).text
    assert (bodies(world, QUEUE_URL), bodies(world, LOGS_URL)) == (["one"], ["two"])
    assert [message["MessageId"] for message in world.messages(DLQ_URL)] == [other]


def test_a_crash_leaves_the_letter_and_what_was_asked_stands_in_the_audit(world: World, sts: str) -> None:
    """If this fails, a letter is lost on its way, or is sent without a record."""
    first = letter("one")
    world.wire.crash("dynamodb", "TransactWriteItems")
    with pytest.raises(Crash):
        redrive(sts, {"kms": [first]})
    assert (world.records(), bodies(world, QUEUE_URL)) == ([], [])
    world.wire.crash("sqs", "DeleteMessage")
    with pytest.raises(Crash):
        redrive(sts, {"kms": [first]})
    assert redrive(sts, {"kms": [first]})["sent"] == [first]
    assert bodies(world, QUEUE_URL) == ["one", "one"]
    assert world.outcomes() == ["REDRIVEN"] * 2


def test_what_is_not_there_or_not_reached_in_time_is_said_and_stays(world: World, sts: str) -> None:
    """If this fails, people believe that a letter is on its way which somebody else was just reading."""
    first, second = letter("one"), letter("two")
    done = redrive(sts, {"kms": [first, second, "m-0"]}, Context(remaining=lambda: 9_000))
    assert len(done["sent"]) == 1
    assert "m-0" in done["missing"]
    assert len(world.messages(DLQ_URL)) == 1


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ({}, "write 1 to 100 messages at a time"),
        ([], "write a list of message ids for each group"),
        ({"kms": []}, "write a list of message ids for each group"),
        ({"kms": [5]}, "write a list of message ids for each group"),
        ({"kms": ["x" * 101]}, "write a list of message ids for each group"),
        ({"kms": ["a", "a"]}, "write 1 to 100 messages at a time, each once"),
        ({"kms": ["a"], "logs": ["a"]}, "write 1 to 100 messages at a time, each once"),
        ({"kms": [f"{number}" for number in range(101)]}, "write 1 to 100 messages at a time"),
        ({"nowhere": ["a"]}, "no group 'nowhere'; enabled are kms, logs"),
    ],
)
def test_what_cannot_be_meant_sends_and_records_nothing(world: World, sts: str, groups: Any, told: str) -> None:
    """If this fails, a slip sends an event to a queue of other controls."""
    letter("one")
    assert told in redrive(sts, groups)["error"]["message"]
    assert (world.records(), bodies(world, QUEUE_URL)) == ([], [])


def test_who_is_not_proved_sends_nothing(world: World, sts: str) -> None:
    """If this fails, anybody who may invoke the clerk has events acted on again, in another's name."""
    first = letter("one")
    assert redrive(sts, {"kms": [first]}, caller=None)["error"]["kind"] == "UnprovedCallerError"
    assert "signed for another" in redrive(sts, {"kms": ["other"]}, redrive={"kms": [first]})["error"]["message"]
    payload = signed(sts, {"redrive": {"kms": [first]}})
    assert clerk.handler(payload, Context())["sent"] == [first]
    assert "used before" in clerk.handler(payload, Context())["error"]["message"]
    assert world.outcomes() == ["REDRIVEN"]
