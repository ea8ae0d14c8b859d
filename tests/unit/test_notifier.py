"""The notifier: what the audit table's stream says becomes an alert and an event, or nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit.records import seal
from evenkeel.model import Actor, Cause
from evenkeel.runtime.dynamodb import wire
from notifier.handler import handler
from tests.tables import STATE
from tests.unit import test_alert
from tests.world import ACCOUNT, REGION, Context, client, logged, metrics

if TYPE_CHECKING:
    from tests.world import World

FINE: dict[str, Any] = {"batchItemFailures": []}
RECORD: dict[str, Any] = {
    **test_alert.RECORD,
    "actor": {**asdict(Actor()), **test_alert.RECORD["actor"]},
    "cause": {**asdict(Cause("cloudtrail")), **test_alert.RECORD["cause"]},
}
OUTCOME = seal({**RECORD, "announce": True}, "")
EXPIRED = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture
def inbox(world: World, variables: pytest.MonkeyPatch) -> str:
    """Return the URL of a queue that hears the topic."""
    topic = client("sns").create_topic(Name="alerts")["TopicArn"]
    bus = client("events").create_event_bus(Name="evenkeel")["EventBusArn"]
    url = client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:inbox",
        Attributes={"RawMessageDelivery": "true"},
    )
    variables.setenv("EVENKEEL_TOPIC_ARN", topic)
    variables.setenv("EVENKEEL_BUS_NAME", bus)
    world.wire.clear()
    return url


def heads(record: dict[str, Any]) -> None:
    """Let the state item say that a record is the last of its chain."""
    item = {"pk": f"{record['control']}#{record['resource']}", "head": record["hash"]}
    client("dynamodb").put_item(TableName=STATE, Item=wire(item))


def written(record: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """Return what the stream tells of a record that the engine wrote."""
    heads(record)
    return _changed("INSERT", record, number=number)


def _changed(
    name: str, new: dict[str, Any] | None = None, old: dict[str, Any] | None = None, number: int = 1, **more: Any
) -> dict[str, Any]:
    images: dict[str, Any] = {
        "Keys": wire({key: RECORD[key] for key in ("resource", "record_id")}), "SequenceNumber": str(number),
    }  # fmt: skip
    images |= {"NewImage": wire(new)} if new else {}
    images |= {"OldImage": wire(old)} if old else {}
    return {"eventName": name, "dynamodb": images, "eventSource": "aws:dynamodb", "eventID": str(number), **more}


def test_outcome_is_told_to_people_and_machines(world: World, inbox: str, caplog: pytest.LogCaptureFixture) -> None:
    """If this fails, a change is audited and nobody hears of it."""
    before = seal({**RECORD, "announce": True, "before": {"secret": "kept in the audit"}, "after": {}}, "")
    assert handler({"Records": [written(before)]}, Context()) == FINE
    [message] = world.messages(inbox)
    assert "Keys rotate." in message["Body"]
    assert message["MessageAttributes"]["outcome"]["StringValue"] == "REMEDIATED"
    [[entry]] = [made["Entries"] for made in world.wire.params("PutEvents")]
    assert (entry["Source"], entry["DetailType"]) == ("evenkeel", "Evenkeel Outcome")
    assert entry["Resources"] == [RECORD["resource"]]
    detail = json.loads(entry["Detail"])
    assert (detail["record_id"], detail["calls"]) == ("r-1", RECORD["calls"])
    assert not {"before", "after", "title", "hash"} & set(detail)
    assert logged(caplog)["announced"] == 1


def test_tags_of_the_resource_say_which_template_is_to_be_mended(world: World, inbox: str) -> None:
    """If this fails, people mend a resource and its stack's next deployment weakens it again."""
    tags = [{"Key": "aws:cloudformation:stack-name", "Value": "shop"}]
    found = {"ResourceTagMappingList": [{"ResourceARN": RECORD["resource"], "Tags": tags}]}
    world.wire.answer("resourcegroupstaggingapi", "GetResources", found)
    assert handler({"Records": [written(OUTCOME)]}, Context()) == FINE
    [message] = world.messages(inbox)
    assert "Template: The CloudFormation stack shop created it: fix it there, too" in message["Body"]
    assert world.wire.params("GetResources") == [{"ResourceARNList": [RECORD["resource"]]}]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_alert_goes_out_without_the_tags(world: World, inbox: str, code: str) -> None:
    """If this fails, an alert is lost because of a look that is none of its business."""
    world.wire.fail("resourcegroupstaggingapi", "GetResources", code, times=9)
    assert handler({"Records": [written(OUTCOME)]}, Context()) == FINE
    [message] = world.messages(inbox)
    assert f"Tags: cannot be read ({code})" in message["Body"]


def test_what_cannot_be_tagged_needs_no_tags(world: World, inbox: str) -> None:
    """If this fails, each alert about an account's one setting says that its tags cannot be read."""
    world.wire.fail("resourcegroupstaggingapi", "GetResources", "InvalidParameterException")
    assert handler({"Records": [written(OUTCOME)]}, Context()) == FINE
    [message] = world.messages(inbox)
    assert "Tags" not in message["Body"]


def test_large_record_is_told_like_any_other(world: World, inbox: str) -> None:
    """If this fails, one record that is too large for the topic or the bus keeps all later ones from being told."""
    large = [{"service": "s3", "operation": "put_bucket_policy", "params": {"Policy": "€" * 1500}}] * 40
    record = seal({**RECORD, "announce": True, "calls": large, "undo": large}, "")
    assert handler({"Records": [written(record)]}, Context()) == FINE
    assert len(world.messages(inbox)) == 1
    [[entry]] = [made["Entries"] for made in world.wire.params("PutEvents")]
    assert len(entry["Detail"].encode()) < 256_000
    assert json.loads(entry["Detail"])["left_out"] == ["undo"]


@pytest.mark.parametrize("outcome", ["EXPIRING", "DROPPED"])
def test_what_is_about_evenkeel_itself_has_no_tags(world: World, inbox: str, outcome: str) -> None:
    """If this fails, every such alert says that tags cannot be read which nobody could have set."""
    record = seal({**RECORD, "announce": True, "outcome": outcome}, "")
    assert handler({"Records": [written(record)]}, Context()) == FINE
    assert len(world.messages(inbox)) == 1
    assert world.wire.params("GetResources") == []


@pytest.mark.parametrize(
    "record",
    [
        {**RECORD, "step": "PLANNED"},
        {**RECORD, "announce": False},
        {**RECORD, "announce": True, "outcome": "APPLIED"},
    ],
)
def test_what_is_not_for_people_is_silent(world: World, inbox: str, record: dict[str, Any]) -> None:
    """If this fails, people are told of plans, of half-done changes, or of a denial for the hundredth time."""
    event = written(seal(record, ""))
    world.wire.clear()
    assert handler({"Records": [event]}, Context()) == FINE
    assert world.wire.changes() == []


def test_record_that_expired_is_silent(world: World, inbox: str) -> None:
    """If this fails, every old record raises a critical alert when its time is over."""
    event = _changed("REMOVE", old=OUTCOME, userIdentity=EXPIRED)
    assert handler({"Records": [event]}, Context()) == FINE
    assert world.wire.changes() == []


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (_changed("REMOVE", old=OUTCOME), "REMOVE of the whole record"),
        (_changed("REMOVE", old=OUTCOME, userIdentity={**EXPIRED, "principalId": "x"}), "REMOVE of the whole record"),
        (_changed("MODIFY", {**OUTCOME, "reason": "fine"}, OUTCOME), "MODIFY of reason"),
        (_changed("MODIFY", {**OUTCOME, "reason": "fine"}, OUTCOME, userIdentity=EXPIRED), "MODIFY of reason"),
        (_changed("REMOVE"), "REMOVE of the whole record"),
    ],
)
def test_tampering_is_told(
    world: World, inbox: str, event: dict[str, Any], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, an audit record can be changed or removed without an alarm."""
    assert handler({"Records": [event]}, Context()) == FINE
    [message] = world.messages(inbox)
    assert told in message["Body"]
    assert message["MessageAttributes"]["severity"]["StringValue"] == "CRITICAL"
    [[entry]] = [made["Entries"] for made in world.wire.params("PutEvents")]
    assert entry["DetailType"] == "Evenkeel Tampering"
    assert metrics(capsys.readouterr().out) == {"Tampering": 1}


def test_failure_of_the_bus_sends_that_record_again_and_no_other(world: World, inbox: str) -> None:
    """If this fails, an event that the bus refused is lost, or good records are told twice for it."""
    failure = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
    world.wire.answer("events", "PutEvents", failure)
    batch = [written(OUTCOME, 1), written(OUTCOME, 2)]
    assert handler({"Records": batch}, Context()) == {"batchItemFailures": [{"itemIdentifier": "1"}]}


def test_failure_of_the_topic_sends_the_record_again(world: World, inbox: str) -> None:
    """If this fails, an alert that SNS refused is lost."""
    world.wire.fail("sns", "Publish", "InternalErrorException", status=500)
    answer = handler({"Records": [written(OUTCOME)]}, Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert world.wire.params("PutEvents") == []


@pytest.mark.parametrize(
    "planted",
    [
        {"record_id": "r", "resource": "x"},
        {**OUTCOME, "reason": "fine"},
        {**OUTCOME, "hash": ""},
        seal({**RECORD, "announce": True, "outcome": "EXCELLENT"}, ""),
        seal({**RECORD, "announce": "yes"}, ""),
        seal({**RECORD, "announce": True, "actor": "alice"}, ""),
        seal({**RECORD, "announce": True, "previous_expires_at": [5], "title": 5}, ""),
        seal({**RECORD, "announce": True, "actor": {}}, ""),
        seal({**RECORD, "announce": True, "actor": {**RECORD["actor"], "user_agent": 5}}, ""),
        seal({**RECORD, "announce": True, "actor": {**RECORD["actor"], "shoe_size": "9"}}, ""),
        seal({**RECORD, "announce": True, "cause": {"origin": "cloudtrail"}}, ""),
        seal({**RECORD, "announce": True, "calls": [5]}, ""),
        seal({**RECORD, "announce": True, "sent_with": "r-2"}, ""),
        seal({**RECORD, "announce": True, "undo": [{"service": "kms"}]}, ""),
        seal({**RECORD, "announce": True, "detail": None}, ""),
        seal({**RECORD, "announce": True, "step": "DONE"}, ""),
        {**OUTCOME, "expires_at": b"soon"},
    ],
)
def test_record_that_evenkeel_did_not_write_is_told_as_planted(
    world: World, inbox: str, planted: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, a record of another shape is told as if Evenkeel had done it, vanishes, or blocks the stream."""
    heads({**RECORD, "hash": planted.get("hash") or "x"})
    assert handler({"Records": [_changed("INSERT", planted)]}, Context()) == FINE
    [message] = world.messages(inbox)
    assert message["MessageAttributes"]["kind"]["StringValue"] == "Tampering"
    assert metrics(capsys.readouterr().out) == {"Tampering": 1}


def test_record_of_a_later_release_waits_and_a_planted_one_does_not(world: World, inbox: str) -> None:
    """If this fails, an update is announced as tampering, or whoever plants a record stops all alerts."""
    later = seal({**OUTCOME, "schema_version": 2, "shape": "another"}, "")
    again = {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert handler({"Records": [written(later)]}, Context()) == again
    assert world.messages(inbox) == []
    heads({**later, "hash": "f" * 64})
    assert handler({"Records": [_changed("INSERT", later)]}, Context()) == FINE
    [message] = world.messages(inbox)
    assert message["MessageAttributes"]["kind"]["StringValue"] == "Tampering"


def test_image_that_is_no_plain_data_is_told_as_planted(world: World, inbox: str) -> None:
    """If this fails, a planted record of bytes or sets blocks the stream, and no alert comes any more."""
    event = _changed("INSERT", OUTCOME)
    event["dynamodb"]["NewImage"]["reason"] = {"NOTYPE": "x"}
    assert handler({"Records": [event]}, Context()) == FINE
    [message] = world.messages(inbox)
    assert message["MessageAttributes"]["kind"]["StringValue"] == "Tampering"
