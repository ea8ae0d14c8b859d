"""AppConfig in the stack: the empty document is deployed once, what people push stays, and a bad push is taken back."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from evenkeel.registry import all_controls
from evenkeel.settings import check
from tools.rendering import ROOT, Stack, expanded

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
"""Properties that CloudFormation updates without replacing the resource (its template reference); of a deployment and a
hosted version there are none."""
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


def test_no_parameter_deploys_the_empty_settings_again() -> None:
    """Fails when an update of the stack would lay the empty document over what people pushed."""
    assert fixed(Stack(parameters=OTHERWISE)) == fixed(Stack())
    kinds = {body["Type"] for body in Stack().resources.values()}
    assert {"AWS::AppConfig::Deployment", "AWS::AppConfig::HostedConfigurationVersion", *IN_PLACE} <= kinds


def test_no_tag_deploys_the_empty_settings_again(stack: Stack) -> None:
    """Fails when a tag, of the resource or of the whole stack, could replace the deployment."""
    assert "Tags" not in stack.resources["SettingsFirstDeployment"]["Properties"]
    configured = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    assert not [name for name in ("default", "staging", "prod") if "tags" in configured[name]["deploy"]["parameters"]]


def test_the_first_document_is_empty_and_valid(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the stack could not be created because its own validator refuses its first document."""
    document = stack.resources["SettingsFirstVersion"]["Properties"]["Content"]
    assert json.loads(document) == {"schema_version": 1}
    monkeypatch.setenv("EVENKEEL_LOG_KEY_ARN", "arn:aws:kms:eu-west-1:123456789012:key/1234")
    assert check(document, all_controls().values()).controls == {}


def test_the_first_deployment_waits_for_the_validator_and_is_over_at_once(stack: Stack) -> None:
    """Fails when AppConfig could not ask the validator yet, or pushes had to wait for the end of a watch."""
    body = stack.resources["SettingsFirstDeployment"]
    assert body["DependsOn"] == "SettingsValidatorPermission"
    strategy = stack.resources[body["Properties"]["DeploymentStrategyId"].strip("<>")]["Properties"]
    assert (strategy["DeploymentDurationInMinutes"], strategy["FinalBakeTimeInMinutes"]) == (0, 0)


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
