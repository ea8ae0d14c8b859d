"""Taking any one action away from a role ends in a clear finding, on the real stack with IAM enforced.

No control is named here: a new one is tried with every action that it declares.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control import Stage, fits
from evenkeel.operators.caller_proof import sign
from evenkeel.runtime.dynamodb import unwire, wire
from sandbox.client import Sandbox
from sandbox.deploy.deployment import Stack, deploy
from sandbox.deploy.settings import push
from tests.cases.case import changes_type, enforcing, maker
from tests.contract.permissions import actions, pascal
from tests.contract.registry import CONTROLS
from tests.factories import ARNS
from tests.runs import opened
from tests.wire import Made
from tests.world import reaching
from tools.names import stem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

    from evenkeel.control import Control, Grant

NOT_IN_THE_ENGINE: frozenset[str] = frozenset()
"""Actions that the sandbox's engine does not ask for, so that taking them away shows nothing there."""


@dataclass
class Place:
    """The stack with its sources switched off, so that nothing acts but what a test invokes."""

    sandbox: Sandbox
    stack: Stack
    alice: boto3.Session
    made: dict[Callable[[], str], str] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)
    """The open run of each control."""

    def weak(self, control: Control, kind: str) -> str:
        """Return the ARN of a resource that violates a control; it stays as it is, so it is made once."""
        make = maker(control.id, kind)
        if make not in self.made:
            with reaching(lambda service: self.sandbox.client(service, self.alice)):
                self.made[make] = make()
        return self.made[make]

    @contextmanager
    def without(self, role: str, action: str) -> Iterator[None]:
        """Take one action out of every statement of a role's policies, for a while."""
        iam, name = self.sandbox.client("iam"), self.stack.resources[role]
        kept = {}
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            kept[policy] = document
            less = [_less(statement, action) for statement in document["Statement"]]
            less = [statement for statement in less if statement["Action"]]
            assert less != document["Statement"] or len(kept) > 1 or action not in json.dumps(document)
            iam.put_role_policy(
                RoleName=name, PolicyName=policy, PolicyDocument=json.dumps({**document, "Statement": less})
            )
        assert any(action in json.dumps(document) for document in kept.values()), f"{role} does not hold {action}"
        try:
            yield
        finally:
            for policy, document in kept.items():
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))

    def invoke(self, function: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Invoke a function and return its answer."""
        client = self.sandbox.client("lambda", self.alice, read_timeout=120)
        answer = client.invoke(FunctionName=self.stack.resources[function], Payload=json.dumps(payload))
        found: dict[str, Any] = json.load(answer["Payload"])
        return found

    def repair(self, control: Control, arn: str) -> dict[str, Any]:
        """Have one resource looked at and repaired; return the result."""
        function = f"{stem(control.group)}Function"
        if control.id not in self.runs:
            self.runs[control.id] = opened(lambda payload: self.proved(function, payload), control.id)
        wish = {"control": control.id, "resources": [arn], "dry_run": False, "run": self.runs[control.id]}
        (result,) = self.invoke(function, wish)["results"]
        return dict(result)

    def repaired(self, control: Control, arn: str) -> str:
        """Have a resource repaired; return the record of it, or an empty text where nothing was left to repair."""
        result = self.repair(control, arn)
        # An undo that could not be proved holds the resource; so many undos and repairs are a tug of war.
        if result["outcome"] == "HELD" or "held until" in result["reason"]:
            wish = {"release": control.id, "resource": arn}
            (result,) = self.proved(f"{stem(control.group)}Function", wish)["results"]
        # What only people can mend is announced, or was already, once Evenkeel has done its part.
        assert result["outcome"] in {"REMEDIATED", "PARTIAL", "COMPLIANT", "ANNOUNCED", "SKIPPED"}, result
        return str(result["record_id"]) if result["outcome"] in {"REMEDIATED", "PARTIAL"} else ""

    def record(self, arn: str, record_id: str) -> dict[str, Any]:
        """Return an audit record."""
        key = wire({"resource": arn, "record_id": record_id})
        table = self.stack.outputs["AuditTableName"]
        return unwire(self.sandbox.client("dynamodb").get_item(TableName=table, Key=key)["Item"])

    def undo(self, arn: str, record: str) -> dict[str, Any]:
        """Have a record taken back; return the answer."""
        return self.proved("UndoFunction", {"resource": arn, "record": record, "dry_run": False})

    def proved(self, function: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Invoke a function in alice's proved name."""
        proof = sign(self.alice, self.sandbox.endpoint, self.stack.name, payload)
        return self.invoke(function, {**payload, "caller": proof})


def _less(statement: dict[str, Any], action: str) -> dict[str, Any]:
    given = statement["Action"]
    return {**statement, "Action": [each for each in ([given] if isinstance(given, str) else given) if each != action]}


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack on a sandbox of its own, every control set to enforce."""
    with Sandbox(table_seconds=0.0, quiet_stacks=True) as running:
        stack = deploy(running, parameters={"EnableUndo": "true"})
        client = running.client("lambda")
        for source in client.list_event_source_mappings()["EventSourceMappings"]:
            client.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
        controls = {control.id: enforcing(control.id) for control in CONTROLS if not control.only_announces}
        push(running, stack, {"schema_version": 1, "settle_seconds": 0, "controls": controls})
        yield Place(running, stack, running.create_user("alice"))


def _about(grant: Grant, control: Control, kind: str) -> bool:
    """Say whether a grant is needed for resources of a type."""
    return all(on == "*" or fits(on.replace("*", "{id}"), ARNS[kind]) for on in grant.on or (control.arn,))


def _cases(*stages: Stage) -> list[Any]:
    """Return each (control, type, action) of some stages."""
    return [
        pytest.param(control, kind, action, id=f"{control.id}: {kind} without {action}")
        for control in CONTROLS
        for kind, arn in ARNS.items()
        if control.applies_to(arn)
        for grant in control.permissions
        if grant.stage in stages and _about(grant, control, kind)
        for action in grant.actions
        if action not in NOT_IN_THE_ENGINE
    ]


@pytest.mark.parametrize(("control", "kind", "action"), _cases(Stage.READ, Stage.APPLY))
def test_repair_without_one_action_names_it(place: Place, control: Control, kind: str, action: str) -> None:
    """If this fails, a role that lacks a permission repairs nothing and nobody is told which, or never needed it."""
    arn = place.weak(control, kind)
    with place.without(f"{stem(control.group)}Role", action):
        result = place.repair(control, arn)
    assert result["outcome"] == "ERROR"
    assert action in result["reason"]
    assert "deploy the stack's current policies" in result["reason"]


@pytest.mark.parametrize(
    ("control", "action"),
    [
        pytest.param(control, action, id=f"{control.id} without {action}")
        for control in CONTROLS
        for grant in control.permissions
        if grant.stage is Stage.DISCOVER
        for action in grant.actions
    ],
)
def test_listing_without_one_action_names_it(place: Place, control: Control, action: str) -> None:
    """If this fails, a backfill over all resources ends early and nobody is told why."""
    wish = {"control": control.id, "resources": "all", "dry_run": True}
    with place.without(f"{stem(control.group)}Role", action):
        answer = place.invoke(f"{stem(control.group)}Function", wish)
    assert action in json.dumps(answer)


@pytest.mark.parametrize(
    ("control", "kind"),
    [
        pytest.param(control, kind, id=f"{control.id}: {kind}")
        for control in CONTROLS
        for kind, arn in ARNS.items()
        if control.applies_to(arn) and changes_type(control, kind)
    ],
)
def test_undo_without_any_one_action_names_it(place: Place, control: Control, kind: str) -> None:
    """If this fails, an undo that lacks a permission does nothing and nobody is told which, or never needed it."""
    arn = place.weak(control, kind)
    record = place.repaired(control, arn)
    for action in sorted(_needed(place.record(arn, record), control, kind) - NOT_IN_THE_ENGINE):
        with place.without(f"{stem(control.group)}UndoRole", action):
            answer = place.undo(arn, record)
        told = answer["error"]["message"] if "error" in answer else place.record(arn, answer["record_id"])["detail"]
        assert action in told, answer
        assert answer.get("outcome", "FAILED") == "FAILED"
        record = place.repaired(control, arn) or record
    assert place.undo(arn, record)["outcome"] == "UNDONE"


def _needed(record: dict[str, Any], control: Control, kind: str) -> set[str]:
    """Return the actions that taking a record back needs: all reads, and those of its own calls."""
    calls = [
        Made(call["service"], pascal(call["service"], call["operation"]), call["params"]) for call in record["undo"]
    ]
    grants = [each for each in control.permissions if each.stage is Stage.READ and _about(each, control, kind)]
    return {action for grant in grants for action in grant.actions} | actions(calls)
