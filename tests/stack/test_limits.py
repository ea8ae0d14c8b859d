"""The stack keeps AWS's limits, with room for thirty groups, and a group that outgrows one is split by itself."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel import names
from evenkeel.control import Control, Stage
from evenkeel.control.registry import groups
from evenkeel.control.triggers import CloudTrail
from tests.stack.catalogue import like, repository
from tests.stack.test_lint import complaints
from tools import enabled_groups, generate, group_template
from tools.aws_quotas import INLINE_POLICIES, MANAGED_POLICY, PATTERN, RULES, characters, measured
from tools.aws_quotas.measure import VARIABLES, longest
from tools.aws_quotas.thirty_groups import LARGEST, thirty_groups
from tools.cfn import Fn, Star, plain
from tools.rendering import PLACES, Place, Stack, expanded

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

THIRTY = thirty_groups(groups())


def test_the_catalogue_is_as_large_as_it_is_meant_to_become() -> None:
    """Fails when the distances are measured on less than Evenkeel is meant to hold."""
    assert (len(THIRTY), sum(map(len, THIRTY.values()))) == (30, 110)
    assert {1, 8} <= {len(controls) for controls in THIRTY.values()}
    assert THIRTY[LARGEST] == groups()[LARGEST]
    ids = [control.id for controls in THIRTY.values() for control in controls]
    assert len(set(ids)) == 110
    assert {group for group in THIRTY if len(group) == names.GROUP_CHARACTERS} == set(THIRTY) - {LARGEST}


def test_derived_controls_are_as_large_as_their_originals() -> None:
    """Fails when thirty groups would seem to fit only because their controls share calls, types and permissions."""
    (eight,) = [controls for controls in THIRTY.values() if controls[0].group.startswith("group01")]
    real = groups()["lambda"]
    calls = {name for control in eight for trigger in control.triggers for name in getattr(trigger, "names", ())}
    actions = {action for control in eight for grant in control.permissions for action in grant.actions}
    assert len(calls) == 4 * sum(len(_calls(control)) for control in real)
    assert len(actions) == 4 * sum(
        len({each for grant in control.permissions for each in grant.actions}) for control in real
    )


def _calls(control: Control) -> set[str]:
    return {name for trigger in control.triggers if isinstance(trigger, CloudTrail) for name in trigger.names}


@pytest.mark.parametrize("catalogue", [groups(), THIRTY], ids=["today", "thirty groups"])
def test_every_limit_is_far_enough_away(catalogue: Mapping[str, tuple[Control, ...]]) -> None:
    """Fails when the stack comes too near to a limit of AWS; the message names limit, source and distance."""
    measures = measured(*generate.built(generate.ROOT, catalogue))
    assert [str(each) for each in measures if each.exceeded] == []
    assert max(each.value for each in measures if each.limit is RULES) <= 120


def test_what_the_transform_makes_keeps_the_limits_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when SAM's transform adds so much that what CloudFormation gets comes too near to a limit."""
    root = repository(tmp_path, THIRTY, monkeypatch)
    paths = {
        enabled_groups.path(controls).parent.name: str(tmp_path / enabled_groups.path(controls))
        for controls in THIRTY.values()
    }
    after = {group: expanded(PLACES[0], path) for group, path in paths.items()}
    assert [str(each) for each in measured(expanded(PLACES[0], root), after) if each.exceeded] == []


LONGEST_NAMES = {
    "RoleName": 64,
    "FunctionName": 64,
    "QueueName": 80,
    "TableName": 255,
    "TopicName": 256,
    "LogGroupName": 512,
    "AliasName": 256,
    "LayerName": 140,
    "ManagedPolicyName": 128,
}
"""Of names as their properties are called (each service's API reference, the parameter of the call that creates it)."""
LONGEST_NAME_OF = {"AWS::Events::Rule": 64, "AWS::Events::EventBus": 256, "AWS::AppConfig::Application": 64,
                   "AWS::AppConfig::Environment": 64, "AWS::AppConfig::ConfigurationProfile": 128,
                   "AWS::AppConfig::DeploymentStrategy": 64}  # fmt: skip
"""Of those that are just called ``Name``."""


def test_the_longest_names_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when the deployment of a stack with the longest name, in a region with the longest name, stops halfway."""
    path = repository(tmp_path, THIRTY, monkeypatch)
    parameters = {"EnableUndo": "true"}
    stack = Stack(Place("aws", "ap-southeast-1"), "s" * names.STACK_CHARACTERS, parameters, path)
    seen = set()
    for name, body in stack.resources.items():
        for key, value in body.get("Properties", {}).items():
            limit = LONGEST_NAME_OF.get(body["Type"]) if key == "Name" else LONGEST_NAMES.get(key)
            if limit and not value.startswith("<"):
                assert len(value) <= limit, f"{name}.{key}: {value}"
                seen.add(key)
            assert limit or key != "Name", f"{name}: the limit of its name is not known here"
    assert seen >= {*LONGEST_NAMES, "Name"} - {"ManagedPolicyName"}


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("sixteencharacter", "16 characters; shorten it to 15"),
        *[
            (name, "another part of the stack")
            for name in ("clerk", "undo", "audit", "state", "dead-letters", "engine")
        ],
        ("kms-undo", "lowercase letters and digits only"),
        ("api_gateway", "lowercase letters"),
        ("Kms", "lowercase letters"),
        ("7zip", "lowercase letters"),
    ],
)
def test_a_group_that_cannot_be_named_after_is_refused(group: str, said: str) -> None:
    """Fails when only CloudFormation notices, in the middle of a deployment, that a name is too long or taken."""
    control = like(groups()["kms"][0], f"{group}.key_rotation")
    with pytest.raises(ValueError, match=said):
        generate.generated(generate.ROOT, {group: [control]})


ARN = "arn:{partition}:ec2:{region}:{account}:kind"


def many(number: int) -> list[Control]:
    """Return so many controls of one group, none of which needs what another needs."""
    original = groups()["ec2"][0]
    grants = {
        f"{place:02}": [
            replace(grant, actions=tuple(f"{action}{place:02}" for action in grant.actions), on=(f"{ARN}{place:02}/*",))
            for grant in original.permissions
        ]
        for place in range(number)
    }
    return [like(original, f"ec2.control_{mark}", permissions=tuple(each)) for mark, each in grants.items()]


def test_what_does_not_fit_into_a_role_goes_into_managed_policies() -> None:
    """Fails when a group with many controls could not be deployed, or its role lost a permission."""
    controls = many(60)
    body = plain(group_template.template("ec2", controls))
    for role, condition in (("Role", None), ("UndoRole", "UndoIsEnabled")):
        attached = [ref["Ref"] for ref in body["Resources"][role]["Properties"]["ManagedPolicyArns"]]
        assert attached == [name for name in body["Resources"] if name.startswith(f"{role}Policy")]
        assert {body["Resources"][name].get("Condition") for name in attached} == {condition}
        documents = [body["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]]
        documents += [body["Resources"][name]["Properties"]["PolicyDocument"] for name in attached]
        sizes = [characters(document) for document in documents]
        assert sizes[0] <= INLINE_POLICIES.allowed
        assert max(sizes[1:]) <= MANAGED_POLICY.allowed
        stages = {Stage.READ, Stage.UNDO} if condition else {Stage.READ, Stage.DISCOVER, Stage.APPLY}
        wanted = {
            each
            for control in controls
            for grant in control.permissions
            if grant.stage in stages
            for each in grant.actions
        }
        assert wanted <= {
            action for document in documents for it in document["Statement"] for action in _listed(it["Action"])
        }


def test_a_group_that_fits_has_no_managed_policy() -> None:
    """Fails when every group would cost two more resources, or permissions are in two places without need."""
    for group, controls in groups().items():
        kinds = {body["Type"] for body in group_template.template(group, controls)["Resources"].values()}
        assert "AWS::IAM::ManagedPolicy" not in kinds


def test_cfn_lint_accepts_managed_policies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when CloudFormation would refuse what the generator makes of a large group."""
    repository(tmp_path, {"ec2": many(60)}, monkeypatch)
    found = complaints(PLACES[0], str(tmp_path / "functions/controls/ec2/template.yaml"))
    assert [each for each in found if "W3037" not in each] == []  # its actions are made up


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value


def _rule(pattern: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": pattern}}


def _role(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}, **properties}}


TOO_MUCH = [
    (
        {f"R{n}": {"Type": "AWS::SNS::Topic"} for n in range(351)},
        "root: resources of a template: 351 of 500, 70% (at most 70%)",
    ),
    ({"R": _rule({"a": ["x" * 1940]})}, "root R: characters of a pattern: 1,950 of 2,048, 95%"),
    ({f"R{n}": _rule({}) for n in range(121)}, "stack: rules of the default bus: 121 of 300, 40%"),
    ({f"R{n}": _rule({"a": [{"wildcard": "*"}]}) for n in range(22)}, "stack: rules with a wildcard: 22 of 30, 73%"),
    (
        {"R": _role(Policies=[{"PolicyDocument": "x" * 5000}] * 2)},
        "root R: characters of a role's inline policies: 10,004",
    ),
    ({"R": _role(ManagedPolicyArns=["x"] * 8)}, "root R: managed policies of a role: 8 of 10, 80%"),
    (
        {"R": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": "x" * 6000}}},
        "root R: characters of a managed",
    ),
    (
        {"R": {"Type": "AWS::Lambda::Function", "Properties": {"Environment": {"Variables": {"A": "x" * 2900}}}}},
        "root R: bytes of a function's variables: 2,901 of 4,096, 71%",
    ),
    (
        {"R": {"Type": "AWS::CloudFormation::Stack", "Properties": {"Parameters": {"A": "x" * 2900}}}},
        "root R: bytes of a parameter's value: 2,900 of 4,096, 71%",
    ),
]


@pytest.mark.parametrize(
    ("resources", "said"), TOO_MUCH, ids=lambda value: value[:40] if isinstance(value, str) else ""
)
def test_what_comes_too_near_is_said_with_its_distance(resources: dict[str, Any], said: str) -> None:
    """Fails when a template that AWS refuses, or soon will, is noticed only at deployment."""
    found = [str(each) for each in measured({"Resources": resources}, {}) if each.exceeded]
    assert len(found) == 1
    assert found[0].startswith(said)
    assert "; " in found[0], "it names its source"


def test_the_generator_refuses_what_comes_too_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when `make generate` writes a template that comes too near to a limit, and says nothing."""
    huge = like(
        groups()["kms"][0], "kms.key_rotation", triggers=(CloudTrail("kms.amazonaws.com", ("X" * 2000,), at="x"),)
    )
    with pytest.raises(generate.LimitError, match=r"kms ApiCallRule: characters of a pattern: 2,\d+ of 2,048"):
        generate.generated(generate.ROOT, {"kms": [huge]})


def test_functions_count_as_long_as_they_can_be() -> None:
    """Fails when a policy fits on paper and not with the ARNs that CloudFormation fills in."""
    assert characters(plain(Fn("GetAtt", "KmsQueue.Arn"))) > 100
    assert characters(plain(Fn("Sub", "${AWS::AccountId}"))) == len('"123456789012"')
    assert characters(plain(Star("because"))) == len('"*"')
    either = {"Fn::If": ["Condition", "long", {"Ref": "AWS::NoValue"}]}
    assert longest({"Fn::Join": [",", [either, {"Fn::Select": [0, ["kms", {"Ref": "KmsGroup"}]]}]]}) == len("long,kms")
    assert longest({"Fn::Sub": ["${a}-${Scope}", {"a": "x"}]}, {"Scope": 1024}) == 1026


def test_a_parameters_longest_value_counts_where_it_is_handed_down() -> None:
    """Fails when the scope, which may have 1,024 characters, counts as an ARN in the groups' functions."""
    scope = {"Type": "AWS::Serverless::Function", "Properties": {"Environment": {"Variables": {"S": {"Ref": "Scope"}}}}}
    nested = {"Type": "AWS::Serverless::Application", "Properties": {"Parameters": {"Scope": {"Ref": "Scope"}}}}
    root = {"Parameters": {"Scope": {"MaxLength": 1024}}, "Resources": {"KmsGroup": nested}}
    found = [each for each in measured(root, {"kms": {"Resources": {"F": scope}}}) if each.limit is VARIABLES]
    assert [each.value for each in found] == [1025]


def test_the_table_names_every_limit_with_its_source() -> None:
    """Fails when `python -m tools.aws_quotas` leaves out a limit, or does not say where it comes from."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.aws_quotas"], capture_output=True, text=True, check=False, cwd=generate.ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert {row[0].removeprefix("| ").removeprefix("root: ") for row in rows} >= {
        RULES.name,
        PATTERN.name,
        VARIABLES.name,
    }
    assert all("quotas" in row[-1] for row in rows)
