"""Verifies the audit records of one control and resource: a hash chain, checked against its head; pure.

Each record has its own hash and that of the previous record; the state table has the last record's. A fault shows as a
record whose hash does not match, as a hash that no record has, or as a record that no hash leads to. The table deletes
records after their retention time, so a chain may begin in the middle: each record says when the previous record
expires, and the head says when the last one does.
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
"""A later record may have an earlier time by this much: workers' clocks differ."""


_A_DAY = 86400  # retention is in days: smaller differences are normal between two records


class Fault(StrEnum):
    """Kinds of faults in an audit."""

    CHANGED = "changed"
    """The record does not match its hash: somebody changed it after it was written."""
    OVERWRITTEN = "overwritten"
    """Another record, with a valid hash, is where the chain expects this one."""
    MISSING = "missing"
    """The chain names a record that does not exist."""
    TRUNCATED = "truncated"
    """The head names a last record that does not exist."""
    REWRITTEN = "rewritten"
    """The chain is consistent, but lacks a record that a digest anchored: chain and head were written anew."""
    OUT_OF_PLACE = "out of place"
    """The record is in no chain, comes after the head, or before an older one: planted or moved."""


@dataclass(frozen=True, slots=True)
class Link:
    """The fields of a record that a chain is verified by: few, so that a large table fits into memory."""

    record_id: str
    stored: str
    """The hash in the record."""
    computed: str
    """The hash computed from its content."""
    previous: str
    step: str
    plan_id: str
    at: float
    """Seconds since 1970; 0 if the id is not a record id."""
    expires_at: int
    previous_expires_at: int
    """When the previous record expires, in seconds since 1970; 0 if the record does not say."""

    @property
    def intact(self) -> bool:
        """Return whether the record matches its hash."""
        return self.stored == self.computed


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault. ``record_id`` is empty if no record can be named."""

    fault: Fault
    record_id: str
    resource: str
    control: str
    message: str

    def described(self) -> dict[str, str]:
        """Return the finding as JSON data."""
        return {
            "fault": str(self.fault), "record_id": self.record_id, "resource": self.resource, "control": self.control,
            "message": self.message,
        }  # fmt: skip

    @classmethod
    def of(cls, described: dict[str, str]) -> Finding:
        """Return the finding that :meth:`described` describes."""
        texts = (described[name] for name in ("record_id", "resource", "control", "message"))
        return cls(Fault(described["fault"]), *texts)


def link(record: Item) -> Link:
    """Return a record's link in its chain; the record may have any shape, since it may be planted."""
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
    """The result for one chain. ``begins_late``: its oldest records may have expired."""

    findings: tuple[Finding, ...] = ()
    begins_late: bool = False


@dataclass(slots=True)
class Chain:
    """One control's records of one resource, and their state item."""

    control: str
    resource: str
    links: Sequence[Link]
    state: dict[str, Any] | None
    """The state item; None if there is none."""
    now: datetime

    def judge(self) -> Judged:
        """Return the chain's faults, and whether it begins late."""
        head = str((self.state or {}).get("head", ""))
        if not self.links:
            return self._empty(head)
        if not head:
            newest = max(self.links, key=lambda each: each.record_id)
            what = "the state table has no head for its chain: the state item was deleted, or the records are planted"
            return Judged((*self._changed(), self._finding(Fault.TRUNCATED, newest.record_id, what)))
        ordered, gap = self._walk(head)
        left = sorted(set(self._holders().values()) - set(ordered), key=lambda each: each.record_id)
        found = [*self._changed(), *self._disorder(ordered), *self._shortened(ordered)]
        if gap is None:
            return Judged((*found, *self._astray(left, ordered[0])))
        return self._broken(found, ordered, left, gap)

    def _empty(self, head: str) -> Judged:
        """Judge a head without records: the last one expired, or all were deleted."""
        if not head or self._past(self._head_expires_at):
            return Judged(begins_late=bool(head))
        what = f"all its records were deleted; the head names one with hash {head}"
        return Judged((self._finding(Fault.MISSING, "", what),))

    def _changed(self) -> list[Finding]:
        what = "it was changed after it was written: its content does not match its hash"
        return [self._finding(Fault.CHANGED, each.record_id, what) for each in self.links if not each.intact]

    def _holders(self) -> dict[str, Link]:
        """Return the record for each hash; for one that no intact record has, a changed record that has or had it."""
        changed = [each for each in self.links if not each.intact]
        holders = {each.stored: each for each in changed} | {each.computed: each for each in changed}
        return holders | {each.stored: each for each in self.links if each.intact}

    def _walk(self, head: str) -> tuple[list[Link], str | None]:
        """Return the records from the head back, and the hash that no record has (None if the first was reached)."""
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
        what = "it comes after a younger record: its place or its time was changed"
        return [
            self._finding(Fault.OUT_OF_PLACE, later.record_id, what)
            for later, earlier in pairwise(ordered)
            if later.intact and earlier.at - later.at > SKEW.total_seconds()
        ]

    def _astray(self, left: list[Link], last: Link | None) -> list[Finding]:
        """Return findings for records that no hash leads to, except expired ones, which DynamoDB is about to delete."""
        found = []
        for each in left:
            if not each.intact or self._past(each.expires_at):
                continue
            after = last and each.record_id > last.record_id
            what = "it was planted after the head, or the head was moved back" if after else "it is in no chain"
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
            return Judged(tuple(found))  # what it says about the previous record cannot be trusted
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
        """Return the finding for the record before ``later``, which is missing or was overwritten."""
        named = next((each for each in self.links if each.record_id == later.plan_id), None) if later.plan_id else None
        if named and not named.intact:
            named = None
        if named:
            what = f"it is not the record that {later.record_id} was chained to: it was overwritten"
            return self._finding(Fault.OVERWRITTEN, named.record_id, what)
        if later.plan_id and later.step == "OUTCOME":
            what = f"it was deleted; {later.record_id} was chained to it"
            return self._finding(Fault.MISSING, later.plan_id, what)
        before = f", or {top.record_id} was overwritten" if top else ""
        what = f"one or more records before {later.record_id} were deleted (hash {gap}){before}"
        return self._finding(Fault.MISSING, "", what)

    def _headless(self, left: list[Link], gap: str) -> list[Finding]:
        """Return findings for a chain whose last record is missing."""
        successors = {each.previous for each in left}
        top = max((each for each in left if each.stored not in successors), key=lambda each: each.record_id,
                  default=None)  # fmt: skip
        segment = self._segment(top, left)
        last = f"{top.record_id} is the newest that remains" if top else "no intact record remains"
        what = f"the newest records were deleted, or the last was overwritten: none has the head's hash {gap}; {last}"
        found = self._finding(Fault.TRUNCATED, top.record_id if top else "", what)
        return [found, *self._astray([each for each in left if each not in segment], None)]

    def _segment(self, top: Link | None, left: list[Link]) -> list[Link]:
        """Return the consecutive records from ``top`` back."""
        holders = {each.stored: each for each in left}
        segment: list[Link] = []
        while top is not None:
            segment.append(holders.pop(top.stored, top))
            top = holders.get(top.previous)
        return segment

    def _shortened(self, ordered: list[Link]) -> list[Finding]:
        """Return findings for records whose time to live was shortened; no hash covers that attribute."""
        promised = [self._head_expires_at, *(each.previous_expires_at for each in ordered)]
        what = "its time to live was shortened, so that DynamoDB deletes it early"
        return [
            self._finding(Fault.CHANGED, each.record_id, what)
            for each, until in zip(ordered, promised, strict=False)
            if each.intact and 0 < each.expires_at < until - _A_DAY
        ]

    @property
    def _head_expires_at(self) -> int:
        return _number((self.state or {}).get("head_expires_at"))

    def _past(self, moment: int) -> bool:
        """Return whether a time to live, in seconds since 1970, has passed; 0 means none."""
        return 0 < moment <= self.now.timestamp()

    def _finding(self, fault: Fault, record_id: str, message: str) -> Finding:
        return Finding(fault, record_id, self.resource, self.control, message)
