"""The types that are tagged: which of them are listed, and what their creation tells."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.events import parsing
from evenkeel.model import Actor
from evenkeel.runtime.aws import Aws
from tagging.types import TYPES
from tests import factories
from tests.contract.registry import EVENTS
from tests.world import PLACE, World, client, request

if TYPE_CHECKING:
    from collections.abc import Callable

TAGS = "tagging-required-tags"


def _event(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / TAGS / f"{name}.json").read_text())["event"]
    return found


def _named(event: dict[str, Any]) -> list[str]:
    parsed = parsing.parse(event, [all_controls()[TAGS]], PLACE)
    return [request.resource.arn for request in parsed.requests]


def _listed() -> set[str]:
    return set(all_controls()[TAGS].discover(Aws(client), PLACE))


def test_every_instance_of_a_run_is_looked_at() -> None:
    """If this fails, of many instances that one call started, one gets an owner."""
    event = deepcopy(_event("match-create-instance"))
    [first] = event["detail"]["responseElements"]["instancesSet"]["items"]
    event["detail"]["responseElements"]["instancesSet"]["items"] = [first, {**first, "instanceId": "i-2"}]
    assert [arn.rpartition("/")[2] for arn in _named(event)] == [first["instanceId"], "i-2"]


@pytest.mark.parametrize("spelling", ["arn", "aRN"])
def test_secrets_are_named_however_the_event_spells_it(spelling: str) -> None:
    """If this fails, a new secret's event goes to the dead letters."""
    event = deepcopy(_event("match-create-secret"))
    arn = event["detail"]["responseElements"].pop("arn")
    event["detail"]["responseElements"][spelling] = arn
    assert _named(event) == [arn]


def test_maker_is_proved_where_the_call_fails_on_what_exists() -> None:
    """If this fails, whoever repeats the creation of another's resource becomes its owner, or makers go unnamed."""
    unproved = {kind.cfn_type.split("::")[1] for kind in TYPES if not kind.proves_creator("eu-west-1")}
    assert unproved == {"ECS", "SNS", "SQS", "StepFunctions"}
    assert {kind.cfn_type for kind in TYPES if kind.repeats_in == "us-east-1"} == {"AWS::S3::Bucket"}


@pytest.mark.parametrize("make", [factories.queue, factories.topic])
def test_who_creates_anothers_resource_again_is_not_its_owner(world: World, make: Callable[[], str]) -> None:
    """If this fails, mallory becomes the owner of alice's queue by a call that changes nothing."""
    arn = make()
    assert make() == arn  # the call succeeds again
    document = {
        "schema_version": 1, "settle_seconds": 0,
        "controls": {TAGS: {"parameters": {"values": {"Project": "shop"}, "required": ["Owner", "Project"]}}},
    }  # fmt: skip
    wish = request(TAGS, arn, creates=True, actor=Actor(owner="mallory"))
    assert world.run(TAGS, wish, document=document).outcome == "PARTIAL"
    assert world.records()[-1]["calls"][0]["params"]["Tags"] == {"Project": "shop"}
    assert "no value is known for Owner" in world.records()[-1]["remains"]


def test_list_has_a_resource_of_every_type(world: World) -> None:
    """If this fails, a run over all leaves a type out."""
    made = {kind.cfn_type: factories.BY_TYPE[kind.cfn_type]() for kind in TYPES}
    assert set(made.values()) <= _listed()


def test_what_is_gone_or_kept_by_a_service_is_not_listed(world: World) -> None:
    """If this fails, instances that ended an hour ago, or RDS's own secrets, are called findings."""
    instance, gateway, secret = (
        factories.BY_TYPE[kind]()
        for kind in ("AWS::EC2::Instance", "AWS::EC2::NatGateway", "AWS::SecretsManager::Secret")
    )
    client("ec2").terminate_instances(InstanceIds=[instance.rpartition("/")[2]])
    world.wire.answer("ec2", "DescribeNatGateways", {"NatGateways": [{"NatGatewayId": "nat-1", "State": "deleted"}]})
    kept = {"ARN": f"{secret}-kept", "Name": "rds!db-1", "OwningService": "rds"}
    world.wire.answer("secretsmanager", "ListSecrets", {"SecretList": [kept, {"ARN": secret, "Name": "orders/api"}]})
    listed = _listed()
    assert not {instance, gateway, kept["ARN"]} & listed
    assert secret in listed


def test_every_type_says_how_it_is_tagged_on_its_own_service() -> None:
    """If this fails, the role may tag one service's resources with another's permissions."""
    for kind in TYPES:
        for action in (*kind.tag, *kind.untag, kind.listing.action, kind.look.action):
            assert action.startswith(f"{kind.service}:")
