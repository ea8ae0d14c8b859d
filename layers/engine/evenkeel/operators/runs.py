"""A run: a person, whose identity is proved once, may check and change many existing resources.

The payload ``{"open_run": {"controls": [ids], "resources": [ARNs] or "all", "dry_run": false, "allowance": 100,
"hours": 12}, "caller": {…}}`` opens it, ``{"end_run": id, "caller": {…}}`` ends it; see
:mod:`evenkeel.operators.caller_proof`. In between, every payload that changes resources names the run. The run's terms
are in its first audit record. It is open while that record is the head of its chain and the run has not expired, so a
run is as hard to forge as any record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from evenkeel.audit import records, system_records
from evenkeel.audit.system_records import RUN, Note
from evenkeel.errors import MalformedPayloadError, RunRefusedError, StaleStateError
from evenkeel.model import Actor, Cause, Outcome, Request, Resource
from evenkeel.operators.caller_proof import prove

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import EndedRecord
    from evenkeel.audit.state_item import StateItem
    from evenkeel.model import Place, State
    from evenkeel.runtime.environment import Environment

VERBS = ("open_run", "end_run")
LONGEST_HOURS = 12
"""The longest time that a run can be open, and the default."""
LARGEST_ALLOWANCE = 1_000_000
_TERMS = frozenset({"controls", "resources", "dry_run", "allowance", "hours"})
_ID = re.compile(r"[0-9a-f]{12}-[0-9a-f]{16}")
_CONTROL = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Terms:
    """The limits of a run. ``resources`` is None for all of the controls' types; ``allowance`` 0 is no limit."""

    controls: tuple[str, ...]
    resources: tuple[str, ...] | None
    dry_run: bool
    allowance: int
    hours: int

    @classmethod
    def of(cls, raw: Any) -> Self:
        """Check the terms that a person requests, and return them.

        Raises:
            MalformedPayloadError: says which part is wrong and what to write.
        """
        if not isinstance(raw, dict) or set(raw) - _TERMS or not {"controls", "resources", "dry_run"} <= set(raw):
            raise MalformedPayloadError(f"open_run: send controls, resources and dry_run; known: {_known()}")
        controls, resources = raw["controls"], raw["resources"]
        if not _texts(controls) or not all(_CONTROL.fullmatch(each) for each in controls):
            raise MalformedPayloadError("open_run: controls: write a list of control ids")
        if resources != "all" and not _texts(resources):
            raise MalformedPayloadError('open_run: resources: write a list of ARNs, or "all"')
        if type(raw["dry_run"]) is not bool:
            raise MalformedPayloadError("open_run: dry_run: write true or false")
        allowance, hours = raw.get("allowance", 0), raw.get("hours", LONGEST_HOURS)
        if type(allowance) is not int or not 0 <= allowance <= LARGEST_ALLOWANCE:
            raise MalformedPayloadError(f"open_run: allowance: write a whole number up to {LARGEST_ALLOWANCE:,}")
        if type(hours) is not int or not 0 < hours <= LONGEST_HOURS:
            raise MalformedPayloadError(f"open_run: hours: write whole hours from 1 to {LONGEST_HOURS}")
        named = None if resources == "all" else tuple(dict.fromkeys(resources))
        terms = cls(tuple(dict.fromkeys(controls)), named, raw["dry_run"], allowance, hours)
        if not records.fits(terms.state()):
            raise MalformedPayloadError('open_run: resources: too many for one run; name fewer, or write "all"')
        return terms

    def state(self) -> State:
        """Return the terms as the run's record has them."""
        return {
            "controls": list(self.controls),
            "resources": "all" if self.resources is None else list(self.resources),
            "dry_run": self.dry_run,
            "allowance": self.allowance,
            "hours": self.hours,
        }

    @property
    def described(self) -> str:
        """The terms in one line for people."""
        on = "all resources" if self.resources is None else f"{len(self.resources)} named"
        how = "a dry run" if self.dry_run else "changes resources"
        most = f", at most {self.allowance:,}" if self.allowance else ""
        return f"{', '.join(self.controls)} on {on}: {how}{most}, for at most {self.hours} h"


@dataclass(frozen=True, slots=True)
class Run:
    """An open run."""

    id: str
    caller: str
    """ARN of the person who opened it, from STS."""
    terms: Terms
    expires_at: datetime
    head: str
    """Hash of the record that opened it."""


class Runs:
    """The runs of one stack, for one invocation."""

    def __init__(
        self,
        ledger: Ledger,
        environment: Environment,
        place: Place,
        endpoint: Callable[[], str],
        clock: Callable[[], datetime],
    ) -> None:
        """Keep the parts; ``endpoint`` returns the URL of the region's STS, and is called only to check a proof."""
        self._ledger = ledger
        self._environment = environment
        self._place = place
        self._endpoint = endpoint
        self._clock = clock

    def serve(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Open or end a run for a caller whose identity is proved.

        Raises:
            MalformedPayloadError, UnprovedCallerError, RunRefusedError: nothing was changed.
        """
        verb = next(verb for verb in VERBS if verb in payload)
        if set(payload) != {verb, "caller"}:
            raise MalformedPayloadError(f"{verb}: send exactly caller, {verb}")
        if verb == "open_run":
            return self._open(Terms.of(payload[verb]), self._prove(payload))
        return self._end(_checked(payload[verb]), self._prove(payload))

    def find(self, run_id: str) -> Run:
        """Return an open run.

        Raises:
            RunRefusedError: it does not exist, was ended or has expired, or its record was changed.
        """
        if not _ID.fullmatch(run_id):  # else any text would become a key in DynamoDB
            raise RunRefusedError(f"there is no run {run_id[:40]!r} of stack {self._environment.stack}")
        return self._opened(run_id, self._ledger.state(RUN.id, self._arn(run_id)))

    def must_be_open(self, run: Run) -> None:
        """Check that a run was not ended and has not expired.

        Raises:
            RunRefusedError: it was ended or has expired.
        """
        self._in_time(run)
        if self._ledger.state(RUN.id, self._arn(run.id)).head != run.head:
            raise RunRefusedError(f"run {run.id} was ended; start another one: evenkeel run … --apply")

    def _prove(self, payload: dict[str, Any]) -> str:
        stack, account = self._environment.stack, self._place.account
        return prove(payload, self._endpoint(), stack, account, self._ledger, self._clock)

    def _open(self, terms: Terms, caller: str) -> dict[str, Any]:
        now = self._clock()
        run_id = records.new_id(now)
        note = self._note(run_id, Outcome.OPENED, caller, terms.state(), f"opened by {caller}: {terms.described}")
        system_records.write_once(self._ledger, note, self._environment.retention_days, now)
        return {"run": run_id, "expires_at": records.timestamp(now + timedelta(hours=terms.hours))}

    def _end(self, run_id: str, caller: str) -> dict[str, Any]:
        """End a run; ending one that has expired or was ended already is not an error."""
        item = self._ledger.state(RUN.id, self._arn(run_id))
        record = self._written(run_id, item)
        if record["outcome"] == Outcome.OPENED:
            note = self._note(run_id, Outcome.ENDED, caller, record["before"], f"ended by {caller}")
            try:
                system_records.write(self._ledger, note, item, self._environment.retention_days, self._clock())
            except StaleStateError:  # it was just ended by another call: no other record is ever written to a run
                return {"run": run_id, "ended": True}
        return {"run": run_id, "ended": True}

    def _opened(self, run_id: str, item: StateItem) -> Run:
        record = self._written(run_id, item)
        if record["outcome"] != Outcome.OPENED:
            raise RunRefusedError(f"run {run_id} was {record['detail']}; start another one: evenkeel run … --apply")
        terms = Terms.of(record["before"])
        expires_at = datetime.fromisoformat(record["at"]) + timedelta(hours=terms.hours)
        run = Run(run_id, record["actor"]["principal"], terms, expires_at, item.head)
        self._in_time(run)
        return run

    def _written(self, run_id: str, item: StateItem) -> EndedRecord:
        """Return the last record of a run.

        Raises:
            RunRefusedError: the run does not exist, or its record was changed.
        """
        record = self._ledger.record(self._arn(run_id), item.head_record) if item.head_record else None
        if record is None or not records.has_ended(record):
            raise RunRefusedError(f"there is no run {run_id} of stack {self._environment.stack}")
        if records.record_hash(record) != item.head:
            raise RunRefusedError(f"run {run_id}: its record was changed after it was written; verify the audit")
        return record

    def _in_time(self, run: Run) -> None:
        if self._clock() >= run.expires_at:
            raise RunRefusedError(
                f"run {run.id}: it expired at {run.expires_at:%Y-%m-%d %H:%M} UTC;"
                " start another one: evenkeel run … --apply"
            )

    def _note(self, run_id: str, outcome: Outcome, caller: str, terms: State, detail: str) -> Note:
        name = "OpenRun" if outcome is Outcome.OPENED else "EndRun"
        request = Request(
            RUN.id,
            Resource(self._arn(run_id), self._place.account, self._place.region),
            Cause("manual", event_name=name, event_time=self._clock().isoformat()),
            Actor(principal=caller),
        )
        # Each change that it makes is announced with the caller's name.
        return Note(RUN, request, outcome, f"run {run_id}", detail, terms, announce=False)

    def _arn(self, run_id: str) -> str:
        place, table = self._place, self._environment.state_table
        return f"arn:{place.partition}:dynamodb:{place.region}:{place.account}:table/{table}/run/{run_id}"


def _checked(run_id: Any) -> str:
    if not isinstance(run_id, str) or not _ID.fullmatch(run_id):
        raise MalformedPayloadError("end_run: write the id of a run")
    return run_id


def _texts(raw: Any) -> bool:
    """Return whether a value is a non-empty list of texts, none of them too long."""
    if not isinstance(raw, list) or not raw:
        return False
    return all(isinstance(each, str) and 0 < len(each) <= records.MAX_WORDS for each in raw)


def _known() -> str:
    return ", ".join(sorted(_TERMS))
