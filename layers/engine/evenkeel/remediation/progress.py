"""How far the requests of one visit are: which go on, which have ended, and which begin again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from evenkeel.audit.state_item import StateItem
from evenkeel.errors import LeaseHeldError, StaleStateError
from evenkeel.model import Result
from evenkeel.remediation.evaluation import delayed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenkeel.model import Request
    from evenkeel.remediation.evaluation import Evaluation

S = TypeVar("S")
T = TypeVar("T")


class Progress:
    """How far the requests of one visit are, by their number; each ends with a result, or with what it crashed of."""

    def __init__(self, requests: dict[int, Request]) -> None:
        """Begin with none ended."""
        self.requests = requests
        self.ended: dict[int, Result | Exception] = {}
        self.stale: dict[int, StateItem | None] = {}
        """The state items that another worker changed meanwhile; None where the new one is not known."""

    def each(self, phase: Callable[[S], T | Result], entries: Mapping[int, S]) -> dict[int, T]:
        """Take every request through one phase; return those that go on."""
        onward: dict[int, T] = {}
        for number, entry in entries.items():
            try:
                reached = phase(entry)
            except LeaseHeldError as error:
                reached = delayed(self.requests[number], str(error))
            except StaleStateError as error:
                self.stale[number] = StateItem.of(error.item) if error.item else None
                continue
            except Exception as error:  # noqa: BLE001 - it ends this request alone; the caller gets it
                self.ended[number] = error
                continue
            if isinstance(reached, Result):
                self.ended[number] = reached
            else:
                onward[number] = reached
        return onward

    def again(self, started: Mapping[int, Evaluation]) -> dict[int, Evaluation]:
        """Return the evaluations that begin again with the state item as it is now, and forget that they were stale."""
        stale, self.stale = self.stale, {}
        return {number: replace(started[number], item=item) for number, item in stale.items()}
