"""The Lambda handler of a group: what becomes of each message, good or bad."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.events.message import decode, encode
from evenkeel.lambda_handler import remediator
from evenkeel.queue_messages import MAX_RECEIVES
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel.settings.loaded_mark import KEY as MARK
from tests.runs import opened
from tests.sts import signed
from tests.tables import STATE
from tests.wire import READS, Crash
from tests.world import (
    ACCOUNT,
    PLACE,
    QUEUE_URL,
    REGION,
    Context,
    client,
    cloudtrail,
    logged,
    request,
    sqs_event,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.model import Request
    from tests.world import World

    Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

NO_GRANT = "User: role is not authorized to perform it because no identity-based policy allows the action"
FINE: dict[str, Any] = {"batchItemFailures": []}


@pytest.fixture
def kms() -> Handler:
    """Return the handler of the KMS group."""
    return remediator("kms")


@pytest.fixture
def logs() -> Handler:
    """Return the handler of the log groups, which has two controls."""
    return remediator("logs")


@pytest.fixture
def key(world: World) -> str:
    """Return the ARN of a key that does not rotate."""
    arn = client("kms").create_key()["KeyMetadata"]["Arn"]
    world.wire.clear()
    return arn


def _created(arn: str, **detail: Any) -> dict[str, Any]:
    return cloudtrail("kms.amazonaws.com", "CreateKey", **{"responseElements": {"keyMetadata": {"arn": arn}}, **detail})


def _run(url: str, handler: Handler) -> dict[str, Any]:
    """Open a run of the key rotation; return what a payload that changes keys names."""
    run = opened(lambda payload: handler(signed(url, payload), Context()), "kms-key-rotation")
    return {"control": "kms-key-rotation", "dry_run": False, "run": run}


def _changes(world: World) -> list[str]:
    """Return the calls that are not reads, but for the worker's note that it has loaded settings."""
    others = [made for made in world.wire.calls if made.params.get("Key") != wire({"pk": MARK})]
    return [f"{made.service}:{made.operation}" for made in others if not made.operation.startswith(READS)]


def _returned(world: World) -> list[Request]:
    from evenkeel.control.registry import all_controls  # noqa: PLC0415 - one user

    controls = tuple(all_controls().values())
    return [decode(json.loads(message["Body"]), controls, PLACE) for message in world.messages(QUEUE_URL)]


def test_event_is_repaired_and_nothing_comes_back(
    world: World, kms: Handler, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, the whole way of an event is broken."""
    assert kms(sqs_event(_created(key)), Context()) == FINE
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]
    assert client("kms").get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]
    assert (world.messages(QUEUE_URL), world.dead()) == ([], [])
    assert logged(caplog) == {"REMEDIATED": 1}
    record = world.records()[-1]
    assert record["actor"]["owner"] == "alice"
    assert record["cause"]["event_name"] == "CreateKey"


def test_message_without_time_left_waits_for_another_batch(world: World, kms: Handler, key: str) -> None:
    """If this fails, a slow batch runs into the function's time limit and its last messages end as dead letters."""
    late = Context(remaining=lambda: 19_000)
    assert kms(sqs_event(_created(key)), late) == FINE
    assert world.wire.changes() == ["sqs:SendMessage"]
    (back,) = _returned(world)
    assert (back.resource.arn, back.attempt) == (key, 1)


def test_crash_is_redelivered_and_finished(
    world: World, kms: Handler, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, a worker's death is not reported to the queue, or what it left open is not finished."""
    world.wire.crash("dynamodb", "TransactWriteItems", skip=1)
    assert kms(sqs_event(_created(key)), Context()) == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert logged(caplog)["crashed"] == 1
    item = unwire(client("dynamodb").scan(TableName=STATE, FilterExpression="attribute_exists(head)")["Items"][0])
    client("dynamodb").update_item(
        TableName=STATE,
        Key={"pk": {"S": item["pk"]}},
        UpdateExpression="SET lease_until = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )
    assert kms(sqs_event(_created(key), receives=2), Context()) == FINE
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


@pytest.mark.parametrize("receives", [MAX_RECEIVES, MAX_RECEIVES + 1])
def test_fifth_crash_is_a_dead_letter_with_its_reason(
    world: World, kms: Handler, key: str, receives: int, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, a message that always crashes loops, or dies without anyone knowing why."""
    world.wire.fail("kms", "GetKeyRotationStatus", "InvalidArnException", "odd key")
    event = _created(key)
    assert kms(sqs_event(event, receives=receives), Context()) == FINE
    [(body, reason)] = world.dead()
    assert json.loads(body) == event
    assert reason.startswith("Crashed: ")
    assert "odd key" in reason
    said = logged(caplog)
    assert (said["crashed"], said["dead letter"]) == (1, 1)


@pytest.mark.parametrize("receives", [1, MAX_RECEIVES - 1])
def test_earlier_crashes_are_redelivered(world: World, kms: Handler, key: str, receives: int) -> None:
    """If this fails, a message is given up at its first trouble."""
    world.wire.fail("kms", "GetKeyRotationStatus", "InvalidArnException", "odd key")
    assert kms(sqs_event(_created(key), receives=receives), Context())["batchItemFailures"]
    assert world.dead() == []


def test_one_bad_message_does_not_take_the_batch_with_it(world: World, kms: Handler, key: str) -> None:
    """If this fails, a good message is delivered again, or lost, because of its neighbour."""
    other = client("kms").create_key()["KeyMetadata"]["Arn"]
    world.wire.when("kms", "GetKeyRotationStatus", _die_for(key), times=-1)
    answer = kms(sqs_event(_created(key), _created(other), "no JSON"), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert [record["resource"] for record in world.records()] == [other, other]
    assert len(world.dead()) == 1


def _die_for(arn: str) -> Callable[[dict[str, Any]], None]:
    def act(params: dict[str, Any]) -> None:
        if arn.endswith(params["KeyId"]):
            raise Crash(arn)

    return act


def test_one_crashing_control_does_not_stop_the_other(world: World, logs: Handler) -> None:
    """If this fails, a bug in one control leaves resources to rot that another could mend."""
    client("logs").create_log_group(logGroupName="/app/orders")
    world.wire.crash("logs", "AssociateKmsKey")
    event = cloudtrail("logs.amazonaws.com", "CreateLogGroup", requestParameters={"logGroupName": "/app/orders"})
    assert logs(sqs_event(event), Context())["batchItemFailures"]
    [group] = client("logs").describe_log_groups()["logGroups"]
    assert (group.get("kmsKeyId"), group["retentionInDays"]) == (None, 365)


def test_two_crashing_controls_are_both_told(world: World, logs: Handler) -> None:
    """If this fails, the dead letter of two crashes names only one or none."""
    client("logs").create_log_group(logGroupName="/app/orders")
    world.wire.crash("logs", "AssociateKmsKey")
    world.wire.crash("logs", "PutRetentionPolicy")
    event = cloudtrail("logs.amazonaws.com", "CreateLogGroup", requestParameters={"logGroupName": "/app/orders"})
    logs(sqs_event(event, receives=MAX_RECEIVES), Context())
    [(_, reason)] = world.dead()
    assert "AssociateKmsKey" in reason
    assert "PutRetentionPolicy" in reason


def test_missing_grant_is_a_dead_letter_that_can_be_sent_again(
    world: World, kms: Handler, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, a defect of the stack's policies is retried in vain or lost."""
    world.wire.fail("kms", "EnableKeyRotation", "AccessDeniedException", NO_GRANT)
    assert kms(sqs_event(_created(key)), Context()) == FINE
    [(body, reason)] = world.dead()
    assert reason.startswith("NotGranted")
    assert "kms:enable_key_rotation" in reason
    assert logged(caplog)["dead letter"] == 1
    assert kms(sqs_event(body), Context()) == FINE
    assert client("kms").get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]


def test_throttled_request_comes_back_as_itself(world: World, kms: Handler, key: str) -> None:
    """If this fails, what caused the finding is forgotten on the way through the queue."""
    world.wire.fail("kms", "EnableKeyRotation", "ThrottlingException")
    assert kms(sqs_event(_created(key)), Context()) == FINE
    [back] = _returned(world)
    assert (back.attempt, back.creates, back.actor.owner) == (1, True, "alice")
    assert kms(sqs_event(encode(back)), Context()) == FINE
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_returned_message_says_why_and_waits(world: World, kms: Handler, key: str) -> None:
    """If this fails, messages spin in the queue, or nobody can tell why they are there."""
    event = _created(key, userAgent="APN/1.0 HashiCorp/1.0 Terraform/1.9.0")
    assert kms(sqs_event(event), Context()) == FINE
    [made] = world.wire.params("SendMessage")
    assert 50 <= made["DelaySeconds"] <= 60
    assert "Terraform" in made["MessageAttributes"]["reason"]["StringValue"]
    assert made["MessageAttributes"]["origin"]["StringValue"] == QUEUE_URL
    assert not [name for name in world.wire.names() if name.startswith("kms:")]


@pytest.mark.parametrize(("hours", "dead"), [(5.9, False), (6.1, True)])
def test_six_hours_of_returns_end_in_the_dead_letters(
    world: World, kms: Handler, key: str, hours: float, dead: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, a request that never gets ready goes round for ever, or is given up too soon."""
    first = (datetime.now(UTC) - timedelta(hours=hours)).isoformat()
    wish = request("kms-key-rotation", key, attempt=30, first_seen=first)
    world.wire.fail("kms", "GetKeyRotationStatus", "ThrottlingException", times=3)
    assert kms(sqs_event(encode(wish)), Context()) == FINE
    letters = world.dead()
    assert bool(letters) is dead
    assert bool(_returned(world)) is not dead
    if dead:
        assert letters[0][1].startswith("GaveUp: for six hours: not ready")
        assert logged(caplog)["dead letter"] == 1


@pytest.mark.parametrize(
    "document",
    [
        "no JSON",
        '{"schema_version": 2}',
        '{"schema_version": 1, "controls": {"kms-key-rotation": {"mode": "destroy"}}}',
        '{"schema_version": 1, "controls": {"kms-key-rotation": {"parameters": {"period_days": 3}}}}',
    ],
)
def test_settings_that_are_not_valid_change_nothing(world: World, kms: Handler, key: str, document: str) -> None:
    """If this fails, Evenkeel acts on settings that nobody can have meant."""
    world.settings(document)
    world.wire.clear()
    assert kms(sqs_event(_created(key)), Context()) == FINE
    assert _changes(world) == ["sqs:SendMessage"]
    assert [back.attempt for back in _returned(world)] == [1]


def test_settings_that_cannot_be_read_change_nothing(world: World, kms: Handler, key: str) -> None:
    """If this fails, Evenkeel acts on defaults while the settings are out of reach."""
    world.wire.fail("appconfigdata", "StartConfigurationSession", "AccessDeniedException", NO_GRANT, times=9)
    assert kms(sqs_event(_created(key)), Context()) == FINE
    assert _changes(world) == ["sqs:SendMessage"]
    assert world.wire.params("SendMessage")[0]["DelaySeconds"] == 60


DEEP = "[" * 100_000
BIG = json.dumps({"detail-type": "x", "detail": "y" * 256_000})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("hello", "not JSON"),
        (DEEP, "not JSON"),
        ("[]", "expected a JSON object, got list"),
        ("null", "expected a JSON object, got NoneType"),
        ("{}", "neither an EventBridge event"),
        (BIG, "neither an EventBridge event"),
        (json.dumps({"request": {}}), "schema version"),
        (json.dumps({"schema_version": 1, "request": None}), "unknown form"),
        (json.dumps({"schema_version": 1, "request": {"control": 1}}), "unknown form"),
        (json.dumps(_created("", responseElements=None)), "CreateKey names no resource"),
        (json.dumps(_created("arn:aws:kms:eu-west-1:123456789012:key/a b\u0000c")), "CreateKey names no resource"),
        (json.dumps(_created("arn:aws:kms:eu-west-1:123456789012:key/" + "x" * 2000)), "names no resource"),
        (json.dumps(cloudtrail("kms.amazonaws.com", "DisableKeyRotation")), "DisableKeyRotation names no resource"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_malformed_messages_are_dead_letters_with_a_reason(
    world: World, kms: Handler, body: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, bad input crashes the worker, loops in the queue or vanishes."""
    assert kms(sqs_event(body), Context()) == FINE
    [(dead, why)] = world.dead()
    assert dead == body
    assert why.startswith("Malformed: ")
    assert reason in why
    assert logged(caplog) == {"dead letter": 1}
    assert world.records() == []


OWN = {
    "type": "AssumedRole",
    "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/kms/x",
    "sessionContext": {"sessionIssuer": {"arn": f"arn:aws:iam::{ACCOUNT}:role/evenkeel/stack-kms", "type": "Role"}},
}
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (_created(KEY, errorCode="AccessDenied"), "the call failed with AccessDenied"),
        (_created(KEY, userIdentity=OWN), "Evenkeel itself made the call"),
        (_created(KEY, recipientAccountId="210987654321"), "it is from account 210987654321"),
        ({**_created(KEY), "account": "210987654321"}, "it is from account"),
        (_created(KEY, awsRegion="us-east-1"), "it is from region us-east-1"),
        (_created(KEY.replace(REGION, "us-east-1")), "no control of this group"),
        (cloudtrail("kms.amazonaws.com", "CreateAlias"), "no control of this group"),
        (cloudtrail("sqs.amazonaws.com", "CreateKey"), "no control of this group"),
    ],
)
def test_foreign_messages_are_dropped_with_a_line_in_the_log(
    world: World, kms: Handler, event: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, events that are none of our business are acted on, or fill the dead letters."""
    assert kms(sqs_event(event), Context()) == FINE
    assert world.dead() == []
    assert world.wire.changes() == []
    assert logged(caplog) == {"irrelevant": 1}


def test_payload_of_256_kilobytes_is_served(world: World, kms: Handler, key: str) -> None:
    """If this fails, a large event is lost."""
    event = _created(key, requestParameters={"policy": "x" * 250_000})
    assert kms(sqs_event(event), Context()) == FINE
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_person_gets_a_dry_run_unless_told_otherwise(world: World, sts: str, kms: Handler, key: str) -> None:
    """If this fails, a person who only looks changes something."""
    world.wire.clear()
    answer = kms({"control": "kms-key-rotation", "resources": [key]}, Context())
    assert _changes(world) == []
    assert answer["dry_run"]
    [found] = answer["results"]
    assert found["outcome"] == "WOULD_APPLY"
    assert found["calls"] == [
        f"aws kms enable-key-rotation --key-id {key.rpartition('/')[2]} --rotation-period-in-days 365 --region {REGION}"
    ]
    answer = kms({**_run(sts, kms), "resources": "all"}, Context())
    assert [result["outcome"] for result in answer["results"]] == ["REMEDIATED"]
    assert world.records()[-1]["cause"]["origin"] == "manual"


def test_person_is_told_of_a_return_and_it_comes_back(world: World, sts: str, kms: Handler, key: str) -> None:
    """If this fails, a throttled backfill loses resources."""
    world.wire.fail("kms", "EnableKeyRotation", "ThrottlingException")
    answer = kms({**_run(sts, kms), "resources": [key]}, Context())
    assert answer["results"][0]["outcome"] == "RETURNED"
    assert [back.cause.origin for back in _returned(world)] == ["manual"]


def test_dry_run_that_is_throttled_leaves_nothing_in_the_queue(world: World, kms: Handler, key: str) -> None:
    """If this fails, a look changes something later."""
    world.wire.fail("kms", "GetKeyRotationStatus", "ThrottlingException", times=3)
    answer = kms({"control": "kms-key-rotation", "resources": [key]}, Context())
    assert answer["results"][0]["outcome"] == "RETURNED"
    assert world.messages(QUEUE_URL) == []


@pytest.mark.parametrize("payload", [{}, [], "x", {"control": "kms-key-rotatio"}])
def test_person_is_told_what_is_wrong(world: World, kms: Handler, payload: Any) -> None:
    """If this fails, a typo in a manual payload is a stack trace."""
    assert kms(payload, Context())["error"]["kind"] == "MalformedPayloadError"


def test_person_is_told_of_bad_settings(world: World, kms: Handler, key: str) -> None:
    """If this fails, a person acts on settings that are not valid."""
    world.settings("{}")
    answer = kms({"control": "kms-key-rotation", "resources": [key]}, Context())
    assert "schema_version" in answer["error"]["message"]
