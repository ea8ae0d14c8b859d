"""Are audit records what was written? Judges one chain, that of a control and resource, against its head; pure.

Each record carries its hash and that of the one before; the state table holds the last one's. What is wrong shows as a
record whose hash does not fit, as a hash that no record has, or as a record that no hash leads to. The table
itself removes records that outlived their retention, so a chain may rightly begin in the middle: each record says when
the one before it may go, and the head when the last one may.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from evenkeel.audit.records import record_hash
from evenkeel_cli.ui import times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.audit.record_types import Item

SKEW = timedelta(seconds=90)
"""How far a later record's clock may be behind an earlier one's: workers' clocks differ."""


_A_DAY = 86400  # retention is in days: smaller differences come from how records follow each other


class Fault(StrEnum):
    """What may be wrong."""

    CHANGED = "changed"
    """The record is not what its hash says: somebody altered it after it was written."""
    OVERWRITTEN = "overwritten"
    """Another record, with a hash of its own, stands where the chain expects this one."""
    MISSING = "missing"
    """The chain names a record that is not there."""
    TRUNCATED = "truncated"
    """The head names a last record that is not there."""
    REWRITTEN = "rewritten"
    """The chain hangs together, but without a record that a digest anchored: it was made anew, with its head."""
    OUT_OF_PLACE = "out of place"
    """The record is in no chain, comes after the head, or before an older one: planted or moved."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a chain needs to know of a record, so that a large table fits into memory."""

    record_id: str
    stored: str
    """The hash that it carries."""
    computed: str
    """The hash that it should carry."""
    previous: str
    step: str
    plan_id: str
    at: float
    """Seconds since 1970; 0 where its id is none."""
    expires_at: int
    previous_expires_at: int
    """When the record before it may be removed, in seconds since 1970; 0 where it does not say."""

    @property
    def intact(self) -> bool:
        """Return whether it is what its hash says."""
        return self.stored == self.computed


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. ``record_id`` is empty where no record can be named."""

    fault: Fault
    record_id: str
    resource: str
    control: str
    message: str

    def described(self) -> dict[str, str]:
        """Return it for machines."""
        return {
            "fault": str(self.fault), "record_id": self.record_id, "resource": self.resource, "control": self.control,
            "message": self.message,
        }  # fmt: skip

    @classmethod
    def of(cls, described: dict[str, str]) -> Finding:
        """Return what :meth:`described` was made of."""
        texts = (described[name] for name in ("record_id", "resource", "control", "message"))
        return cls(Fault(described["fault"]), *texts)


def link(record: Item) -> Link:
    """Return what a chain needs to know of a record of any shape, planted ones included."""
    return Link(
        str(record.get("record_id", "")),
        str(record.get("hash", "")),
        record_hash(record),
        str(record.get("previous", "")),
        str(record.get("step", "")),
        str(record.get("plan_id", "")),
        _time(str(record.get("record_id", ""))),
        _number(record.get("expires_at")),
        _number(record.get("previous_expires_at")),
    )


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _time(record_id: str) -> float:
    try:
        return times.of_record(record_id).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0  # a planted record may have any id


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one chain. ``begins_late`` says that its oldest records may have expired."""

    findings: tuple[Finding, ...] = ()
    begins_late: bool = False


@dataclass(slots=True)
class Chain:
    """One control's records of one resource, and what the state table says of them."""

    control: str
    resource: str
    links: Sequence[Link]
    state: dict[str, Any] | None
    """The state item; None where there is none."""
    now: datetime

    def judge(self) -> Judged:
        """Return what is wrong with it."""
        head = str((self.state or {}).get("head", ""))
        if not self.links:
            return self._empty(head)
        if not head:
            newest = max(self.links, key=lambda each: each.record_id)
            what = "the state table has no head for its chain: the item there was removed, or the records are planted"
            return Judged((*self._changed(), self._finding(Fault.TRUNCATED, newest.record_id, what)))
        ordered, gap = self._walk(head)
        left = sorted(set(self._holders().values()) - set(ordered), key=lambda each: each.record_id)
        found = [*self._changed(), *self._disorder(ordered), *self._shortened(ordered)]
        if gap is None:
            return Judged((*found, *self._astray(left, ordered[0])))
        return self._broken(found, ordered, left, gap)

    def _empty(self, head: str) -> Judged:
        """Judge a head without any record: the last one expired, or all were removed."""
        if not head or self._past(self._head_expires_at):
            return Judged(begins_late=bool(head))
        what = f"all its records are gone; the head names one with hash {head}"
        return Judged((self._finding(Fault.MISSING, "", what),))

    def _changed(self) -> list[Finding]:
        what = "it was changed after it was written: its content does not fit its hash"
        return [self._finding(Fault.CHANGED, each.record_id, what) for each in self.links if not each.intact]

    def _holders(self) -> dict[str, Link]:
        """Return who stands for each hash; a changed record stands for the hash that it carries, if no other does."""
        changed = [each for each in self.links if not each.intact]
        holders = {each.stored: each for each in changed} | {each.computed: each for each in changed}
        return holders | {each.stored: each for each in self.links if each.intact}

    def _walk(self, head: str) -> tuple[list[Link], str | None]:
        """Return the records from the head back, and the hash that no record has; None when the first was reached."""
        ordered: list[Link] = []
        holders, wanted = self._holders(), head
        while wanted:
            found = holders.pop(wanted, None)
            if found is None:
                return ordered, wanted
            ordered.append(found)
            wanted = found.previous
        return ordered, None

    def _disorder(self, ordered: list[Link]) -> list[Finding]:
        what = "it comes after a record that is younger: its place or its time was altered"
        return [
            self._finding(Fault.OUT_OF_PLACE, later.record_id, what)
            for later, earlier in pairwise(ordered)
            if later.intact and earlier.at - later.at > SKEW.total_seconds()
        ]

    def _astray(self, left: list[Link], last: Link | None) -> list[Finding]:
        """Name the records that no hash leads to; those that have expired are merely about to be removed."""
        found = []
        for each in left:
            if not each.intact or self._past(each.expires_at):
                continue
            after = last and each.record_id > last.record_id
            what = "it comes after the head: it was planted, or the head was set back" if after else "it is in no chain"
            found.append(self._finding(Fault.OUT_OF_PLACE, each.record_id, what))
        return found

    def _broken(self, found: list[Finding], ordered: list[Link], left: list[Link], gap: str) -> Judged:
        """Judge a chain with a hash that no record has."""
        later = ordered[-1] if ordered else None
        if later is None and self._past(self._head_expires_at):
            return Judged((*found, *self._astray(left, None)), begins_late=True)
        if later is None:
            return Judged((*found, *self._headless(left, gap)))
        if not later.intact:
            return Judged(tuple(found))  # what it says of the record before it is worth nothing
        if self._past(later.previous_expires_at):
            return Judged((*found, *self._astray(left, ordered[0])), begins_late=True)
        older = [each for each in left if each.record_id < later.record_id and each.intact]
        successors = {each.previous for each in left}
        top = max((each for each in older if each.stored not in successors), key=lambda each: each.record_id,
                  default=None)  # fmt: skip
        found.append(self._gap(later, top, gap))
        segment = self._segment(top, left)
        return Judged((*found, *self._astray([each for each in left if each not in segment], None)))

    def _gap(self, later: Link, top: Link | None, gap: str) -> Finding:
        """Name what stands before ``later``: nothing any more, or another record than was written."""
        named = next((each for each in self.links if each.record_id == later.plan_id), None) if later.plan_id else None
        if named and not named.intact:
            named = None
        if named:
            what = f"it is not the record that {later.record_id} was chained to: another was put in its place"
            return self._finding(Fault.OVERWRITTEN, named.record_id, what)
        if later.plan_id and later.step == "OUTCOME":
            what = f"it is gone; {later.record_id} was chained to it"
            return self._finding(Fault.MISSING, later.plan_id, what)
        before = f", or {top.record_id} was overwritten" if top else ""
        what = f"one or more records before {later.record_id} are gone (hash {gap}){before}"
        return self._finding(Fault.MISSING, "", what)

    def _headless(self, left: list[Link], gap: str) -> list[Finding]:
        """Judge a chain whose last record is not there."""
        successors = {each.previous for each in left}
        top = max((each for each in left if each.stored not in successors), key=lambda each: each.record_id,
                  default=None)  # fmt: skip
        segment = self._segment(top, left)
        last = f"{top.record_id} is the newest left" if top else "none is left that fits"
        what = f"the newest records are gone, or the last was overwritten: none has the head's hash {gap}; {last}"
        found = self._finding(Fault.TRUNCATED, top.record_id if top else "", what)
        return [found, *self._astray([each for each in left if each not in segment], None)]

    def _segment(self, top: Link | None, left: list[Link]) -> list[Link]:
        """Return the records that hang together from ``top`` back."""
        holders = {each.stored: each for each in left}
        segment: list[Link] = []
        while top is not None:
            segment.append(holders.pop(top.stored, top))
            top = holders.get(top.previous)
        return segment

    def _shortened(self, ordered: list[Link]) -> list[Finding]:
        """Name the records that were given less time to live than was written: no hash covers that time."""
        promised = [self._head_expires_at, *(each.previous_expires_at for each in ordered)]
        what = "its time to live was shortened, so that the table removes it early"
        return [
            self._finding(Fault.CHANGED, each.record_id, what)
            for each, until in zip(ordered, promised, strict=False)
            if each.intact and 0 < each.expires_at < until - _A_DAY
        ]

    @property
    def _head_expires_at(self) -> int:
        return _number((self.state or {}).get("head_expires_at"))

    def _past(self, moment: int) -> bool:
        """Return whether a time to live, in seconds since 1970, is over; 0 is none."""
        return 0 < moment <= self.now.timestamp()

    def _finding(self, fault: Fault, record_id: str, message: str) -> Finding:
        return Finding(fault, record_id, self.resource, self.control, message)
