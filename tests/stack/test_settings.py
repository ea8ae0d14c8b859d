"""AppConfig in the stack: no update touches what people push, and a bad push is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.control.registry import all_controls
from evenkeel.settings.parser import EMPTY_DOCUMENT, check
from tools.rendering import Stack, expanded

if TYPE_CHECKING:
    import pytest

IN_PLACE = {
    "AWS::AppConfig::Application": {"Name", "Description", "Tags"},
    "AWS::AppConfig::Environment": {"Name", "Description", "Monitors", "Tags", "DeletionProtectionCheck"},
    "AWS::AppConfig::ConfigurationProfile": {"Name", "Description", "Validators", "Tags", "DeletionProtectionCheck"},
    "AWS::AppConfig::DeploymentStrategy": {
        "Description", "DeploymentDurationInMinutes", "FinalBakeTimeInMinutes", "GrowthFactor", "GrowthType", "Tags",
    },
}  # fmt: skip
"""Properties that CloudFormation updates without replacing the resource (its template reference)."""
OTHERWISE = {
    "Environment": "other", "StartMode": "notify", "Scope": "arn:aws:sqs:*", "Protect": "true", "EnabledGroups": "kms",
    "EnableUndo": "true", "AlertEmail": "a@example.com", "AuditRetentionDays": "60", "LogRetentionDays": "7",
}  # fmt: skip


def fixed(stack: Stack) -> dict[str, dict[str, Any]]:
    """Return, by logical id, what CloudFormation must never see change of the AppConfig resources."""
    return {
        name: {key: value for key, value in body["Properties"].items() if key not in IN_PLACE.get(body["Type"], set())}
        for name, body in stack.resources.items()
        if body["Type"].startswith("AWS::AppConfig::")
    }


def test_no_update_of_the_stack_can_deploy_settings(stack: Stack) -> None:
    """Fails when CloudFormation would hold a document, and with a changed tag lay it over what people pushed."""
    kinds = {body["Type"] for body in stack.resources.values() if body["Type"].startswith("AWS::AppConfig::")}
    assert kinds == set(IN_PLACE)


def test_no_parameter_replaces_what_people_push_to() -> None:
    """Fails when an update of the stack would move the functions to an application without settings."""
    assert fixed(Stack(parameters=OTHERWISE)) == fixed(Stack())


def test_the_document_that_holds_before_the_first_push_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a new stack would change nothing, since its functions refuse what they start from."""
    monkeypatch.setenv("EVENKEEL_LOG_KEY_ARN", "arn:aws:kms:eu-west-1:123456789012:key/1234")
    assert check(EMPTY_DOCUMENT, all_controls().values()).controls == {}


def test_the_first_push_reaches_all_functions_at_once(stack: Stack) -> None:
    """Fails when the functions that a first push has not reached yet would have no settings at all meanwhile."""
    strategy = stack.resources[stack.outputs["SettingsAtOnceStrategyId"].strip("<>")]["Properties"]
    assert (strategy["DeploymentDurationInMinutes"], strategy["FinalBakeTimeInMinutes"]) == (0, 0)
    assert strategy["GrowthFactor"] == 100


def test_appconfig_may_ask_the_validator_whatever_it_says_of_itself(stack: Stack) -> None:
    """Fails when every push would be refused: AppConfig is not known to send a source ARN or account."""
    permission = stack.resources["SettingsValidatorPermission"]["Properties"]
    assert permission["Principal"] == "appconfig.amazonaws.com"
    assert set(permission) == {"FunctionName", "Action", "Principal"}


def test_pushes_are_gradual_and_watched(stack: Stack) -> None:
    """Fails when a bad push would reach every function at once, or nobody would look at what it does."""
    strategy = stack.resources[stack.outputs["SettingsStrategyId"].strip("<>")]["Properties"]
    assert strategy["DeploymentDurationInMinutes"] == strategy["FinalBakeTimeInMinutes"] == 10
    assert strategy["GrowthFactor"] < 50


def test_only_refused_settings_take_a_push_back(stack: Stack) -> None:
    """Fails when want of data, or trouble that settings are meant to mend, would take the settings back."""
    (monitor,) = stack.resources["SettingsEnvironment"]["Properties"]["Monitors"]
    alarm = stack.resources[monitor["AlarmArn"].strip("<>").removesuffix(".Arn")]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("Evenkeel", "SettingsRefused")
    assert alarm["TreatMissingData"] == "notBreaching"
    assert monitor["AlarmRoleArn"] == "<SettingsMonitorRole.Arn>"


def test_nothing_waits_for_itself() -> None:
    """Fails when profile, validator and permission would wait for each other and the stack could not be created."""
    resources = expanded()["Resources"]
    waits = {name: {other for other in resources if mentions(body, other)} for name, body in resources.items()}
    ready: set[str] = set()
    while len(ready) < len(resources):
        more = {name for name, others in waits.items() if others <= ready} - ready
        assert more, f"a circle among {sorted(set(resources) - ready)}"
        ready |= more


def mentions(value: Any, name: str) -> bool:
    """Say whether a part of the template refers to a resource."""
    if isinstance(value, dict):
        if value.get("Ref") == name or value.get("DependsOn") == name:
            return True
        attribute = value.get("Fn::GetAtt")
        if attribute and (attribute if isinstance(attribute, str) else attribute[0]).partition(".")[0] == name:
            return True
        return any(mentions(member, name) for member in value.values())
    if isinstance(value, list):
        return any(mentions(member, name) for member in value)
    return isinstance(value, str) and (f"${{{name}}}" in value or f"${{{name}." in value)
