"""How far each request of a visit has got: it goes on to the next phase, has ended, or starts again."""

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
    """The requests of one visit by their number; each ends with a result, or with the error that it crashed with."""

    def __init__(self, requests: dict[int, Request]) -> None:
        """Start with no request ended."""
        self.requests = requests
        self.ended: dict[int, Result | Exception] = {}
        self.stale: dict[int, StateItem | None] = {}
        """State items that another worker changed meanwhile; None if the new one is not known."""

    def each(self, phase: Callable[[S], T | Result], entries: Mapping[int, S]) -> dict[int, T]:
        """Run one phase for every request; return those that go on to the next."""
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
        """Return the stale evaluations with the current state item, to start again, and clear the list."""
        stale, self.stale = self.stale, {}
        return {number: replace(started[number], item=item) for number, item in stale.items()}
