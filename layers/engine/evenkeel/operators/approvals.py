"""People's decisions about changes that await approval or are held: approve, reject, release, drop.

Payloads of a remediator's function: ``{"approve": record, "resource": ARN, "caller": {…}}``, ``{"reject": record,
"resource": ARN, "because": …, "caller": {…}}``, ``{"release": control, "resource": ARN or "all", "caller": {…}}`` and
``{"drop": control, "resource": ARN, "because": …, "caller": {…}}``. The caller signs the whole payload; see
:mod:`evenkeel.operators.caller_proof`.

A release of all may not finish in one invocation: send the answer's ``next`` back as ``after`` until it is null.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from evenkeel.audit import records
from evenkeel.audit.due_index import Entry
from evenkeel.audit.state_item import HoldKind, Placed
from evenkeel.errors import ApprovalRefusedError, LeaseHeldError, MalformedPayloadError, NothingHeldError
from evenkeel.events.message import decode
from evenkeel.model import IDENTITY_CENTER, Cause, Outcome, Place, Request, Resource, Result
from evenkeel.operators.caller_proof import prove
from evenkeel.remediation import decide
from evenkeel.remediation.evaluation import Approval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from evenkeel.audit.ledger import Ledger
    from evenkeel.audit.record_types import EndedRecord, Record
    from evenkeel.audit.state_item import StateItem
    from evenkeel.control import Control
    from evenkeel.events.queue import Queue

_AFTER_RELEASE_SECONDS = 3
_STOP_AT_MILLISECONDS = 15_000
"""Time that must remain to release another resource and to answer."""
VERBS = ("approve", "reject", "release", "drop")
_KEYS = {
    "approve": {"approve", "resource", "caller"},
    "reject": {"reject", "resource", "because", "caller"},
    "release": {"release", "resource", "caller"},
    "drop": {"drop", "resource", "because", "caller"},
}
_CURSOR = re.compile(r"([0-9a-f]{12}-[0-9a-f]{16})/(\d\d)/(\d{1,12})/(.{1,2048})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a release of all continues; as text it is an answer's ``next``."""

    since: str
    """A record id from its beginning: holds that were placed later stay."""
    entry: Entry
    """The last entry that was handled."""

    def __str__(self) -> str:
        """Return the cursor as text."""
        return f"{self.since}/{self.entry.shard:02d}/{self.entry.at}/{self.entry.key}"

    @classmethod
    def of(cls, text: Any) -> Self:
        """Return the cursor that a text is.

        Raises:
            MalformedPayloadError: it is not a cursor.
        """
        parts = _CURSOR.fullmatch(text) if isinstance(text, str) else None
        if not parts or int(parts[2]) >= records.SHARDS:
            raise MalformedPayloadError('after: write the "next" of the previous answer')
        return cls(parts[1], Entry("held", int(parts[2]), int(parts[3]), parts[4]))


@dataclass(frozen=True, slots=True)
class Answer:
    """The results of a decision; ``cursor`` is where the next call continues if the time ran out."""

    results: list[Result]
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A checked payload: the decision, its resource, its record or control, and the reason."""

    verb: str
    name: str
    resource: str
    because: str
    payload: Mapping[str, Any]
    """As it was sent, with the caller's proof."""
    after: Cursor | None = None
    """Where a release of all continues."""


def parse(payload: dict[str, Any]) -> Decision:
    """Check a payload and return its decision.

    Raises:
        MalformedPayloadError: says which part is wrong and what to write.
    """
    (verb, *others) = [verb for verb in VERBS if verb in payload]
    continues = "after" in payload and (verb, payload.get("resource")) == ("release", "all")
    if others or set(payload) - ({"after"} if continues else set()) != _KEYS[verb]:
        raise MalformedPayloadError(f"{verb}: send exactly {', '.join(sorted(_KEYS[verb]))}")
    texts = {key: payload.get(key, "") for key in (verb, "resource", "because")}
    for key, value in texts.items():
        if not isinstance(value, str) or (key in payload and not 0 < len(value.strip()) <= records.MAX_WORDS):
            raise MalformedPayloadError(f"{key}: write a text of at most {records.MAX_WORDS} characters")
    after = Cursor.of(payload["after"]) if continues else None
    return Decision(verb, texts[verb], texts["resource"], texts["because"], payload, after)


def same_person(caller: str, causer: Mapping[str, Any]) -> bool:
    """Return whether a proved caller may be the person who caused a finding, which is a record's ``actor``.

    All sessions of a role count as one person, since anyone who assumes it can choose the session's name. IAM Identity
    Center is the exception: there the session's name is the user's. A session's ARN lacks the role's path, so the
    record has to say that the role is Identity Center's; the caller has the same role, since a role's name is unique in
    its account (IAM API reference, "CreateRole").
    """
    principal = str(causer["principal"])
    if caller == principal:
        return True
    same_role = ":assumed-role/" in caller and caller.rpartition("/")[0] == principal.rpartition("/")[0]
    return same_role and causer["kind"] != IDENTITY_CENTER


class Approvals:
    """Carries out people's decisions for one remediator."""

    def __init__(  # noqa: PLR0913 - the parts of a remediator that it needs
        self,
        controls: Sequence[Control],
        ledger: Ledger,
        queue: Queue,
        *,
        stack: str,
        sts_endpoint: str,
        place: Place,
        clock: Callable[[], datetime],
        remaining_milliseconds: Callable[[], int],
    ) -> None:
        """Keep the parts, and the controls by id."""
        self._controls = {control.id: control for control in controls}
        self._ledger = ledger
        self._queue = queue
        self._stack = stack
        self._sts_endpoint = sts_endpoint
        self._place = place
        self._clock = clock
        self._remaining = remaining_milliseconds

    def decide(self, decision: Decision, run: Callable[[Control, Request, Approval], Result]) -> Answer:
        """Carry out a decision; ``run`` serves an approved or released request.

        Raises:
            ApprovalRefusedError: the decision is not possible, or not for this person.
            UnprovedCallerError: the caller is not proved.
        """
        payload, account = decision.payload, self._place.account
        caller = prove(payload, self._sts_endpoint, self._stack, account, self._ledger, self._clock)
        if decision.verb in {"approve", "reject"}:
            record, item, control = self._awaiting(decision)
            if same_person(caller, record["actor"]):
                raise ApprovalRefusedError(f"{decision.resource}: {caller} caused it; somebody else has to decide")
            if decision.verb == "reject":
                return Answer([self._reject(item, record, f"rejected by {caller}: {decision.because}")])
            return Answer([run(control, self._request(item, record), Approval(record, caller))])
        control = self._control(decision.name)
        if decision.resource == "all":
            return self._release_all(control, decision.after)
        item = self._ledger.state(control.id, decision.resource)
        holder = self._holding_record(control, item, decision.resource)
        if decision.verb == "drop":
            if not item.held_request or not records.has_ended(holder):
                raise ApprovalRefusedError(f"{decision.resource}: no held request that could be dropped")
            if same_person(caller, holder["actor"]):
                raise ApprovalRefusedError(f"{decision.resource}: {caller} caused it; somebody else has to drop it")
            return Answer([self._reject(item, holder, f"dropped by {caller}: {decision.because}")])
        return Answer([run(control, self._request(item, holder), Approval(holder, caller, releases=True))])

    def _control(self, name: str) -> Control:
        if name not in self._controls:
            raise ApprovalRefusedError(f"{name}: not a control of this function; it has {', '.join(self._controls)}")
        return self._controls[name]

    def _awaiting(self, decision: Decision) -> tuple[EndedRecord, StateItem, Control]:
        """Return the record that awaits approval, if it is the head of its chain and unchanged.

        Raises:
            ApprovalRefusedError: it is not.
        """
        record = self._ledger.record(decision.resource, decision.name)
        if record is None or not records.has_ended(record, Outcome.AWAITING):
            raise ApprovalRefusedError(f"{decision.resource}: record {decision.name} does not wait for approval")
        control = self._control(record["control"])
        item = self._ledger.state(control.id, decision.resource)
        if item.hold_record != decision.name or not item.held(self._clock()):
            raise ApprovalRefusedError(
                f"{decision.resource}: record {decision.name} was decided already, or has expired, "
                "or another finding has replaced it"
            )
        if item.head != record["hash"] or records.record_hash(record) != record["hash"]:
            raise ApprovalRefusedError(
                f"{decision.resource}: record {decision.name} was changed after it was written; verify the audit"
            )
        return record, item, control

    def _holding_record(self, control: Control, item: StateItem, arn: str) -> Record:
        """Return the record that placed the hold in force.

        Raises:
            NothingHeldError: there is no hold.
            ApprovalRefusedError: the hold is an open request for approval.
        """
        record = self._ledger.record(arn, item.hold_record) if item.hold_record else None
        if record is None or not item.held(self._clock()):
            raise NothingHeldError(f"{arn}: not held by {control.id}")
        if records.has_ended(record, Outcome.AWAITING):
            raise ApprovalRefusedError(f"{arn}: it awaits approval; approve or reject record {item.hold_record}")
        return record

    def _request(self, item: StateItem, record: Record) -> Request:
        """Return the held request, or a new one: a person's hold has none."""
        if not item.held_request:
            cause = Cause("manual", event_name="Release", event_time=records.timestamp(self._clock()))
            return Request(
                record["control"], Resource(record["resource"], record["account"], record["region"]), cause, attempt=1
            )
        return decode(json.loads(item.held_request), tuple(self._controls.values()), self._place)

    def _reject(self, item: StateItem, record: EndedRecord, detail: str) -> Result:
        """Hold the resource for :data:`~evenkeel.remediation.decide.REJECTED_TIME` by a person's decision."""
        now = self._clock()
        ended = records.ended(record, Outcome.REJECTED, now=now, detail=detail, after=record["after"])
        request = self._request(item, record)
        sealed = self._ledger.hold(ended, item, Placed(HoldKind.PERSON, now + decide.REJECTED_TIME), request)
        return Result(request, Outcome.REJECTED, detail, (), sealed["record_id"])

    def _release_all(self, control: Control, after: Cursor | None) -> Answer:
        """Release what the control holds and send it to the queue to be checked again, until the time runs out.

        The first call, and only that one, resets the control's blast radius.
        """
        since = after.since if after else records.new_id(self._clock())
        if not after:
            self._ledger.counters.release(f"{control.id}#{self._place.account}")
        results: list[Result] = []
        for entry in self._ledger.held_by(control.id, after.entry if after else None):
            result = self._release(control, entry.arn, since)
            results += [result] if result else []
            if self._remaining() < _STOP_AT_MILLISECONDS:
                return Answer(results, Cursor(since, entry))
        return Answer(results)

    def _release(self, control: Control, arn: str, since: str) -> Result | None:
        """Release one resource; return None if it is not held any more, awaits approval or has a newer hold."""
        item = self._ledger.state(control.id, arn)
        record = self._ledger.record(arn, item.hold_record) if "" < item.hold_record < since else None
        if record is None or not records.has_ended(record, Outcome.HELD):
            return None
        request = self._request(item, record)
        # Sent before the hold ends, so that it cannot be lost, and delayed, so that it comes after the hold has ended.
        self._queue.put_back([request], _AFTER_RELEASE_SECONDS, "released")
        try:
            self._ledger.unhold(control.id, arn, item)
        except LeaseHeldError as error:
            return Result(request, Outcome.SKIPPED, f"not released: {error}; check whether it is still held")
        return Result(request, Outcome.RETURNED, f"released: {item.hold_reason}", held_by=item.held_by(self._clock()))
