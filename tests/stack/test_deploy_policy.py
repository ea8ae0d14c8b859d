"""The policies of the person or role that deploys: enough for CloudFormation, not more, within IAM's limits."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from policy_sentry.querying.actions import get_action_data

from tools import deploy_policy
from tools.rendering import ACCOUNT, ROOT, Stack, source, templates
from tools.replacements import schema

EVERYTHING = {"EnableUndo": "true", "AlertEmail": "a@example.org", "AlertHttpsEndpoint": "https://example.org"}
NOT_IN_IAM = {"lambda:GetFunctionScalingConfig"}
"""Actions that CloudFormation's schemas name and the list of IAM's actions, older, does not have yet."""


@pytest.fixture(scope="module")
def statements() -> list[dict[str, Any]]:
    """Return the statements of all files together."""
    files = sorted(ROOT.glob("docs/deploy-policy*.json"))
    return [each for path in files for each in json.loads(path.read_text(encoding="utf-8"))["Statement"]]


@pytest.fixture(scope="module")
def whole() -> Stack:
    """Return a stack with everything that can be chosen."""
    return Stack(name="evenkeel-prod", parameters=EVERYTHING)


def allowed(statements: list[dict[str, Any]], action: str, arn: str) -> bool:
    """Whether an action on a resource is allowed, conditions aside."""
    return any(
        action in each["Action"] and any(fnmatchcase(arn, form) for form in _listed(each["Resource"]))
        for each in statements
    )


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_each_file_fits_into_a_managed_policy() -> None:
    """Fails when IAM would refuse a file."""
    for path in ROOT.glob("docs/deploy-policy*.json"):
        size = len("".join(path.read_text(encoding="utf-8").split()))
        assert size < deploy_policy.MAX_CHARACTERS * 0.95, f"{path.name}: {size} characters; split it"


def test_it_knows_every_type_of_the_stack(whole: Stack) -> None:
    """Fails when a deployment would be denied at a resource that SAM makes of one of its own types."""
    found = deploy_policy.types(source(path) for path in templates())
    assert set(found) == {body["Type"] for body in whole.resources.values()}


def test_what_is_left_out_is_called_by_a_handler(whole: Stack) -> None:
    """Fails when an exclusion has no effect any more, or one is misspelt."""
    handlers = [
        handler for body in whole.resources.values() for handler in schema(body["Type"]).get("handlers", {}).values()
    ]
    named = {action for handler in handlers for action in handler["permissions"]}
    assert {action for actions in deploy_policy.UNUSED.values() for action in actions} <= named


def test_every_action_exists(statements: list[dict[str, Any]]) -> None:
    """Fails on an action that IAM does not know, which would grant nothing."""
    actions = {action for each in statements for action in each["Action"]}
    unknown = {each for each in actions if not get_action_data(*each.split(":", 1))}
    assert unknown == NOT_IN_IAM


@pytest.mark.parametrize("stack", ["evenkeel", "evenkeel-prod"])
def test_the_names_of_the_stack_are_in_scope(statements: list[dict[str, Any]], stack: str) -> None:
    """Fails when a deployment would be denied because a resource is named otherwise than the policy says."""
    named = {
        "AWS::DynamoDB::Table": ("TableName", "dynamodb:{place}:table/", "dynamodb:CreateTable"),
        "AWS::Events::EventBus": ("Name", "events:{place}:event-bus/", "events:CreateEventBus"),
        "AWS::Events::Rule": ("Name", "events:{place}:rule/", "events:PutRule"),
        "AWS::IAM::Role": ("RoleName", "iam::{account}:role/evenkeel/", "iam:CreateRole"),
        "AWS::KMS::Alias": ("AliasName", "kms:{place}:", "kms:CreateAlias"),
        "AWS::Lambda::Function": ("FunctionName", "lambda:{place}:function:", "lambda:CreateFunction"),
        "AWS::Lambda::LayerVersion": ("LayerName", "lambda:{place}:layer:", "lambda:PublishLayerVersion"),
        "AWS::Logs::LogGroup": ("LogGroupName", "logs:{place}:log-group:", "logs:CreateLogGroup"),
        "AWS::SNS::Topic": ("TopicName", "sns:{place}:", "sns:CreateTopic"),
        "AWS::SQS::Queue": ("QueueName", "sqs:{place}:", "sqs:CreateQueue"),
    }
    seen = set()
    for name, body in Stack(name=stack, parameters=EVERYTHING).resources.items():
        if body["Type"] in named:
            key, start, action = named[body["Type"]]
            seen.add(body["Type"])
            place = start.format(place=f"eu-west-1:{ACCOUNT}", account=ACCOUNT)
            assert allowed(statements, action, f"arn:aws:{place}{body['Properties'][key]}"), name
    assert seen == set(named)


def test_other_peoples_resources_are_out_of_scope(statements: list[dict[str, Any]]) -> None:
    """Fails when whoever deploys could change what belongs to others by a role, table, function or queue of theirs."""
    for action, arn in (
        ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        ("dynamodb:DeleteTable", f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/orders"),
        ("lambda:UpdateFunctionCode", f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:orders"),
        ("sqs:SetQueueAttributes", f"arn:aws:sqs:eu-west-1:{ACCOUNT}:orders"),
        ("cloudformation:DeleteStack", f"arn:aws:cloudformation:eu-west-1:{ACCOUNT}:stack/orders/1"),
        ("dynamodb:PutItem", f"arn:aws:dynamodb:eu-west-1:{ACCOUNT}:table/evenkeel-prod-audit"),
    ):
        assert not allowed(statements, action, arn), action


def test_roles_are_passed_only_to_services_that_they_trust(whole: Stack) -> None:
    """Fails when a deployment would be denied because a role goes to a service that the policy does not name."""
    trusted = {
        statement["Principal"]["Service"]
        for role in whole.of_type("AWS::IAM::Role").values()
        for statement in role["AssumeRolePolicyDocument"]["Statement"]
        if "Service" in statement["Principal"]
    }
    assert trusted == set(deploy_policy.PASSED_TO)
