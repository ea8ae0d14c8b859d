"""Parameters: subsets of groups, stacks side by side, other partitions."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from itertools import combinations

import pytest

from evenkeel.names import STACK_CHARACTERS
from tests.stack.test_iam import listed, roles
from tools.names import stem
from tools.rendering import ACCOUNT, ROOT, Place, Stack, source, templates

SERVICE_PRINCIPAL = re.compile(r"(lambda|events|cloudwatch)\.amazonaws\.com")


def groups_in(stack: Stack, groups: list[str]) -> set[str]:
    """Return the groups of which the stack has any resource."""
    return {group for group in groups if any(name.startswith(stem(group)) for name in stack.resources)}


def test_every_subset_of_groups_stands_alone(group_names: list[str]) -> None:
    """Fails when a stack with some groups refers to a queue or function of a group it leaves out."""
    for size in (1, 2):
        for chosen in combinations(group_names, size):
            stack = Stack(parameters={"EnabledGroups": ",".join(chosen)})
            assert groups_in(stack, group_names) == set(chosen)
            variables = stack.resources["ClerkFunction"]["Properties"]["Environment"]["Variables"]
            assert set(variables["EVENKEEL_GROUPS"].split(",")) == set(chosen)
            assert variables["EVENKEEL_GROUPS"] == stack.outputs["Groups"]
            (send,) = [it for name, it in roles(stack) if name == "ClerkRole" and it["Sid"] == "RequeueDueWork"]
            assert {f"<{stem(group)}Queue.Arn>" for group in chosen} <= set(listed(send["Resource"]))


def test_all_means_all(stack: Stack, group_names: list[str]) -> None:
    """Fails when the default leaves a group out."""
    assert groups_in(stack, group_names) == set(group_names)


@pytest.mark.parametrize(
    ("parameter", "accepted", "refused"),
    [
        ("EnabledGroups", ["all", "kms", "kms,logs"], ["", "kmss", "kms, logs", "all,kms", "kms,"]),
        ("Environment", ["dev", "prod", "blue-7", "Sandbox"], ["", "7", "a b", "x" * 33]),
        ("Scope", ["*", "arn:aws:kms:*:*:key/*", "arn:aws:s3:::a,arn:aws:s3:::b*"], ["", "kms", "arn:a, arn:b"]),
        ("AlertEmail", ["", "on-call@example.com"], ["on-call", "a@b", "a b@example.com"]),
        ("AlertHttpsEndpoint", ["", "https://events.example.com/x"], ["http://events.example.com"]),
        (
            "BreakGlassPrincipal",
            ["", "arn:aws:iam::123456789012:role/Rescue", "arn:aws-us-gov:iam::123456789012:user/team/x"],
            ["*", "arn:aws:iam::123456789012:root", "123456789012"],
        ),
    ],
)
def test_parameters_refuse_what_cannot_work(parameter: str, accepted: list[str], refused: list[str]) -> None:
    """Fails when a slip in a parameter would be deployed instead of refused, or a good value be refused."""
    pattern = source()["Parameters"][parameter]["AllowedPattern"]
    assert all(re.fullmatch(pattern, value) for value in accepted)
    assert not [value for value in refused if re.fullmatch(pattern, value)]


def test_the_environments_name_is_free() -> None:
    """Fails when a list of names would forbid another environment."""
    assert "AllowedValues" not in source()["Parameters"]["Environment"]


def test_two_stacks_share_no_name() -> None:
    """Fails when a second stack in the same account and region would collide with the first."""
    within_its_application = {"AWS::AppConfig::Environment", "AWS::AppConfig::ConfigurationProfile"}
    names = re.compile(
        r"\b(Name|TableName|FunctionName|LogGroupName|AliasName|LayerName|QueueName|TopicName|RoleName)$"
    )
    one, other = Stack(name="blue"), Stack(name="green")
    for name, body in one.resources.items():
        if body["Type"] in within_its_application:
            continue
        for key, value in body.get("Properties", {}).items():
            if names.search(key) and isinstance(value, str) and "<" not in value:
                assert "blue" in value, f"{name}.{key}"
                assert other.resources[name]["Properties"][key] == value.replace("blue", "green")


def test_long_stack_names_still_fit() -> None:
    """Fails when the longest stack name gives a function, rule or role a name that AWS refuses."""
    stack = Stack(Place("aws", "ap-southeast-1"), "s" * STACK_CHARACTERS)
    functions = [function["FunctionName"] for function in stack.of_type("AWS::Lambda::Function").values()]
    rules = [rule["Name"] for rule in stack.of_type("AWS::Events::Rule").values()]
    own_roles = [role["RoleName"] for role in stack.of_type("AWS::IAM::Role").values()]
    assert max(map(len, functions + rules + own_roles)) <= 64


def test_the_dead_letters_admit_every_rule_and_no_stranger(stack: Stack) -> None:
    """Fails when a rule's undeliverable event would be refused by the dead letters, too."""
    allow = stack.resources["DeadLettersPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    admitted = allow["Condition"]["ArnLike"]["aws:SourceArn"]
    prefix = f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/"
    for rule in stack.of_type("AWS::Events::Rule").values():
        assert fnmatchcase(prefix + rule["Name"], admitted)
    assert not fnmatchcase(f"{prefix}somebody-elses", admitted)


def test_no_partition_is_written_down() -> None:
    """Fails when an ARN or a domain of one partition would be used in another."""
    text = "\n".join((ROOT / path).read_text(encoding="utf-8") for path in templates())
    assert not re.search(r"\barn:aws[:-]", text)
    domains = re.findall(r"[\w${}:.]+\.amazonaws\.com\b", re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE))
    sources = re.compile(r"[a-z0-9]+\.amazonaws\.com")  # CloudTrail's event sources and the global service principals
    via = re.compile(r"(dynamodb|sqs|sns|logs)\.\$\{AWS::Region\}\.amazonaws\.com")
    assert not [domain for domain in domains if not sources.fullmatch(domain) and not via.fullmatch(domain)]


def test_service_principals_are_the_partitions(anywhere: Stack) -> None:
    """Fails when a service would be admitted under a name it does not have in the partition."""
    for name, role in anywhere.of_type("AWS::IAM::Role").items():
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
        service = "appconfig" if name == "SettingsMonitorRole" else "lambda"
        assert trust["Principal"] == {"Service": f"{service}.amazonaws.com"}
    for name, statement in roles(anywhere):
        for resource in listed(statement["Resource"]):
            if resource.startswith("arn:"):
                assert resource.split(":")[1] == anywhere.place.partition, name
                # An organization's trail is another account's: it is read, never changed.
                only_reads = all(re.search(r":(Get|List|Describe)", action) for action in listed(statement["Action"]))
                assert resource.split(":")[4] in {ACCOUNT, "", *("*" for _ in range(only_reads))}, name


def test_outputs_tell_what_other_tools_need(stack: Stack, group_names: list[str]) -> None:
    """Fails when the command line or the sandbox would have to guess a name."""
    wanted = {"AuditTableName", "StateTableName", "SettingsApplicationId", "SettingsEnvironmentId", "SettingsProfileId",
              "SettingsStrategyId", "SettingsValidatorFunctionName", "AlertTopicArn", "BusName", "DeadLetterQueueUrl",
              "DataKeyArn", "LogKeyArn", "LogKeyIsRetained", "NotifierFunctionName", "ClerkFunctionName"}  # fmt: skip
    assert wanted <= set(stack.outputs)
    assert stack.outputs["Groups"].split(",") == group_names
    assert all(isinstance(value, str) and value for value in stack.outputs.values())


def test_a_stacks_name_that_roles_cannot_bear_is_refused_before_the_keys() -> None:
    """Fails when a name that is too long is found out only halfway, or another length is refused than names need."""
    (parameter,) = source("functions/system/stack-name.yaml")["Parameters"].values()
    assert parameter["MaxLength"] == STACK_CHARACTERS
    assert f"at most {STACK_CHARACTERS} characters" in parameter["ConstraintDescription"]
    for name, body in source()["Resources"].items():
        assert body["Type"] != "AWS::KMS::Key" or body["DependsOn"] == "StackName", name
