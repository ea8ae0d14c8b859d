"""Sending the calls of several plans: what may be one call, and what becomes of each plan."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from evenkeel.control import Merge
from evenkeel.errors import classify
from evenkeel.model import Call
from evenkeel.remediation import calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.remediation.calls import Planned, Sent

BY_NAME = Merge(keys=("Name",))


class Aws:
    """Remembers the calls, and refuses those that ``refuse`` finds an error for."""

    def __init__(self, refuse: Callable[[Call], Exception | None] = lambda _: None) -> None:
        """Begin with none."""
        self.calls: list[Call] = []
        self._refuse = refuse

    def run(self, call: Call) -> dict[str, Any]:
        """Take a call."""
        self.calls.append(call)
        if error := self._refuse(call):
            raise error
        return {}


def _planned(aws: Aws, control: str, merge: Merge | None = BY_NAME, attempt: int = 0) -> Planned:
    evaluation = SimpleNamespace(
        control=SimpleNamespace(id=control, merges={"modify_thing": merge} if merge else {}),
        aws=aws,
        kind=classify,
        request=SimpleNamespace(attempt=attempt),
    )
    return cast("Planned", SimpleNamespace(evaluation=evaluation, plan={"record_id": f"plan-{control}"}))


def _modify(name: str = "orders", *, service: str = "things", operation: str = "modify_thing", **params: Any) -> Call:
    return Call(service, operation, {"Name": name, **params})


def _send(aws: Aws, *modifications: Call, merge: Merge | None = BY_NAME, attempt: int = 0) -> list[Sent]:
    return calls.send([(_planned(aws, str(number), merge, attempt), call) for number, call in enumerate(modifications)])


SAFE = _modify(Safe=True)


@pytest.mark.parametrize(
    ("other", "merge"),
    [
        (_modify("carts", Closed=True), BY_NAME),
        (_modify(Safe=True), BY_NAME),
        (_modify(Safe=False), BY_NAME),
        (_modify(service="others", Closed=True), BY_NAME),
        (_modify(operation="change_thing", Closed=True), BY_NAME),
        (_modify(Closed=True), None),
        (_modify(Closed=True), Merge(keys=("Closed",))),
        (_modify(Closed=True), Merge(keys=("Name",), one_at_a_time=("Closed",))),
        (Call("things", "modify_thing", {"Closed": True}), BY_NAME),
    ],
    ids=[
        "name",
        "same setting",
        "other value",
        "service",
        "operation",
        "not declared",
        "other key",
        "other",
        "no name",
    ],
)
def test_only_calls_that_cannot_disagree_are_one(other: Call, merge: Merge | None) -> None:
    """If this fails, one control's call drops or replaces a part of another's, or is about another resource."""
    aws = Aws()
    sent = calls.send([(_planned(aws, "one"), SAFE), (_planned(aws, "two", merge), other)])
    assert aws.calls == [SAFE, other]
    assert [(each.call, each.sent_with) for each in sent] == [(SAFE, {}), (other, {})]


def test_many_calls_are_one_for_each_resource() -> None:
    """If this fails, three findings of one resource are more than one call, or two resources' are mixed."""
    aws = Aws()
    first, _, alone, _ = _send(aws, SAFE, _modify(Closed=True), _modify("carts", Closed=True), _modify(Kept=7))
    assert aws.calls == [_modify(Safe=True, Closed=True, Kept=7), _modify("carts", Closed=True)]
    assert first.sent_with == {"1": "plan-1", "3": "plan-3"}
    assert alone.sent_with == {}


def test_lists_follow_each_other() -> None:
    """If this fails, one control's patch operations replace another's, or each costs a call of its own."""
    aws, patch = Aws(), Merge(keys=("Name",), lists=("patchOperations",))
    _send(aws, _modify(patchOperations=["logs"]), _modify(patchOperations=["tracing", "cache"]), merge=patch)
    assert aws.calls == [_modify(patchOperations=["logs", "tracing", "cache"])]


def test_what_aws_takes_one_at_a_time_is_sent_one_after_the_other() -> None:
    """If this fails, two kinds of one update go out in one call, which AWS refuses as a whole."""
    aws, table = Aws(), Merge(keys=("Name",), one_at_a_time=("Billing", "Class"))
    _send(aws, _modify(Billing="on demand"), _modify(Class="rare"), _modify(Protected=True), merge=table)
    assert aws.calls == [_modify(Billing="on demand", Protected=True), _modify(Class="rare")]


def _refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "ModifyThing")


def test_refusal_that_may_be_about_one_is_found_out_by_single_calls() -> None:
    """If this fails, one control's parameter that AWS refuses keeps the others' changes from being made."""
    aws = Aws(lambda call: _refusal("InvalidParameter") if "Closed" in call.params else None)
    safe, closed = _send(aws, SAFE, _modify(Closed=True))
    assert aws.calls == [_modify(Safe=True, Closed=True), SAFE, _modify(Closed=True)]
    assert (safe.error, safe.sent_with) == (None, {})
    assert isinstance(closed.error, ClientError)


@pytest.mark.parametrize(("attempt", "made"), [(0, 1), (calls.BUSY_ATTEMPTS - 1, 1), (calls.BUSY_ATTEMPTS, 3)])
def test_busy_resource_is_asked_together_a_few_times_then_by_single_calls(attempt: int, made: int) -> None:
    """If this fails, a busy resource gets twice the calls, or one odd parameter that is called busy holds all up."""
    aws = Aws(lambda _: _refusal("ThrottlingException"))
    sent = _send(aws, SAFE, _modify(Closed=True), attempt=attempt)
    assert len(aws.calls) == made
    assert all(isinstance(each.error, ClientError) for each in sent)
