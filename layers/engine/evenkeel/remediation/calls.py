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

    from evenkeel.audit.record_types import PlannedRecord
    from evenkeel.audit.state_item import StateItem
    from evenkeel.control import Merge
    from evenkeel.model import Change
    from evenkeel.remediation.evaluation import Evaluation

BUSY_ATTEMPTS = 3
"""Attempts for which calls that AWS refuses as busy stay merged. After that each is made alone: one of them may be what
AWS refuses."""


@dataclass(frozen=True, slots=True)
class Planned:
    """A finding whose plan is in the ledger. ``item`` is the state item as it was before the plan."""

    evaluation: Evaluation
    plan: PlannedRecord
    change: Change
    item: StateItem


@dataclass(frozen=True, slots=True)
class Sent:
    """The answer to one call of a plan, or its error, and the other plans that shared the call."""

    planned: Planned
    call: Call
    answer: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    sent_with: dict[str, str] = field(default_factory=dict)
    """Control id to record id of its plan."""

    @property
    def evaluation(self) -> Evaluation:
        """The evaluation that the call is for."""
        return self.planned.evaluation


def send(pending: Sequence[tuple[Planned, Call]]) -> list[Sent]:
    """Make one call of each plan, merged where AWS takes them together; return one result each, in the same order."""
    groups: list[list[int]] = []
    for number, each in enumerate(pending):
        group = next((group for group in groups if all(_can_merge(each, pending[other]) for other in group)), None)
        if group is None:
            groups.append([number])
        else:
            group.append(number)
    sent = {
        number: one for group in groups for number, one in zip(group, _send([pending[n] for n in group]), strict=True)
    }
    return [sent[number] for number in range(len(pending))]


def _can_merge(one: tuple[Planned, Call], other: tuple[Planned, Call]) -> bool:
    """Return whether two calls can be merged: both controls declare it, and their parameters do not conflict."""
    (first, call), (second, other_call) = one, other
    merge = first.evaluation.control.merges.get(call.operation)
    if merge is None or (call.service, call.operation) != (other_call.service, other_call.operation):
        return False
    if second.evaluation.control.merges.get(call.operation) != merge:
        return False
    return _can_merge_params(merge, call.params, other_call.params)


def _can_merge_params(merge: Merge, one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two calls have the same target, set different parameters, and AWS takes both at once."""
    if any(key not in one or key not in other or one[key] != other[key] for key in merge.keys):
        return False
    if one.keys() & other.keys() - set(merge.keys) - set(merge.lists):
        return False
    return not (one.keys() & set(merge.one_at_a_time) and other.keys() & set(merge.one_at_a_time))


def merged(merge: Merge, calls: Sequence[Call]) -> Call:
    """Return one call with the parameters of several; list parameters are concatenated."""
    params: dict[str, Any] = {}
    for call in calls:
        for name, value in call.params.items():
            params[name] = [*params.get(name, ()), *value] if name in merge.lists else value
    return Call(calls[0].service, calls[0].operation, params)


def _send(group: Sequence[tuple[Planned, Call]]) -> list[Sent]:
    """Make one call for a group; if it fails in a way that one of them may have caused, make each alone."""
    first, call = group[0]
    if len(group) > 1:
        call = merged(first.evaluation.control.merges[call.operation], [each for _, each in group])
    try:
        answer = first.evaluation.aws.run(call)
    except Exception as error:  # noqa: BLE001 - each plan gets it, and raises it unless it is an error from AWS
        if len(group) == 1 or all(_is_about_resource(planned.evaluation, error) for planned, _ in group):
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


def _is_about_resource(evaluation: Evaluation, error: Exception) -> bool:
    """Return whether an error concerns the resource, not a parameter: it does not exist, or (at first) it is busy."""
    if not isinstance(error, AwsError):
        return False
    kind = evaluation.kind(error)
    return kind is ErrorKind.NOT_FOUND or (kind is ErrorKind.TRANSIENT and evaluation.request.attempt < BUSY_ATTEMPTS)
