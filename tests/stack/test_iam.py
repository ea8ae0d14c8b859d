"""Roles: every action exists, is needed and is scoped as far as AWS allows."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from policy_sentry.querying.actions import get_action_data

from evenkeel.arns import like
from evenkeel.control import Stage
from evenkeel.control.registry import groups
from tools.aws_quotas import INLINE_POLICIES
from tools.names import stem
from tools.rendering import ROOT, Stack, templates

if TYPE_CHECKING:
    from collections.abc import Iterator

Statement = dict[str, Any]

AS_DOCUMENTED = {"cloudwatch:DescribeAlarms"}
"""Granted on everything although AWS could name resources: the guide of the service that asks says so."""


def listed(value: Any) -> list[Any]:
    """Return a list as it is, anything else as a list of one."""
    return value if isinstance(value, list) else [value]


def roles(stack: Stack) -> Iterator[tuple[str, Statement]]:
    """Yield every statement of every role, with the role's logical id."""
    for name, properties in stack.of_type("AWS::IAM::Role").items():
        for policy in [*properties["Policies"], *attached(stack, name)]:
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement


def attached(stack: Stack, role: str) -> list[dict[str, Any]]:
    """Return the policies that are resources of their own, of one role."""
    return [each for each in stack.of_type("AWS::IAM::Policy").values() if f"<{role}>" in each["Roles"]]


def policies(stack: Stack) -> Iterator[tuple[str, Statement]]:
    """Yield every statement of every policy in the stack, whatever it is attached to."""
    yield from roles(stack)
    for name, body in stack.resources.items():
        properties = body.get("Properties", {})
        document = properties.get("KeyPolicy") or properties.get("PolicyDocument")
        document = document or properties.get("ResourcePolicy", {}).get("PolicyDocument")
        for statement in (document or {}).get("Statement", []):
            yield name, statement


def service_of(stack: Stack, resource: str) -> str:
    """Return the IAM service prefix of an ARN or of a reference such as ``<KmsQueue.Arn>``."""
    if resource.startswith("arn:"):
        return resource.split(":")[2]
    kind: str = stack.resources[resource.strip("<>").partition(".")[0]]["Type"]
    return kind.split("::")[1].lower()


def test_no_action_has_a_wildcard(stack: Stack) -> None:
    """Fails when a policy would grant actions that AWS adds later."""
    wild = [(name, action) for name, it in policies(stack) for action in listed(it["Action"]) if "*" in action]
    assert not wild


def test_every_action_exists(stack: Stack) -> None:
    """Fails on a misspelt action, which AWS accepts and silently never matches."""
    for name, statement in policies(stack):
        for action in listed(statement["Action"]):
            service, _, operation = action.partition(":")
            assert get_action_data(service, operation), f"{name}: {action}"


def test_star_is_only_where_aws_names_no_resource(stack: Stack) -> None:
    """Fails when a role may do to every resource what could be granted on some, or is granted on some to no effect."""
    for name, statement in roles(stack):
        for action in listed(statement["Action"]):
            service, _, operation = action.partition(":")
            rows = get_action_data(service, operation)[service]
            unscoped = action in AS_DOCUMENTED or all(row["resource_arn_format"] == "*" for row in rows)
            assert (statement["Resource"] == "*") == unscoped, f"{name}: {action} on {statement['Resource']}"


def test_resources_are_of_the_actions_service(stack: Stack) -> None:
    """Fails when an action is granted on a resource of another service, which grants nothing."""
    for name, statement in roles(stack):
        for resource in listed(statement["Resource"]):
            if resource == "*":
                continue
            services = {action.partition(":")[0] for action in listed(statement["Action"])}
            assert services == {service_of(stack, resource)}, f"{name}: {statement}"


def test_every_star_has_a_reason_beside_it() -> None:
    """Fails when a reader of template.yaml cannot see why a resource is not named."""
    lines = "\n".join((ROOT / path).read_text(encoding="utf-8") for path in templates()).splitlines()
    stars = [line for line in lines if re.search(r"Resource: ['\"]?\*|^\s*- ['\"]\*['\"]", line)]
    assert stars
    assert not [line for line in stars if not re.search(r"# \S+( \S+){2,}", line)]


def test_roles_have_the_path_that_the_patterns_refuse(stack: Stack) -> None:
    """Fails when a function's own calls would wake the controls: the patterns refuse roles of this path only."""
    assert all(role["Path"] == "/evenkeel/" for role in stack.of_type("AWS::IAM::Role").values())


def test_roles_are_named_after_stack_and_region(anywhere: Stack) -> None:
    """Fails when a second stack in the account, or the same name in another region, would collide: IAM is global."""
    for name, role in anywhere.of_type("AWS::IAM::Role").items():
        assert role["RoleName"].startswith(f"evenkeel-{anywhere.place.region}-"), name


def test_every_function_has_a_role_of_its_own(stack: Stack) -> None:
    """Fails when two functions share permissions."""
    used = [function["Role"] for function in stack.of_type("AWS::Lambda::Function").values()]
    others = {name for name in stack.of_type("AWS::IAM::Role") if name.endswith("UndoRole")} | {"SettingsMonitorRole"}
    assert set(stack.of_type("AWS::IAM::Role")) == {role.strip("<>").partition(".")[0] for role in used} | others
    assert len(used) == len(set(used))


def test_remediators_and_the_clerk_read_exactly_the_settings_of_their_stack(anywhere: Stack) -> None:
    """Fails when a group cannot read its settings, or a role may read another application's."""
    reads = {"appconfig:GetLatestConfiguration", "appconfig:StartConfigurationSession"}
    place = f"arn:{anywhere.place.partition}:appconfig:{anywhere.place.region}:123456789012"
    document = "<SettingsApplication>/environment/<SettingsEnvironment>/configuration/<SettingsProfile>"
    found = {name: it for name, it in roles(anywhere) if reads & set(listed(it["Action"]))}
    assert set(found) == {f"{stem(group)}Role" for group in groups()} | {"ClerkRole"}
    for statement in found.values():
        assert set(statement["Action"]) == reads
        assert statement["Resource"] == f"{place}:application/{document}"


def test_the_validator_has_no_rights_and_one_caller(stack: Stack) -> None:
    """Fails when whoever can push settings could make their validator do anything but say yes or no."""
    held = {action for name, it in roles(stack) if name == "SettingsValidatorRole" for action in listed(it["Action"])}
    assert held == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "xray:PutTelemetryRecords",
        "xray:PutTraceSegments",
    }
    permission = stack.resources["SettingsValidatorPermission"]["Properties"]
    assert permission["Principal"] == "appconfig.amazonaws.com"


def test_inline_policies_fit(anywhere: Stack) -> None:
    """Fails when IAM would refuse a role because its policies are too long."""
    for name, role in anywhere.of_type("AWS::IAM::Role").items():
        own = [*role["Policies"], *attached(anywhere, name)]
        size = sum(len(json.dumps(policy["PolicyDocument"], separators=(",", ":"))) for policy in own)
        assert size <= INLINE_POLICIES.allowed, name


@pytest.mark.parametrize("action", ["sns:Publish", "events:PutEvents"])
def test_only_the_notifier_can_tell_anyone(stack: Stack, action: str) -> None:
    """Fails when something could be announced that was not audited."""
    assert {name for name, it in roles(stack) if action in listed(it["Action"])} == {"NotifierRole"}


def test_the_notifier_only_reads_what_tells_planted_records_and_notes(anywhere: Stack) -> None:
    """Fails when whoever gets hold of the notifier could write records, move heads or settle findings."""
    held = {
        (action, str(it["Resource"]))
        for name, it in roles(anywhere)
        if name == "NotifierRole"
        for action in listed(it["Action"])
    }
    place = anywhere.place
    hub = f"arn:{place.partition}:securityhub:{place.region}:123456789012:hub/default"
    assert {(action, on) for action, on in held if action.startswith(("dynamodb:", "securityhub:"))} == {
        ("dynamodb:DescribeStream", "<AuditTable.StreamArn>"),
        ("dynamodb:GetRecords", "<AuditTable.StreamArn>"),
        ("dynamodb:GetShardIterator", "<AuditTable.StreamArn>"),
        ("dynamodb:ListStreams", "*"),
        ("dynamodb:GetItem", "<StateTable.Arn>"),
        ("dynamodb:Query", "<AuditTable.Arn>"),
        ("securityhub:GetFindings", hub),
        ("securityhub:BatchUpdateFindings", hub),
    }


def test_nobody_may_alter_an_audit_record(stack: Stack) -> None:
    """Fails when a role may do more to the audit table than add and read."""
    allowed = {
        action
        for _, statement in roles(stack)
        for action in listed(statement["Action"])
        if "<AuditTable.Arn>" in listed(statement["Resource"])
    }
    assert allowed == {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"}


def test_the_audit_table_denies_changes_to_all_but_break_glass() -> None:
    """Fails when an administrator's policy would be enough to rewrite the audit."""
    writes = {"UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"}
    someone = "arn:aws:iam::123456789012:role/Rescue"
    for parameters, condition in (
        ({}, None),
        ({"BreakGlassPrincipal": someone}, {"ArnNotEquals": {"aws:PrincipalArn": someone}}),
    ):
        stack = Stack(parameters=parameters)
        deny, _ = stack.resources["AuditTable"]["Properties"]["ResourcePolicy"]["PolicyDocument"]["Statement"]
        assert (deny["Effect"], deny["Principal"], deny.get("Condition")) == ("Deny", "*", condition)
        assert set(deny["Action"]) == {f"dynamodb:{name}" for name in writes}
        assert deny["Resource"] == "<AuditTable.Arn>"


@pytest.mark.parametrize("table", ["AuditTable", "StateTable"])
def test_nobody_but_evenkeel_puts_into_its_tables(table: str) -> None:
    """Fails when somebody who may put items could plant a record, or move the head of a chain.

    Another stack's roles are somebody: who deploys dev must not be able to write prod's audit.
    """
    someone = "arn:aws:iam::123456789012:role/Rescue"
    stack = Stack(parameters={"BreakGlassPrincipal": someone})
    properties = stack.resources[table]["Properties"]
    *_, deny = properties["ResourcePolicy"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Principal"]) == ("Deny", "*")
    assert "dynamodb:PutItem" in listed(deny["Action"])
    assert deny["Resource"] == f"<{table}.Arn>"
    ours, rescue = deny["Condition"]["ArnNotLike"]["aws:PrincipalArn"]
    assert rescue == someone
    roles_of = [body["RoleName"] for body in stack.of_type("AWS::IAM::Role").values()]
    beneath = ours.partition(":role/")[0] + ":role/evenkeel/"
    assert all(like(ours, f"{beneath}{name}") for name in roles_of)
    another = [name.replace("evenkeel-", "evenkeel-dev-", 1) for name in roles_of]
    assert not [name for name in (*another, "mallory") if like(ours, f"{beneath}{name}")]
    assert all(body["Path"] == "/evenkeel/" for body in stack.of_type("AWS::IAM::Role").values())


def test_the_event_path_cannot_weaken(stack: Stack) -> None:
    """Fails when a group's role was given what only taking back needs."""
    for group, controls in groups().items():
        grants = [grant for control in controls for grant in control.permissions]
        forward = {action for grant in grants if grant.stage is not Stage.UNDO for action in grant.actions}
        back = {action for grant in grants if grant.stage is Stage.UNDO for action in grant.actions}
        held = {action for name, it in roles(stack) if name == f"{stem(group)}Role" for action in listed(it["Action"])}
        assert forward <= held
        assert not (back - forward) & held
