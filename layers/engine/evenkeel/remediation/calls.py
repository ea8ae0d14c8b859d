"""Sends the calls of several plans about one resource, as one call where AWS takes them together.

Only the sending is shared: each finding has its own decision, plan, proof and outcome (docs/decisions/005).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evenkeel.errors import AwsError, ErrorKind
from evenkeel.model import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.audit.records import Record
    from evenkeel.audit.state_item import StateItem
    from evenkeel.control import Merge
    from evenkeel.model import Change
    from evenkeel.remediation.evaluation import Evaluation

PATIENCE = 3
"""How often calls that are refused as busy come back together. Then each is made alone: one may be what is refused."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A finding whose plan is in the ledger. ``item`` is the state item as it was before the plan."""

    evaluation: Evaluation
    plan: Record
    change: Change
    item: StateItem


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one call of a plan: AWS's answer, or what went wrong, and the other plans that it was made for."""

    planned: Planned
    call: Call
    answer: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    sent_with: dict[str, str] = field(default_factory=dict)
    """The plans' record ids by their controls."""

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation that the call is for."""
        return self.planned.evaluation


def send(pending: Sequence[tuple[Planned, Call]]) -> list[Sent]:
    """Make one call of each plan, together where they can be one; return what became of each, in their order."""
    groups: list[list[int]] = []
    for number, each in enumerate(pending):
        group = next((group for group in groups if all(_can_be_one(each, pending[other]) for other in group)), None)
        if group is None:
            groups.append([number])
        else:
            group.append(number)
    sent = {
        number: one for group in groups for number, one in zip(group, _send([pending[n] for n in group]), strict=True)
    }
    return [sent[number] for number in range(len(pending))]


def _can_be_one(one: tuple[Planned, Call], other: tuple[Planned, Call]) -> bool:
    """Return whether two calls can be one: both controls declare it, and nothing in one can undo the other."""
    (first, call), (second, other_call) = one, other
    merge = first.evaluation.control.merges.get(call.operation)
    if merge is None or (call.service, call.operation) != (other_call.service, other_call.operation):
        return False
    if second.evaluation.control.merges.get(call.operation) != merge:
        return False
    return _agree(merge, call.params, other_call.params)


def _agree(merge: Merge, one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two calls are about the same thing, set different parts of it, and AWS takes both at once."""
    if any(key not in one or key not in other or one[key] != other[key] for key in merge.keys):
        return False
    if one.keys() & other.keys() - set(merge.keys) - set(merge.lists):
        return False
    return not (one.keys() & set(merge.one_at_a_time) and other.keys() & set(merge.one_at_a_time))


def merged(merge: Merge, calls: Sequence[Call]) -> Call:
    """Return one call with the parameters of several; values of list parameters follow each other."""
    params: dict[str, Any] = {}
    for call in calls:
        for name, value in call.params.items():
            params[name] = [*params.get(name, ()), *value] if name in merge.lists else value
    return Call(calls[0].service, calls[0].operation, params)


def _send(group: Sequence[tuple[Planned, Call]]) -> list[Sent]:
    """Make one call for a group; where it fails, and may do so because of one of them, make each by itself."""
    first, call = group[0]
    if len(group) > 1:
        call = merged(first.evaluation.control.merges[call.operation], [each for _, each in group])
    try:
        answer = first.evaluation.aws.run(call)
    except Exception as error:  # noqa: BLE001 - each plan gets it, and raises what is not AWS's
        if len(group) == 1 or all(_about_the_resource(planned.evaluation, error) for planned, _ in group):
            return [Sent(planned, own, error=error) for planned, own in group]
        return [sent for each in group for sent in _send([each])]
    plans = {planned.evaluation.control.id: str(planned.plan["record_id"]) for planned, _ in group}
    return [
        Sent(
            planned,
            own,
            answer,
            sent_with={name: plan for name, plan in plans.items() if name != planned.evaluation.control.id},
        )
        for planned, own in group
    ]


def _about_the_resource(evaluation: Evaluation, error: Exception) -> bool:
    """Return whether AWS refused the resource and not a parameter: it is not there, or (at first) it is busy."""
    if not isinstance(error, AwsError):
        return False
    kind = evaluation.kind(error)
    return kind is ErrorKind.NOT_FOUND or (kind is ErrorKind.TRANSIENT and evaluation.request.attempt < PATIENCE)
