"""From payloads to requests, by example; ``test_properties.py`` asks the same of arbitrary payloads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from evenkeel.control import Control, Frameworks, resource_arn
from evenkeel.control.registry import groups
from evenkeel.control.triggers import CloudTrail, TagChange, find
from evenkeel.errors import MalformedPayloadError
from evenkeel.events import parsing
from evenkeel.model import Actor, Cause, Request, Resource
from tests.world import ACCOUNT, ALICE, PLACE, REGION, cloudtrail

KMS, LOGS, TAGS = groups()["kms"], groups()["logs"], groups()["tagging"]
ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{ID}"
KEYS = "arn:{partition}:kms:{region}:{account}:key/{id}"


def _created(arn: Any = KEY, **detail: Any) -> dict[str, Any]:
    return cloudtrail("kms.amazonaws.com", "CreateKey", **{"responseElements": {"keyMetadata": {"arn": arn}}, **detail})


def test_event_becomes_a_request_with_all_it_tells() -> None:
    """If this fails, the audit does not say who did what when."""
    event = _created()
    [request] = parsing.parse(event, KMS, PLACE).requests
    assert request == Request(
        "kms-key-rotation",
        Resource(KEY, ACCOUNT, REGION),
        Cause("cloudtrail", event["detail"]["eventID"], "CreateKey", event["detail"]["eventTime"]),
        Actor(ALICE["arn"], "IAMUser", "alice", "aws-cli/2.31.0", "", "203.0.113.10"),
        creates=True,
    )


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (
            {"detail-type": parsing.TAG_CHANGE, "id": "i", "time": "t", "resources": [KEY],
             "detail": {"service": "kms"}},
            Cause("tag", "i", parsing.TAG_CHANGE, "t"),
        ),
        (
            {
                "detail-type": parsing.CONFIG_RULE,
                "detail": {
                    "resourceType": "AWS::KMS::Key",
                    "resourceId": ID,
                    "newEvaluationResult": {"complianceType": "NON_COMPLIANT"},
                },
            },
            Cause("config", "", parsing.CONFIG_RULE, ""),
        ),
        (
            {
                "detail-type": parsing.CONFIG_ITEM,
                "id": "x" * 200,
                "time": "y" * 200,
                "detail": {
                    "configurationItem": {
                        "resourceType": "AWS::KMS::Key", "configurationItemStatus": "OK", "resourceId": ID,
                    }
                },
            },
            Cause("config", "x" * 128, parsing.CONFIG_ITEM, "y" * 40),
        ),
    ],
)  # fmt: skip
def test_cause_of_other_events(event: dict[str, Any], cause: Cause) -> None:
    """If this fails, a finding of Config's or a tag change shows as another thing, or a huge id is kept whole."""
    whole = {"account": ACCOUNT, "region": REGION, **event}
    [request] = parsing.parse(whole, TAGS, PLACE).requests
    assert (request.cause, request.resource.arn, request.creates) == (cause, KEY, False)


def test_both_controls_of_a_group_get_a_creation_each() -> None:
    """If this fails, one of two controls of a resource does not hear of it."""
    event = cloudtrail("logs.amazonaws.com", "CreateLogGroup", requestParameters={"logGroupName": "/a"})
    requests = parsing.parse(event, LOGS, PLACE).requests
    assert [request.control for request in requests] == ["logs-group-encryption", "logs-group-retention"]


def test_several_resources_of_one_event_get_a_request_each_and_once() -> None:
    """If this fails, a resource named twice is looked at twice, or the second of two is lost."""
    other = KEY.replace("1234abcd", "5678abcd")
    event = {
        "detail-type": parsing.TAG_CHANGE, "account": ACCOUNT, "region": REGION,
        "resources": [KEY, other, KEY, 5, ""], "detail": {"service": "kms"},
    }  # fmt: skip
    assert [request.resource.arn for request in parsing.parse(event, TAGS, PLACE).requests] == [KEY, other]


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (_created(errorCode="AccessDenied"), "the call failed with AccessDenied"),
        (_created(errorCode="E" * 500), f"the call failed with {'E' * 128}"),
        (_created(recipientAccountId="210987654321"), "it is from account 210987654321"),
        ({**_created(), "account": "210987654321"}, f"it is from account {ACCOUNT}"),
        ({**_created(recipientAccountId=None), "account": None}, "it is from account unknown"),
        (_created(awsRegion="us-east-1"), "it is from region us-east-1"),
        ({**_created(awsRegion=None), "region": None}, "it is from region unknown"),
        (
            _created(
                userIdentity={"sessionContext": {"sessionIssuer": {"arn": f"arn:aws:iam::{ACCOUNT}:role/evenkeel/x"}}}
            ),
            "Evenkeel itself made the call",
        ),
        (cloudtrail("kms.amazonaws.com", "CreateAlias"), "no control of this group is triggered by it"),
        (_created(f"arn:aws:kms:us-east-1:{ACCOUNT}:key/{ID}"), "no control of this group is triggered by it"),
        (_created(f"arn:aws:kms:{REGION}:210987654321:key/{ID}"), "no control of this group is triggered by it"),
    ],
)
def test_irrelevant_events_say_why(event: dict[str, Any], why: str) -> None:
    """If this fails, an event that is none of our business is acted on, or dropped without a reason."""
    assert parsing.parse(event, KMS, PLACE) == parsing.Parsed((), why)


def test_account_and_region_may_be_told_by_either_part() -> None:
    """If this fails, an event with one of them missing is dropped."""
    for event in (
        {**_created(recipientAccountId=None, awsRegion=None)},
        {**_created(), "account": None, "region": None},
    ):
        assert parsing.parse(event, KMS, PLACE).requests


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ([], "expected a JSON object, got list"),
        ("x", "expected a JSON object, got str"),
        ({}, 'neither an EventBridge event ("detail-type" and "detail") nor a returned request'),
        ({"detail-type": 1, "detail": {}}, "neither an EventBridge event"),
        ({"detail-type": "x", "detail": []}, "neither an EventBridge event"),
        (_created(None), "CreateKey names no resource that Evenkeel can act on: its parameters are null, truncated"),
        (_created("a key"), "CreateKey names no resource"),
        (_created(5), "CreateKey names no resource"),
        (_created(f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"), "CreateKey names no resource"),
    ],
)
def test_malformed_payloads_say_what_is_wrong(payload: Any, message: str) -> None:
    """If this fails, bad input is dropped in silence, or its dead letter explains nothing."""
    with pytest.raises(MalformedPayloadError) as caught:
        parsing.parse(payload, KMS, PLACE)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("template", "value", "arn"),
    [
        (KEYS, KEY, KEY),
        (KEYS, ID, KEY),
        (KEYS, f"{KEY}:*", KEY),
        (KEYS, "", ""),
        (KEYS, "a b", ""),
        (KEYS, "a\n", ""),
        (KEYS, "ключ", ""),
        (KEYS, "x" * 1024, ""),
        (KEYS, "x" * 900, KEY.replace(ID, "x" * 900)),
        (KEYS, f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", ""),
        (KEYS, f"arn:aws:kms:{REGION}:{ACCOUNT}:key/", ""),
        (KEYS, f"arn:aws:kms:{REGION}:12:key/1", ""),
        (KEYS, "arn:aws:kms", ""),
        (KEYS, "arn:", ""),
        ("", KEY, KEY),
        ("", ID, ""),
        ("", "arn:aws:s3:::b", "arn:aws:s3:::b"),
        ("arn:{partition}:s3:::{id}", "b", "arn:aws:s3:::b"),
        ("arn:{partition}:sqs:{region}:{account}:{id}", f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/q",
         f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"),
        ("arn:{partition}:sqs:{region}:{account}:{id}", f"https://sqs.{REGION}.amazonaws.com/210987654321/q", ""),
        ("arn:{partition}:sqs:{region}:{account}:{id}", "https://sqs/", ""),
        (KEYS, "{region}", ""),
    ],
)  # fmt: skip
def test_arns(template: str, value: str, arn: str) -> None:
    """If this fails, an event's id, name, URL or ARN is taken for another resource, or for none."""
    assert resource_arn(template, value, PLACE) == arn


def test_arns_of_other_partitions_are_built() -> None:
    """If this fails, Evenkeel looks for resources of GovCloud and China in the wrong partition."""
    place = replace(PLACE, partition="aws-us-gov", region="us-gov-west-1")
    assert resource_arn(KEYS, "1", place) == f"arn:aws-us-gov:kms:us-gov-west-1:{ACCOUNT}:key/1"


@pytest.mark.parametrize(
    ("expression", "document", "found"),
    [
        ("a", {"a": "x"}, ["x"]),
        ("a", {"a": ["x", "y", "x", 5, "", None]}, ["x", "y"]),
        ("a", {"a": {"b": 1}}, []),
        ("a", {}, []),
        ("a || b", {"a": [], "b": "x"}, ["x"]),
        ("[a][?contains(@, '!')]", {"a": "x!"}, ["x!"]),
        ("[a][?contains(@, '!')]", {"a": True}, []),
    ],
)
def test_finding_in_events(expression: str, document: Any, found: list[str]) -> None:
    """If this fails, what names a resource in an event is overlooked or doubled."""
    assert find(expression, document) == found


@pytest.mark.parametrize(
    ("detail", "hit"),
    [
        ({"eventSource": "a", "eventName": "X"}, True),
        ({"eventSource": "a", "eventName": "Y"}, True),
        ({"eventSource": "a", "eventName": "Z"}, False),
        ({"eventSource": "b", "eventName": "X"}, False),
        ({"eventSource": "a", "eventName": "X", "not": "this"}, False),
        ({"eventSource": "a", "eventName": "X", "not": None}, True),
        ({"eventSource": "a", "eventName": ["X"]}, False),
    ],
)
def test_trigger_takes_only_its_own_calls(detail: dict[str, Any], hit: bool) -> None:
    """If this fails, a call of another service or about another thing wakes a control."""
    assert CloudTrail("a", ("X", "Y"), at="id", unless="not").matches(detail) is hit


def _config_item(**item: Any) -> dict[str, Any]:
    whole = {"resourceType": "AWS::KMS::Key", "configurationItemStatus": "OK", "resourceId": ID, **item}
    return {"detail-type": parsing.CONFIG_ITEM, "account": ACCOUNT, "region": REGION,
            "detail": {"configurationItem": whole}}  # fmt: skip


@pytest.mark.parametrize(
    ("item", "heard"),
    [
        ({}, True),
        ({"configurationItemStatus": "ResourceDiscovered"}, True),
        ({"configurationItemStatus": "ResourceDeleted"}, False),
        ({"configurationItemStatus": ["OK"]}, False),
        ({"configurationItemStatus": None}, False),
        ({"resourceType": "AWS::KMS::Alias"}, False),
        ({"ARN": KEY, "resourceId": None}, True),
        ({"ARN": None, "resourceId": None}, False),
    ],
)
def test_items_of_config(item: dict[str, Any], heard: bool) -> None:
    """If this fails, a deleted or other thing that Config recorded is looked at, or a changed one is not."""
    assert bool(parsing.parse(_config_item(**item), KMS, PLACE).requests) is heard


@pytest.mark.parametrize("item", [None, [], "x"])
def test_event_of_config_without_its_item_is_dropped(item: Any) -> None:
    """If this fails, a notification that Config left the item out of (too large) crashes the worker."""
    event = {**_config_item(), "detail": {"configurationItem": item}}
    assert parsing.parse(event, KMS, PLACE).irrelevant


def test_event_tells_its_own_time_and_a_name_of_bounded_length() -> None:
    """If this fails, settling is counted from the delivery instead of the call, or a record is bloated."""
    event = {**_created(eventTime="2026-01-01T00:00:00Z"), "time": "2026-01-02T00:00:00Z"}
    assert parsing.parse(event, KMS, PLACE).requests[0].cause.event_time == "2026-01-01T00:00:00Z"
    long = _Declared(CloudTrail("kms.amazonaws.com", ("C" * 200,), at="responseElements.keyMetadata.arn"))
    [request] = parsing.parse(_created(eventName="C" * 200), [long], PLACE).requests
    assert request.cause.event_name == "C" * 128


class _Declared:
    id, arn, frameworks = "x", KEYS, Frameworks()
    all_triggers = Control.all_triggers

    def __init__(self, *triggers: Any) -> None:
        self.triggers = triggers

    def applies_to(self, arn: str) -> bool:
        return arn.startswith("arn:")


@pytest.mark.parametrize(
    ("told", "heard"),
    [
        ({"service": "kms", "resource-type": "key"}, True),
        ({"service": "kms", "resource-type": "alias"}, False),
        ({"service": "kms"}, False),
        ({"service": "sqs", "resource-type": "key"}, False),
        ({}, False),
    ],
)
def test_tag_changes_of_one_type(told: dict[str, str], heard: bool) -> None:
    """If this fails, a tag change of another type of the same service wakes a control."""
    event = {
        "detail-type": parsing.TAG_CHANGE,
        "account": ACCOUNT,
        "region": REGION,
        "resources": [KEY],
        "detail": told,
    }
    declared = _Declared(TagChange("kms", "key"))
    assert bool(parsing.parse(event, [declared], PLACE).requests) is heard
    assert not parsing.parse({**event, "detail-type": "Something Else"}, [declared], PLACE).requests
