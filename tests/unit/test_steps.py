"""Going in step: what may be one call, and that nobody's end, error or pause is another's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.model import Call
from evenkeel.remediation import steps
from tests.world import request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.remediation.evaluation import Job
    from evenkeel.remediation.steps import Pause, Send, Sent, Steps

MERGES = {"modify_thing": "Name"}


class Counter:
    """Stands for the door to AWS; it remembers the calls."""

    def __init__(self) -> None:
        """Begin with none."""
        self.calls: list[Call] = []

    def run(self, call: Call) -> dict[str, Any]:
        """Take a call."""
        self.calls.append(call)
        return {}


def _send(aws: Counter, control: str, call: Call, merges: dict[str, str] | None = None) -> Send:
    matter = SimpleNamespace(id=control, merges=MERGES if merges is None else merges)
    return steps.Send(cast("Job", SimpleNamespace(control=matter, aws=aws)), {"record_id": f"plan-{control}"}, call)


def _way(*wishes: Send | Pause) -> Steps[list[Sent]]:
    """Return a way that wishes one thing after the other, and returns what it was told."""
    told = []
    for wish in wishes:
        told.append((yield wish))  # noqa: PERF401 - a comprehension cannot yield
    return told


def _modify(name: str = "orders", *, service: str = "things", operation: str = "modify_thing", **params: Any) -> Call:
    return Call(service, operation, {"Name": name, **params})


SAFE = _modify(Safe=True)


@pytest.mark.parametrize(
    ("other", "merges"),
    [
        (_modify("carts", Closed=True), None),
        (_modify(Safe=True), None),
        (_modify(Safe=False), None),
        (_modify(service="others", Closed=True), None),
        (_modify(operation="change_thing", Closed=True), None),
        (_modify(Closed=True), {}),
        (_modify(Closed=True), {"modify_thing": "Closed"}),
        (Call("things", "modify_thing", {"Closed": True}), None),
    ],
    ids=["name", "same setting", "other value", "service", "operation", "not declared", "other key", "no name"],
)
def test_only_calls_that_cannot_disagree_are_one(other: Call, merges: dict[str, str] | None) -> None:
    """If this fails, one control's call drops or replaces a part of another's, or is about another resource."""
    aws = Counter()
    ways = [_way(_send(aws, "one", SAFE)), _way(_send(aws, "two", other, merges))]
    ended = steps.serve(ways, lambda _: None)
    assert aws.calls == [SAFE, other]
    assert ended == [[steps.Sent()], [steps.Sent()]]


def test_many_calls_are_one_for_each_resource() -> None:
    """If this fails, three findings of one resource are more than one call, or two resources' are mixed."""
    aws = Counter()
    calls = [SAFE, _modify(Closed=True), _modify("carts", Closed=True), _modify(Kept=7)]
    ended = steps.serve([_way(_send(aws, str(number), call)) for number, call in enumerate(calls)], lambda _: None)
    assert aws.calls == [_modify(Safe=True, Closed=True, Kept=7), _modify("carts", Closed=True)]
    [[first], [_], [alone], [_]] = cast("list[list[Sent]]", ended)
    assert first.sent_with == {"1": "plan-1", "3": "plan-3"}
    assert alone.sent_with == {}


def test_calls_go_before_pauses_and_pauses_pass_at_the_same_time() -> None:
    """If this fails, one request's wait holds up another's change, or waits add up."""
    aws, slept = Counter(), list[float]()
    ways = [
        _way(steps.Pause(0.3), steps.Pause(0.7)),
        _way(_send(aws, "one", SAFE), steps.Pause(0.5)),
        _way(),
    ]

    def sleep(seconds: float) -> None:
        assert aws.calls == [SAFE]
        slept.append(seconds)

    ended = cast("list[list[Sent]]", steps.serve(ways, sleep))
    assert [len(told) for told in ended] == [2, 2, 0]
    assert slept == [0.5, 0.7]


def test_error_of_one_is_its_own() -> None:
    """If this fails, one request's crash ends another's way, or is lost."""

    def crash() -> Iterator[Any]:
        raise ValueError("of its own")
        yield

    aws = Counter()
    ended = steps.serve([cast("Steps[list[Sent]]", crash()), _way(_send(aws, "one", SAFE))], lambda _: None)
    assert repr(ended[0]) == "ValueError('of its own')"
    assert aws.calls == [SAFE]
    assert ended[1] == [steps.Sent()]


def test_crews_are_of_one_resource_and_of_controls_that_merge() -> None:
    """If this fails, requests wait for each other that have no call in common, or those that have go apart."""
    one, two = (f"arn:aws:rds:eu-west-1:123456789012:db:{name}" for name in ("orders", "carts"))
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders"
    wishes = [
        request("rds-public-access", one),
        request("rds-public-access", two),
        request("dynamodb-point-in-time-recovery", table),
        request("rds-deletion-protection", one),
        request("dynamodb-deletion-protection", table),
    ]
    found = steps.crews(wishes, all_controls().values())
    assert found == [[wishes[0], wishes[3]], [wishes[1]], [wishes[2]], [wishes[4]]]
