"""Requests about one resource that came together go in step, so that AWS gets their changes in one call.

Each goes its own way, a generator that reads, decides, plans and closes for its own control. It yields where a call is
to be made or time is to pass, and is told what became of that. Only the sending is shared (docs/decisions/005).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from evenkeel.errors import AwsError, ErrorKind
from evenkeel.model import Call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from evenkeel.audit.record_types import PlannedRecord
    from evenkeel.control import Control
    from evenkeel.model import Request
    from evenkeel.remediation.evaluation import Job

T = TypeVar("T")

PATIENCE = 3
"""So often calls that are refused as busy come back as one. Then each is made alone: one may be what is refused."""


@dataclass(frozen=True, slots=True)
class Send:
    """A wish to have a call made; its plan is in the ledger."""

    job: Job
    plan: PlannedRecord
    call: Call


@dataclass(frozen=True, slots=True)
class Pause:
    """A wish to go on after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a wish: AWS's answer to the call, or what went wrong, and the other plans that it was made for."""

    answer: dict[str, Any] = field(default_factory=dict)
    error: Exception | None = None
    sent_with: dict[str, str] = field(default_factory=dict)
    """The plans' record ids by their controls."""


Steps: TypeAlias = Generator[Send | Pause, Sent, T]
"""The way of one request, which returns a ``T`` in the end."""


def crews(requests: Iterable[Request], controls: Iterable[Control]) -> list[list[Request]]:
    """Return the requests in groups that go in step: about one resource, of controls whose calls AWS takes as one."""
    merging = {control.id for control in controls if control.merges}
    found: dict[tuple[str, str], list[Request]] = {}
    for request in requests:
        alone = "" if request.control in merging else request.control
        found.setdefault((request.resource.arn, alone), []).append(request)
    return list(found.values())


def serve(ways: Sequence[Steps[T]], sleep: Callable[[float], None]) -> list[T | Exception]:
    """Take all ways to their ends; return what each returned or raised. None waits for another's end, only in step."""
    ended: dict[int, T | Exception] = {}
    wishes: dict[int, Send | Pause] = {}
    answers: dict[int, Sent | None] = dict.fromkeys(range(len(ways)))
    while answers:
        for number, answer in answers.items():
            try:
                wishes[number] = ways[number].send(answer) if answer else next(ways[number])
            except StopIteration as end:
                ended[number] = end.value
            except Exception as error:  # noqa: BLE001 - whoever sent it this way gets it back
                ended[number] = error
        answers = _granted(wishes, sleep)
        wishes = {number: wish for number, wish in wishes.items() if number not in answers}
    return [ended[number] for number in range(len(ways))]


def _granted(wishes: dict[int, Send | Pause], sleep: Callable[[float], None]) -> dict[int, Sent | None]:
    """Make the calls that are wished for; where there are none, let the longest pause pass."""
    sends = {number: wish for number, wish in wishes.items() if isinstance(wish, Send)}
    if not sends:
        pauses = [wish.seconds for wish in wishes.values() if isinstance(wish, Pause)]
        if pauses:
            sleep(max(pauses))
        return {number: Sent() for number in wishes}
    answers: dict[int, Sent | None] = {}
    for numbers in _together(sends):
        answers |= zip(numbers, _send([sends[number] for number in numbers]), strict=True)
    return answers


def _together(sends: dict[int, Send]) -> list[list[int]]:
    """Return the numbers of the calls in groups that can be sent as one."""
    groups: list[list[int]] = []
    for number, send in sends.items():
        group = next((group for group in groups if all(_one_call(send, sends[other]) for other in group)), None)
        if group is None:
            groups.append([number])
        else:
            group.append(number)
    return groups


def _one_call(one: Send, other: Send) -> bool:
    """Say whether two calls can be one: both controls say so, and nothing but the resource's name is in both."""
    operation, key = one.call.operation, one.job.control.merges.get(one.call.operation)
    if key is None or (one.call.service, operation) != (other.call.service, other.call.operation):
        return False
    shared = one.call.params.keys() & other.call.params.keys()
    same_name = one.call.params.get(key) == other.call.params.get(key)
    return other.job.control.merges.get(operation) == key and shared == {key} and same_name


def _send(sends: list[Send]) -> list[Sent]:
    """Make one call of several; where it fails, and may do so because of one of them, make each by itself."""
    params: dict[str, Any] = {}
    for send in sends:
        params |= send.call.params
    first = sends[0]
    try:
        answer = first.job.aws.run(Call(first.call.service, first.call.operation, params))
    except Exception as error:  # noqa: BLE001 - each way is told, and raises what is no error of AWS's
        if len(sends) == 1 or all(_about_the_resource(send.job, error) for send in sends):
            return [Sent(error=error) for _ in sends]
        return [sent for send in sends for sent in _send([send])]
    plans = {send.job.control.id: str(send.plan["record_id"]) for send in sends}
    return [
        Sent(answer, sent_with={control: plan for control, plan in plans.items() if control != send.job.control.id})
        for send in sends
    ]


def _about_the_resource(job: Job, error: Exception) -> bool:
    """Say whether AWS refused the resource and not a parameter: it is not there, or (at first sight) it is busy."""
    if not isinstance(error, AwsError):
        return False
    kind = job.kind(error)
    return kind is ErrorKind.NOT_FOUND or (kind is ErrorKind.TRANSIENT and job.request.attempt < PATIENCE)
