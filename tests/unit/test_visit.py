"""One visit: what several controls ask about one resource is asked once, and a crash of one is its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import groups
from evenkeel.events.parsing import parse
from evenkeel.lambda_handler import remediator
from evenkeel.queue_messages import MAX_RECEIVES
from evenkeel.runtime.aws import Aws
from tests.factories import awslambda, dynamodb
from tests.world import PLACE, Context, client, cloudtrail, sqs_event

if TYPE_CHECKING:
    from tests.world import World

ENFORCE = {"mode": "enforce"}


def _enforced(*names: str) -> dict[str, Any]:
    return {"schema_version": 1, "controls": dict.fromkeys(names, ENFORCE)}


def _group(name: str) -> tuple[str, ...]:
    return tuple(control.id for control in groups()[name])


def _made(world: World, service: str) -> list[str]:
    return [name.partition(":")[2] for name in world.wire.names() if name.startswith(f"{service}:")]


def _new_function() -> dict[str, Any]:
    name = awslambda.function("orders").rpartition(":")[2]
    return cloudtrail(
        "lambda.amazonaws.com",
        "CreateFunction20150331",
        requestParameters={"functionName": name},
        responseElements={
            "functionArn": client("lambda").get_function(FunctionName=name)["Configuration"]["FunctionArn"]
        },
    )


def test_new_function_costs_one_read_one_write_and_one_proof(world: World) -> None:
    """If this fails, each control of a group reads a new function for itself."""
    world.settings(_enforced(*_group("lambda")))
    event = _new_function()
    world.wire.calls.clear()
    remediator("awslambda")(sqs_event(event), Context())
    read = "GetFunctionConfiguration"
    assert _made(world, "lambda") == [read, "UpdateFunctionConfiguration", read]


@pytest.mark.usefixtures("world")
def test_each_control_gets_its_own_copy_of_a_shared_answer() -> None:
    """If this fails, what one control does to an answer changes what another judges."""
    dynamodb.table("orders")
    answers: dict[tuple[str, str, str], Any] = {}
    aws = Aws(client)
    first = aws.sharing(answers)("dynamodb", "describe_table", TableName="orders")
    first["Table"]["TableStatus"] = "spoiled"
    second = aws.sharing(answers)("dynamodb", "describe_table", TableName="orders")
    assert second["Table"]["TableStatus"] == "ACTIVE"
    assert aws.made == [("dynamodb", "describe_table")]


@pytest.mark.usefixtures("world")
def test_control_that_asks_twice_is_answered_twice() -> None:
    """If this fails, a last look before a change gets the first look's answer, and what others wrote since is lost."""
    dynamodb.table("orders")
    aws = Aws(client)
    reads = aws.sharing({})
    for _ in range(2):
        reads("dynamodb", "describe_table", TableName="orders")
    assert len(aws.made) == 2


@pytest.mark.parametrize(("receives", "letters"), [(1, []), (MAX_RECEIVES, [["logs-group-encryption"]])])
def test_crashing_control_becomes_a_dead_letter_alone(world: World, receives: int, letters: list[list[str]]) -> None:
    """If this fails, a defect of one control takes the findings of the others with it into the dead letters."""
    client("logs").create_log_group(logGroupName="/app/orders")
    world.wire.crash("logs", "AssociateKmsKey")
    event = cloudtrail("logs.amazonaws.com", "CreateLogGroup", requestParameters={"logGroupName": "/app/orders"})
    answer = remediator("logs")(sqs_event(event, receives=receives), Context())
    assert bool(answer["batchItemFailures"]) is (receives < MAX_RECEIVES)
    ended = {record["control"]: record["outcome"] for record in world.records() if record["step"] == "OUTCOME"}
    assert ended == {"logs-group-retention": "REMEDIATED"}
    dead = [(parse(json.loads(body), groups()["logs"], PLACE).requests, reason) for body, reason in world.dead()]
    assert [[request.control for request in requests] for requests, _ in dead] == letters
    assert all(reason.startswith("Crashed: ") for _, reason in dead)


def test_tags_that_rules_ask_for_are_read_once(world: World) -> None:
    """If this fails, each control of a group reads the tags of one resource for itself."""
    unless_owned = {"mode": "enforce", "overrides": [{"tags": {"Team": ["none"]}, "mode": "off"}]}
    world.settings({"schema_version": 1, "controls": dict.fromkeys(_group("logs"), unless_owned)})
    client("logs").create_log_group(logGroupName="/app/orders")
    event = cloudtrail("logs.amazonaws.com", "CreateLogGroup", requestParameters={"logGroupName": "/app/orders"})
    world.wire.calls.clear()
    remediator("logs")(sqs_event(event), Context())
    assert _made(world, "resourcegroupstaggingapi") == ["GetResources"]
    assert {record["outcome"] for record in world.records() if record["step"] == "OUTCOME"} == {"REMEDIATED"}
