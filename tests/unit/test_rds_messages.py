"""Findings of one database that share a message: served, returned, spoiled and crashed together and apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import groups
from evenkeel.errors import MalformedPayloadError
from evenkeel.events import parsing
from evenkeel.events.message import encode
from evenkeel.lambda_handler import remediator
from tests.factories.rds import instance
from tests.moto_gaps.rds import held
from tests.unit.databases import BOTH, ENFORCE, PROTECTION, PUBLIC, UNION, outcomes
from tests.world import PLACE, QUEUE_URL, Context, cloudtrail, request, sqs_event

if TYPE_CHECKING:
    from tests.world import World


def _created() -> dict[str, Any]:
    return cloudtrail("rds.amazonaws.com", "CreateDBInstance", requestParameters={"dBInstanceIdentifier": "orders"})


def test_one_event_is_one_call(world: World) -> None:
    """If this fails, what came together is served apart."""
    instance()
    world.settings(ENFORCE)
    world.wire.clear()
    assert remediator("rds")(sqs_event(_created()), Context()) == {"batchItemFailures": []}
    assert world.wire.params("ModifyDBInstance") == [UNION]
    assert world.messages(QUEUE_URL) == []


def test_what_came_together_waits_and_comes_back_together(world: World) -> None:
    """If this fails, a database that is still being made gets two calls, since its findings come back one by one."""
    arn = instance()
    world.settings(ENFORCE)
    world.wire.clear()
    with held(arn, "creating"):
        assert remediator("rds")(sqs_event(_created()), Context()) == {"batchItemFailures": []}
    [message] = world.messages(QUEUE_URL)
    assert message["MessageAttributes"]["reason"]["StringValue"] == "not ready: the database is creating"
    back = parsing.parse(json.loads(message["Body"]), groups()["rds"], PLACE).requests
    assert [(each.control, each.attempt, each.creates) for each in back] == [(each, 1, True) for each in BOTH]
    assert remediator("rds")(sqs_event(message["Body"]), Context()) == {"batchItemFailures": []}
    assert world.wire.params("ModifyDBInstance") == [UNION]
    assert outcomes(world) == dict.fromkeys(BOTH, "REMEDIATED")


def test_what_waits_for_different_times_parts(world: World) -> None:
    """If this fails, one finding waits as long as another one's proof takes."""
    arn = instance()
    world.settings(ENFORCE)
    wishes = [request(PROTECTION, arn, attempt=3, first_seen=world.now.isoformat()), request(PUBLIC, arn)]
    with held(arn, "modifying"):
        assert remediator("rds")(sqs_event(encode(*wishes)), Context()) == {"batchItemFailures": []}
    assert sorted(made["DelaySeconds"] for made in world.wire.params("SendMessage")) == [2, 16]
    assert len(world.messages(QUEUE_URL)) == 2


def test_crash_of_one_keeps_neither_the_other_nor_the_message(world: World) -> None:
    """If this fails, a crash in one control's way stops the other's, or is swallowed."""
    instance()
    world.settings(ENFORCE)
    world.wire.fail("rds", "DescribeDBInstances", "OddError")
    answer = remediator("rds")(sqs_event(_created()), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert list(outcomes(world).values()) == ["REMEDIATED"]
    assert remediator("rds")(sqs_event(_created(), receives=2), Context()) == {"batchItemFailures": []}
    assert outcomes(world) == dict.fromkeys(BOTH, "REMEDIATED")


@pytest.mark.parametrize(("left", "served"), [(27_000, False), (29_000, True)])
def test_two_in_step_need_more_time_than_one(world: World, left: int, served: bool) -> None:
    """If this fails, a slow proof of several changes is cut off by the function's time limit."""
    instance()
    world.settings(ENFORCE)
    remediator("rds")(sqs_event(_created()), Context(remaining=lambda: left))
    assert bool(outcomes(world)) is served
    assert len(world.messages(QUEUE_URL)) == (0 if served else 1)


@pytest.mark.parametrize("several", [[], "x", {}, None])
def test_message_of_several_that_holds_none_says_so(several: Any) -> None:
    """If this fails, a spoiled message of several requests crashes the worker or vanishes."""
    with pytest.raises(MalformedPayloadError, match="requests: expected a non-empty list"):
        parsing.parse({"schema_version": 1, "requests": several}, groups()["rds"], PLACE)


@pytest.mark.parametrize("odd", [{}, 1, None, [], {"control": "rds-renamed"}])
def test_odd_request_among_several_is_a_dead_letter_by_itself(world: World, odd: Any) -> None:
    """If this fails, a control that is renamed or gone takes the others' findings of a database with it."""
    arn = instance()
    world.settings(ENFORCE)
    good = encode(request(PUBLIC, arn))["request"]
    if isinstance(odd, dict) and odd:
        odd = {**good, **odd}
    message = {"schema_version": 1, "requests": [odd, good, good]}
    assert remediator("rds")(sqs_event(message), Context()) == {"batchItemFailures": []}
    assert outcomes(world) == {PUBLIC: "REMEDIATED"}
    assert len(world.wire.params("ModifyDBInstance")) == 1  # the same request twice is one
    [(body, reason)] = world.dead()
    assert json.loads(body) == {"schema_version": 1, "request": odd}
    assert reason.startswith("Malformed: ")


def test_way_back_that_fails_is_a_crash_of_the_message(world: World) -> None:
    """If this fails, what has to come again is lost while SQS is out of order."""
    arn = instance()
    world.settings(ENFORCE)
    world.wire.fail("sqs", "SendMessage", "ServiceUnavailable", status=503, times=9)
    with held(arn, "creating"):
        answer = remediator("rds")(sqs_event(_created()), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
