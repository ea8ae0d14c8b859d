"""Dead letters that a person has dropped: each is audited, then deleted.

The clerk reads the letters from the queue itself; of the payload it takes ids only, so that what is audited is what is
deleted. A crash between the two leaves the letter, and a repeat finds its record and deletes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.audit import system_records
from evenkeel.audit.system_records import DEAD_LETTER, Note
from evenkeel.model import Actor, Cause, Outcome, Request, Resource
from evenkeel.operators.dead_letters import Box

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.model import Place
    from evenkeel.operators.dead_letters import Drop, Letter
    from evenkeel.runtime.aws import Aws
    from evenkeel.runtime.environment import Environment

HIDDEN_SECONDS = 60
"""How long what is read stays hidden should the clerk die: its own time limit."""
STOP_AT_MILLISECONDS = 10_000
"""Time that must be left to go on; what is not dealt with by then is said to be missing, and stays."""


class Dropper:
    """Drops dead letters in one person's name."""

    def __init__(  # noqa: PLR0913 - the parts of the clerk it needs
        self, aws: Aws, ledger: Ledger, environment: Environment, *, place: Place, caller: str, now: datetime
    ) -> None:
        """Keep the parts."""
        self._box = Box(aws.client("sqs"), environment.dlq_url, HIDDEN_SECONDS)
        self._ledger = ledger
        self._environment = environment
        self._place = place
        self._caller = caller
        self._now = now

    def run(self, asked: Drop, remaining_milliseconds: Callable[[], int]) -> dict[str, Any]:
        """Drop what is asked for; return ``{"dropped": [message ids], "missing": [message ids]}``.

        Raises:
            ClientError, LeaseHeldError: AWS refused; what is not audited was not deleted.
        """
        missing = set(asked.messages)
        try:
            for letter in self._box.letters():
                if letter.id in missing:
                    self._drop(letter, asked.because)
                    missing.remove(letter.id)
                if not missing or remaining_milliseconds() < STOP_AT_MILLISECONDS:
                    break
        finally:
            self._box.give_back()
        dropped = [each for each in asked.messages if each not in missing]
        return {"dropped": dropped, "missing": [each for each in asked.messages if each in missing]}

    def _drop(self, letter: Letter, because: str) -> None:
        system_records.write_once(
            self._ledger, self._note(letter, because), self._environment.retention_days, self._now
        )
        self._box.delete(letter)

    def _note(self, letter: Letter, because: str) -> Note:
        queue = self._environment.dlq_url.rpartition("/")[2]
        place = self._place
        arn = f"arn:{place.partition}:sqs:{place.region}:{place.account}:{queue}/{letter.id}"
        request = Request(
            DEAD_LETTER.id,
            Resource(arn, place.account, place.region),
            Cause("manual", event_name="Drop", event_time=self._now.isoformat()),
            Actor(principal=self._caller),
        )
        detail = f"dropped by {self._caller}: {because}"
        return Note(DEAD_LETTER, request, Outcome.DROPPED, letter.reason, detail, letter.evidence())
