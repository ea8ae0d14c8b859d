"""The types that are tagged, on the real stack with IAM enforced: each gets its owner and keeps its own tags."""

from __future__ import annotations

import time
from inspect import signature
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel_cli.local.local_stack import OWNER, TAG_VALUES
from tagging.types import TYPES, Taggable
from tests.factories import BY_TYPE
from tests.sandbox.cli_stack import Place, eventually, on, strict
from tests.world import reaching

if TYPE_CHECKING:
    import boto3

    from tests.sandbox.shared import Shared

CONTROL = "tagging-required-tags"


@pytest.fixture(scope="module")
def place(shared: Shared) -> Place:
    """The real stack, which knows values for three of the four tags."""
    return on(shared, strict())


@pytest.fixture(scope="module")
def alice(place: Place, shared: Shared) -> boto3.Session:
    """An IAM user who may do everything."""
    return shared.user("alice")


def _tags(place: Place, arn: str) -> dict[str, str]:
    client = place.sandbox.client("resourcegroupstaggingapi")
    found = client.get_resources(ResourceARNList=[arn])["ResourceTagMappingList"]
    return {tag["Key"]: tag["Value"] for one in found for tag in one["Tags"]}


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.cfn_type)
def test_every_type_gets_its_tags_again_and_again(place: Place, alice: Any, kind: Taggable) -> None:
    """If this fails, a type is in the list and gets no owner, or nobody notices when its tags are taken off."""
    make = BY_TYPE[kind.cfn_type]
    named = {"name": "tagged"} if "name" in signature(make).parameters else {}
    with reaching(lambda service: place.sandbox.client(service, alice)):
        arn = make(**named)
    wanted = {**TAG_VALUES, "Owner": "alice" if kind.proves_creator(place.sandbox.region) else OWNER}
    place.outcome(arn, control=CONTROL)
    assert _tags(place, arn) == wanted
    api = place.sandbox.client("resourcegroupstaggingapi", alice)
    api.tag_resources(ResourceARNList=[arn], Tags={"team": "checkout"})
    api.untag_resources(ResourceARNList=[arn], TagKeys=["Project"])
    eventually(lambda: _tags(place, arn).get("Project"), "the tag that was taken off")
    assert _tags(place, arn) == {**wanted, "team": "checkout"}


def test_undo_takes_off_what_was_added_and_holds(place: Place, alice: Any) -> None:
    """If this fails, tags that were added stay after an undo, or are added again at the next change."""
    client = place.sandbox.client("ecr", alice)
    arn = client.create_repository(repositoryName="shop/mail")["repository"]["repositoryArn"]
    record = place.outcome(arn, control=CONTROL)
    assert place.run("undo", record["record_id"], "--yes").exit_code == 0
    assert _tags(place, arn) == {}
    client.tag_resource(resourceArn=arn, tags=[{"Key": "team", "Value": "mail"}])
    time.sleep(2)
    assert _tags(place, arn) == {"team": "mail"}


def test_secret_that_a_service_keeps_is_left(place: Place, alice: Any) -> None:
    """If this fails, RDS's own secrets are tagged, or their events fill the dead letters."""
    place.forget_letters()
    client = place.sandbox.client("secretsmanager", alice)
    kept = client.create_secret(Name="rds!db-1", SecretString="nobody knows")["ARN"]
    ours = client.create_secret(Name="orders/mail", SecretString="nobody knows")["ARN"]
    place.outcome(ours, control=CONTROL)
    assert _tags(place, kept) == {}
    assert place.ask("dlq", "list") == []
