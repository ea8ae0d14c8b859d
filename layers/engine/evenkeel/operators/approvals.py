"""What people decide about kept changes: approve, reject, release, drop. Each proves who they are; see caller.py.

Payloads of a remediator's function: ``{"approve": record, "resource": ARN, "caller": {…}}``, ``{"reject": record,
"resource": ARN, "because": …, "caller": {…}}``, ``{"release": control, "resource": ARN or "all", "caller": {…}}`` and
``{"drop": control, "resource": ARN, "because": …, "caller": {…}}``. The caller signs for the whole payload.

A release of all goes as far as its time reaches: send the answer's ``next`` back as ``after`` until it is null.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from evenkeel.audit import records
from evenkeel.audit.due_index import Entry
from evenkeel.audit.state_item import HoldKind, Placed
from evenkeel.errors import ApprovalRefusedError, LeaseHeldError, MalformedPayloadError
from evenkeel.events.message import decode
from evenkeel.model import Cause, Outcome, Place, Request, Resource, Result
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
"""Time that must be left to release another resource, and to answer."""
_SSO = "/AWSReservedSSO_"  # Identity Center's roles: the session's name is the person's and cannot be chosen
VERBS = ("approve", "reject", "release", "drop")
_KEYS = {
    "approve": {"approve", "resource", "caller"},
    "reject": {"reject", "resource", "because", "caller"},
    "release": {"release", "resource", "caller"},
    "drop": {"drop", "resource", "because", "caller"},
}
_ONWARD = re.compile(r"([0-9a-f]{12}-[0-9a-f]{16})/(\d\d)/(\d{1,12})/(.{1,2048})")


@dataclass(frozen=True, slots=True)
class Onward:
    """Where a release of all goes on; as text it is an answer's ``next``."""

    since: str
    """A record id of its beginning: what was held again since then is left to its new hold."""
    entry: Entry
    """The last one that was looked at."""

    def __str__(self) -> str:
        """Return the text."""
        return f"{self.since}/{self.entry.shard:02d}/{self.entry.at}/{self.entry.key}"

    @classmethod
    def of(cls, text: Any) -> Self:
        """Read the text.

        Raises:
            MalformedPayloadError: it is none of ours.
        """
        parts = _ONWARD.fullmatch(text) if isinstance(text, str) else None
        if not parts or int(parts[2]) >= records.SHARDS:
            raise MalformedPayloadError('after: write the "next" of the answer before')
        return cls(parts[1], Entry("held", int(parts[2]), int(parts[3]), parts[4]))


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a decision; ``onward`` says where to go on if its time was over before it was done."""

    results: list[Result]
    onward: Onward | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """A checked payload: what is decided, about which resource, for which record or control, and why."""

    verb: str
    name: str
    resource: str
    because: str
    payload: Mapping[str, Any]
    """As it came, with the caller's proof of it."""
    after: Onward | None = None
    """Where a release of all goes on."""


def parse(payload: dict[str, Any]) -> Decision:
    """Check a payload.

    Raises:
        MalformedPayloadError: says which part is wrong and what to write.
    """
    (verb, *others) = [verb for verb in VERBS if verb in payload]
    goes_on = "after" in payload and (verb, payload.get("resource")) == ("release", "all")
    if others or set(payload) - ({"after"} if goes_on else set()) != _KEYS[verb]:
        raise MalformedPayloadError(f"{verb}: send exactly {', '.join(sorted(_KEYS[verb]))}")
    texts = {key: payload.get(key, "") for key in (verb, "resource", "because")}
    for key, value in texts.items():
        if not isinstance(value, str) or (key in payload and not 0 < len(value.strip()) <= records.MAX_WORDS):
            raise MalformedPayloadError(f"{key}: write a text of at most {records.MAX_WORDS} characters")
    after = Onward.of(payload["after"]) if goes_on else None
    return Decision(verb, texts[verb], texts["resource"], texts["because"], payload, after)


def same_person(one: str, other: str) -> bool:
    """Say whether two ARNs may be one person: whoever assumes a role names the session, except in Identity Center."""
    if one == other:
        return True
    role, _, session = one.rpartition("/")
    return bool(session) and ":assumed-role/" in one and role == other.rpartition("/")[0] and _SSO not in role


class Desk:
    """Takes people's decisions for one remediator."""

    def __init__(  # noqa: PLR0913 - the parts of a remediator it needs
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
        """Keep the parts."""
        self._controls = {control.id: control for control in controls}
        self._ledger = ledger
        self._queue = queue
        self._stack = stack
        self._sts_endpoint = sts_endpoint
        self._place = place
        self._clock = clock
        self._remaining = remaining_milliseconds

    def decide(self, decision: Decision, run: Callable[[Control, Request, Approval], Result]) -> Decided:
        """Carry a decision out; ``run`` takes an approved or released request through the pipeline.

        Raises:
            ApprovalRefusedError: it cannot be decided so, or not by this person.
            UnprovedCallerError: the caller is not proved.
        """
        payload, account = decision.payload, self._place.account
        caller = prove(payload, self._sts_endpoint, self._stack, account, self._ledger, self._clock)
        if decision.verb in {"approve", "reject"}:
            record, item, control = self._kept(decision)
            if same_person(caller, record["actor"]["principal"]):
                raise ApprovalRefusedError(f"{decision.resource}: {caller} caused it; somebody else has to decide")
            if decision.verb == "reject":
                return Decided([self._set_aside(item, record, f"rejected by {caller}: {decision.because}")])
            return Decided([run(control, self._request(item, record), Approval(record, caller))])
        control = self._control(decision.name)
        if decision.resource == "all":
            return self._release_all(control, decision.after)
        item = self._ledger.state(control.id, decision.resource)
        holder = self._held(control, item, decision.resource)
        if decision.verb == "drop":
            if not item.held_request or not records.has_ended(holder):
                raise ApprovalRefusedError(f"{decision.resource}: nothing is kept there that could be dropped")
            if same_person(caller, holder["actor"]["principal"]):
                raise ApprovalRefusedError(f"{decision.resource}: {caller} caused it; somebody else has to drop it")
            return Decided([self._set_aside(item, holder, f"dropped by {caller}: {decision.because}")])
        return Decided([run(control, self._request(item, holder), Approval(holder, caller, releases=True))])

    def _control(self, name: str) -> Control:
        if name not in self._controls:
            raise ApprovalRefusedError(f"{name}: not a control of this function; it has {', '.join(self._controls)}")
        return self._controls[name]

    def _kept(self, decision: Decision) -> tuple[EndedRecord, StateItem, Control]:
        """Find the plan that waits for approval, and see that it is the last thing that happened to the resource."""
        record = self._ledger.record(decision.resource, decision.name)
        if record is None or not records.has_ended(record, Outcome.AWAITING):
            raise ApprovalRefusedError(f"{decision.resource}: record {decision.name} does not wait for approval")
        control = self._control(record["control"])
        item = self._ledger.state(control.id, decision.resource)
        if item.hold_record != decision.name or not item.held(self._clock()):
            raise ApprovalRefusedError(
                f"{decision.resource}: record {decision.name} was decided, or its time is over, "
                "or another finding took its place"
            )
        if item.head != record["hash"] or records.record_hash(record) != record["hash"]:
            raise ApprovalRefusedError(
                f"{decision.resource}: record {decision.name} is not what was written; verify the audit"
            )
        return record, item, control

    def _held(self, control: Control, item: StateItem, arn: str) -> Record:
        record = self._ledger.record(arn, item.hold_record) if item.hold_record else None
        if record is None or not item.held(self._clock()):
            raise ApprovalRefusedError(f"{arn}: {control.id} holds nothing there")
        if records.has_ended(record, Outcome.AWAITING):
            raise ApprovalRefusedError(f"{arn}: it waits for approval; approve or reject record {item.hold_record}")
        return record

    def _request(self, item: StateItem, record: Record) -> Request:
        """Return the request that is kept, or where none is (after an undo or a rejection) the person's own wish."""
        if not item.held_request:
            cause = Cause("manual", event_name="Release", event_time=records.timestamp(self._clock()))
            return Request(
                record["control"], Resource(record["resource"], record["account"], record["region"]), cause, attempt=1
            )
        return decode(json.loads(item.held_request), tuple(self._controls.values()), self._place)

    def _set_aside(self, item: StateItem, record: EndedRecord, detail: str) -> Result:
        """Hold the resource for a long time by a person's decision."""
        now = self._clock()
        ended = records.ended(record, Outcome.REJECTED, now=now, detail=detail, after=record["after"])
        request = self._request(item, record)
        sealed = self._ledger.hold(ended, item, Placed(HoldKind.PERSON, now + decide.REJECTED_TIME), request)
        return Result(request, Outcome.REJECTED, detail, (), sealed["record_id"])

    def _release_all(self, control: Control, after: Onward | None) -> Decided:
        """Send what the control holds to the queue, to be looked at again, as far as the time reaches.

        At its beginning, and only then, the control's allowance begins anew.
        """
        since = after.since if after else records.new_id(self._clock())
        if not after:
            self._ledger.counters.release(f"{control.id}#{self._place.account}")
        results: list[Result] = []
        for entry in self._ledger.held_by(control.id, after.entry if after else None):
            result = self._release(control, entry.arn, since)
            results += [result] if result else []
            if self._remaining() < _STOP_AT_MILLISECONDS:
                return Decided(results, Onward(since, entry))
        return Decided(results)

    def _release(self, control: Control, arn: str, since: str) -> Result | None:
        """Release one of all; None where nothing is held there, or something else: an approval's wait, a newer hold."""
        item = self._ledger.state(control.id, arn)
        record = self._ledger.record(arn, item.hold_record) if "" < item.hold_record < since else None
        if record is None or not records.has_ended(record, Outcome.HELD):
            return None
        request = self._request(item, record)
        # Sent first, so that it cannot be lost; and later, so that it does not find the hold still there.
        self._queue.put_back([request], _AFTER_RELEASE_SECONDS, "released")
        try:
            self._ledger.unhold(control.id, arn, item)
        except LeaseHeldError as error:
            return Result(request, Outcome.SKIPPED, f"not released: {error}; see whether it is still held")
        return Result(request, Outcome.RETURNED, f"released: {item.hold_reason}")
