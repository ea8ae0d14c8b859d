"""Dead letters are dropped in a person's name: audited first, deleted then, and only what was asked for."""

from __future__ import annotations

import hashlib
import json
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

EVENT = {"detail": {"eventID": "e-1", "eventName": "CreateKey", "eventSource": "kms.amazonaws.com",
                    "requestParameters": {"secret": "s3cret"}}}  # fmt: skip
BECAUSE = "the key is gone"
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture(autouse=True)
def _fresh(sts: str) -> Iterator[None]:
    assert sts
    clerk._aws.cache_clear()
    yield
    clerk._aws.cache_clear()


def _letter(body: object = EVENT, reason: str = "Crashed: KeyError") -> str:
    given = {"reason": reason, "origin": QUEUE_URL}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in given.items()}
    text = json.dumps(body)
    return str(
        client("sqs").send_message(QueueUrl=DLQ_URL, MessageBody=text, MessageAttributes=attributes)["MessageId"]
    )


def _drop(url: str, *messages: str, because: str = BECAUSE, context: Context | None = None, **other: Any) -> Any:
    payload = {**signed(url, {"drop": list(messages), "because": because}), **other}
    return clerk.handler(payload, context or Context())


def _left(world: World) -> list[str]:
    return [message["MessageId"] for message in world.messages(DLQ_URL)]


def test_what_is_dropped_is_audited_and_gone_and_the_rest_stays(world: World, sts: str) -> None:
    """If this fails, an event vanishes and nobody can say who did it and why, or another one vanishes with it."""
    first, other = _letter(), _letter({"other": 1})
    assert _drop(sts, first) == {"dropped": [first], "missing": []}
    (record,) = world.records()
    assert (record["outcome"], record["announce"], record["reason"]) == ("DROPPED", True, "Crashed: KeyError")
    assert record["actor"]["principal"] == CALLER
    assert record["detail"] == f"dropped by {CALLER}: {BECAUSE}"
    assert record["resource"] == f"arn:aws:sqs:eu-west-1:123456789012:evenkeel-test-dead-letters/{first}"
    kept = record["before"]
    assert (kept["message"], kept["origin"]) == (first, QUEUE_URL)
    assert kept["about"] == {name: EVENT["detail"][name] for name in ("eventID", "eventName", "eventSource")}
    assert kept["sha256"] == hashlib.sha256(json.dumps(EVENT).encode()).hexdigest()
    assert "s3cret" not in json.dumps(record)
    assert world.chains() == 1
    assert _left(world) == [other]  # at once: it is not hidden any more


def test_the_alert_names_who_why_and_what(world: World, sts: str) -> None:
    """If this fails, whoever wants an event forgotten can have it forgotten quietly."""
    _drop(sts, _letter())
    text = alert.outcome(world.records()[0], HOME).text
    for told in (f"Caused by: {CALLER} with Drop", "Crashed: KeyError", BECAUSE):
        assert told in text


def test_a_returned_request_is_named_by_its_control_and_resource(world: World, sts: str) -> None:
    """If this fails, the audit does not say which resource is not looked at any more."""
    request = {"control": "kms-key-rotation", "resource": {"arn": "arn:aws:kms:eu-west-1:123456789012:key/1"}}
    several = {"schema_version": 1, "requests": [request, {**request, "control": "kms-other"}]}
    _drop(sts, _letter({"schema_version": 1, "request": request}), _letter("no JSON of ours"), _letter(several))
    assert {json.dumps(record["before"]["about"]) for record in world.records()} == {
        json.dumps({"control": request["control"], "resource": "arn:aws:kms:eu-west-1:123456789012:key/1"}),
        json.dumps({"control": "kms-key-rotation, kms-other", "resource": "arn:aws:kms:eu-west-1:123456789012:key/1"}),
        "{}",
    }


def test_a_crash_in_between_keeps_the_letter_and_a_repeat_ends_it(world: World, sts: str) -> None:
    """If this fails, a letter is gone without a record, or is audited twice."""
    letter = _letter()
    world.wire.crash("dynamodb", "TransactWriteItems")
    with pytest.raises(Crash):
        _drop(sts, letter)
    assert world.records() == []
    world.wire.crash("sqs", "DeleteMessage")
    with pytest.raises(Crash):
        _drop(sts, letter)
    assert _drop(sts, letter)["dropped"] == [letter]
    assert world.outcomes() == ["DROPPED"]
    assert _left(world) == []


def test_what_is_not_there_is_said(world: World, sts: str) -> None:
    """If this fails, people believe that a letter is gone which somebody else was just reading."""
    letter = _letter()
    assert _drop(sts, letter, "m-0") == {"dropped": [letter], "missing": ["m-0"]}
    assert len(world.records()) == 1


def test_time_that_runs_out_leaves_the_rest(world: World, sts: str) -> None:
    """If this fails, the clerk is killed in the middle, and what it has read is hidden for a minute."""
    letters = [_letter(), _letter()]
    done = _drop(sts, *letters, context=Context(remaining=lambda: 9_000))
    assert len(done["dropped"]) == len(done["missing"]) == 1
    assert _left(world) == done["missing"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"drop": []}, "0 messages; write 1 to 100"),
        ({"drop": [f"m-{number}" for number in range(101)]}, "101 messages; write 1 to 100"),
        ({"drop": "m-1"}, "write a list of message ids"),
        ({"drop": [1]}, "write a list of message ids"),
        ({"because": " "}, "because: write a text"),
        ({"because": None}, "because: write a text"),
        ({"because": "x" * 1025}, "because: write a text of at most 1024 characters"),
        ({"all": True}, "drop: send"),
        ({"caller": None}, "send the headers that `evenkeel undo` signs"),
        ({"because": "another reason"}, "signed for another stack or request"),
        ({"drop": ["m-2"]}, "signed for another stack or request"),
    ],
)
def test_an_unproved_or_wrong_wish_drops_nothing(world: World, sts: str, wrong: dict[str, Any], told: str) -> None:
    """If this fails, anybody who may invoke the clerk can make events vanish, in another's name."""
    letter = _letter()
    payload = {**signed(sts, {"drop": [letter], "because": BECAUSE}), **wrong}
    assert told in clerk.handler(payload, Context())["error"]["message"]
    assert (world.records(), _left(world)) == ([], [letter])


def test_a_proof_serves_once(world: World, sts: str) -> None:
    """If this fails, whoever has seen one wish can send it again."""
    letter = _letter()
    payload = signed(sts, {"drop": [letter], "because": BECAUSE})
    assert clerk.handler(payload, Context())["dropped"] == [letter]
    assert "used before" in clerk.handler(payload, Context())["error"]["message"]
    assert len(world.records()) == 1
