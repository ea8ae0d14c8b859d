"""What a changed parameter or tag of the stack would do to each resource, by CloudFormation's own schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools.change_set import HOLDERS
from tools.rendering import Stack, source, templates
from tools.replacements import Effect, effects, schema, tagged

Parameters = dict[str, str]

TAGGED = {
    "AWS::AppConfig::Application", "AWS::AppConfig::ConfigurationProfile", "AWS::AppConfig::DeploymentStrategy",
    "AWS::AppConfig::Environment", "AWS::CloudFormation::Stack", "AWS::CloudWatch::Alarm", "AWS::DynamoDB::Table",
    "AWS::Events::EventBus", "AWS::Events::Rule", "AWS::IAM::Role", "AWS::KMS::Key", "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function", "AWS::Logs::LogGroup", "AWS::SNS::Topic", "AWS::SQS::Queue",
}  # fmt: skip
FUNCTIONS = {"AWS::CloudFormation::Stack", "AWS::Lambda::Function"}
UPDATED: dict[tuple[str, str, str], set[str]] = {
    ("Project", "evenkeel", "other"): TAGGED,
    ("Owner", "platform", "other"): TAGGED,
    ("CostCenter", "platform", "other"): TAGGED,
    ("Environment", "dev", "prod"): TAGGED,
    ("Scope", "*", "arn:aws:s3:::a"): FUNCTIONS,
    ("StartMode", "recommended", "notify"): FUNCTIONS,
    ("AuditRetentionDays", "400", "500"): FUNCTIONS,
    ("LogRetentionDays", "365", "30"): {"AWS::CloudFormation::Stack", "AWS::Logs::LogGroup"},
    ("MaximumConcurrency", "10", "2"): {"AWS::CloudFormation::Stack", "AWS::Lambda::EventSourceMapping"},
    ("Protect", "false", "true"): {"AWS::DynamoDB::Table", "AWS::KMS::Key"},
    ("BreakGlassPrincipal", "", "arn:aws:iam::123456789012:role/admin"): {"AWS::DynamoDB::Table"},
    ("EnableUndo", "false", "true"): FUNCTIONS,
    ("EnabledGroups", "all", "kms"): {"AWS::IAM::Role", "AWS::Lambda::Function"},
    ("AlertEmail", "", "a@example.org"): set(),
    ("AlertEmail", "a@example.org", "b@example.org"): set(),
    ("AlertHttpsEndpoint", "", "https://example.org"): set(),
    ("AlertHttpsEndpoint", "https://example.org", "https://example.net"): set(),
}
"""Of each change of a parameter, the types that are updated in place. Whether that interrupts is not in the schemas."""
REPLACED = {
    ("AlertEmail", "a@example.org", "b@example.org"): {
        "AlertsByEmail": "another address is another subscription, which its reader confirms"
    },
    ("AlertHttpsEndpoint", "https://example.org", "https://example.net"): {
        "AlertsByHttps": "another endpoint is another subscription, which the endpoint confirms"
    },
}
"""All that a changed parameter replaces, and why that is as it should be."""
MAY_GO = {
    ("EnableUndo", "true", "false"): "the log of the undo function; what it did is in the audit table",
    ("EnabledGroups", "all", "kms"): "a disabled group's queue with the messages in it, and its log",
}
"""The only changes of a parameter that remove what holds data, either way round."""


@pytest.fixture(scope="module")
def rendered() -> Any:
    """Return how a stack is rendered, each set of parameters once."""
    known: dict[str, Stack] = {}

    def render(**parameters: str) -> dict[str, Any]:
        key = json.dumps(parameters, sort_keys=True)
        return known.setdefault(key, known.get(key) or Stack(parameters=parameters)).resources

    return render


def of(found: dict[str, Effect], *wanted: Effect) -> set[str]:
    """Return the logical ids with one of some effects."""
    return {name for name, effect in found.items() if effect in wanted}


def test_every_parameter_is_listed() -> None:
    """Fails when nobody said what a change of a new parameter does to a running stack."""
    assert {name for name, *_ in UPDATED} == set(source()["Parameters"])


@pytest.mark.parametrize("change", UPDATED, ids=lambda change: f"{change[0]}={change[2]}")
def test_a_changed_parameter_does_what_is_listed(rendered: Any, change: tuple[str, str, str]) -> None:
    """Fails when a changed parameter replaces a resource, or touches one, that nobody expects it to."""
    name, old, new = change
    before, after = rendered(**{name: old}), rendered(**{name: new})
    found = effects(before, after)
    assert of(found, Effect.REPLACE, Effect.MAY_REPLACE) == set(REPLACED.get(change, {}))
    assert {after[each]["Type"] for each in of(found, Effect.UPDATE)} == UPDATED[change]


@pytest.mark.parametrize("back", [False, True], ids=["there", "back"])
@pytest.mark.parametrize("change", UPDATED, ids=lambda change: f"{change[0]}={change[2]}")
def test_no_changed_parameter_loses_data(rendered: Any, change: tuple[str, str, str], back: bool) -> None:
    """Fails when a changed parameter would replace or remove a table, key, queue, log, topic, or the settings."""
    name, old, new = (change[0], change[2], change[1]) if back else change
    before, after = rendered(**{name: old}), rendered(**{name: new})
    lost = of(effects(before, after), Effect.REPLACE, Effect.MAY_REPLACE, Effect.REMOVE)
    kinds = {before[each]["Type"] for each in lost} & HOLDERS
    assert kinds <= ({"AWS::Logs::LogGroup", "AWS::SQS::Queue"} if (name, old, new) in MAY_GO else set())


def test_a_changed_tag_of_the_stack_replaces_nothing(rendered: Any) -> None:
    """Fails when `sam deploy --tags` would make a resource anew: what it held, or what was set in it since, is lost."""
    assert not of(tagged(rendered(EnableUndo="true")), Effect.REPLACE)


def test_what_is_replaced_changes_what_refers_to_it(rendered: Any) -> None:
    """Fails when the tests above would overlook a resource that is replaced because another one is."""
    before, after = rendered(), json.loads(json.dumps(rendered()))
    after["SettingsApplication"]["Type"] = "AWS::SSM::Parameter"
    found = effects(before, after)
    assert {"SettingsApplication", "SettingsEnvironment", "SettingsProfile"} <= of(found, Effect.REPLACE)
    assert found["KmsFunction"] is Effect.UPDATE


def test_the_schemas_name_what_only_a_new_resource_can_have() -> None:
    """Fails when cfn-lint's schemas lose what the tests above read, so that these would accept anything."""
    assert "/properties/TableName" in schema("AWS::DynamoDB::Table")["createOnlyProperties"]
    assert schema("AWS::AppConfig::Deployment")["tagging"]["tagUpdatable"] is False
    every = {body["Type"] for body in Stack(parameters={"EnableUndo": "true"}).resources.values()}
    assert not [kind for kind in every for path in schema(kind).get("createOnlyProperties", []) if "*" in path]


def test_a_group_picks_no_parameter_apart() -> None:
    """Fails when a change set of a new stack would fail: it does not know yet what a group would pick out of a text."""
    assert not [path for path in templates()[1:] if "Fn::Select" in json.dumps(source(path))]
