"""Are the daily digests whole, and does each chain still hold what they anchored? Pure.

A digest's parts are chained over the days, and each bears a MAC that only the clerk could make. Who rewrites or cuts a
chain together with its head cannot make the digests agree with it. Parts expire as records do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from evenkeel.audit.digests import LATE_AFTER, RESOURCE, Part
from evenkeel_cli.audit.chains import Fault, Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from evenkeel.audit.record_types import Item
    from evenkeel_cli.audit.chains import Link

_NOT_OURS = "it is not what the clerk wrote: it was changed afterwards, or planted"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A record that was the last of its chain when a digest was made."""

    record_id: str
    """Empty where the digest could not tell."""
    hash: str
    day: str
    """The digest's."""


@dataclass(slots=True)
class Digests:
    """What came of a stack's digests."""

    days: tuple[str, ...] = ()
    """Those with a whole digest, e.g. ``2026-11-20``, oldest first."""
    missed: tuple[str, ...] = ()
    """The days between them without one: the clerk did not run, and the next digest made up for it."""
    begun: bool = False
    """Whether there is any part at all."""
    unchecked: str = ""
    """Why their MACs could not be checked; nothing that they say is believed then."""
    findings: list[Finding] = field(default_factory=list)
    anchors: dict[tuple[str, str], list[Anchor]] = field(default_factory=dict)
    """By control and resource, oldest first; without those that the time-to-live may have taken."""


def digests(found: Sequence[Item], ours: Collection[str], now: datetime) -> Digests:
    """Judge all items that stand where the digests do; ``ours`` are the ids of those whose MAC is the key's."""
    ordered = sorted(found, key=lambda each: str(each["record_id"]))
    read = {str(each["record_id"]): Part.read(each) for each in ordered}
    parts = {name: part for name, part in read.items() if part and name in ours}
    bad = [name for name in read if name not in parts]
    whole = [part for part in parts.values() if part.last]
    judged = Digests(tuple(part.day for part in whole), begun=bool(found))
    judged.missed = tuple(_between(judged.days))
    judged.findings = [
        *(_finding(Fault.CHANGED, name, _NOT_OURS) for name in bad),
        *_gaps(list(parts.values()), bad, now),
        *_late(list(parts.values()), now),
    ]
    for part in parts.values():
        for head in part.heads:
            if not 0 < head.expires_at <= now.timestamp():
                anchor = Anchor(head.record_id, head.hash, part.day)
                judged.anchors.setdefault((head.control, head.resource), []).append(anchor)
    return judged


def _between(days: Sequence[str]) -> Iterator[str]:
    for one, two in pairwise(map(date.fromisoformat, days)):
        yield from (f"{one + timedelta(days=number)}" for number in range(1, (two - one).days))


def _gaps(parts: list[Part], bad: list[str], now: datetime) -> Iterator[Finding]:
    """Name the parts that do not follow the one before, unless that one has expired or is named already."""
    for before, part in pairwise([None, *parts]):
        if part is None or part.previous == (before.hash if before else ""):
            continue
        if 0 < part.previous_expires_at <= now.timestamp():
            continue
        since = before.record_id if before else ""
        if any(since < name < part.record_id for name in bad):
            continue
        if not part.previous:
            what = f"it begins anew, as if {since} were not there: the digests before it were out of the clerk's sight"
            yield _finding(Fault.OUT_OF_PLACE, part.record_id, what)
            continue
        after = f" and after {since}" if since else ""
        yield _finding(Fault.MISSING, "", f"one or more digests before {part.record_id}{after} are gone")


def _late(parts: list[Part], now: datetime) -> Iterator[Finding]:
    """Say that the newest digests are gone, or were never made."""
    if not parts:
        return
    newest = next((part for part in reversed(parts) if part.last), parts[-1])
    if now.timestamp() - newest.begun_at > LATE_AFTER.total_seconds():
        began = f"{datetime.fromtimestamp(newest.begun_at, UTC):%Y-%m-%d %H:%M} UTC"
        what = f"there is none since {newest.record_id} of {began}: the newest were removed, or the clerk does not run"
        yield _finding(Fault.MISSING, "", what)


def none_at_all(oldest_record: float, now: datetime) -> list[Finding]:
    """Judge a stack without any digest by when its oldest record was made, in seconds since 1970; 0 for no record."""
    if not oldest_record or now.timestamp() - oldest_record <= LATE_AFTER.total_seconds():
        return []
    what = "there is no digest at all: they were removed, or the clerk does not run"
    return [_finding(Fault.MISSING, "", what)]


def _finding(fault: Fault, record_id: str, message: str) -> Finding:
    return Finding(fault, record_id, RESOURCE, "", message)


def against(control: str, resource: str, links: Sequence[Link], anchors: Sequence[Anchor]) -> list[Finding]:
    """Judge a chain that hangs together against what was anchored of it; name the oldest record that it lost."""
    held = {each.stored for each in links if each.intact}
    lost = [each for each in anchors if each.hash not in held]
    if not lost:
        return []
    first = lost[0]
    fault, what = _loss(first, links)
    more = f"; later digests anchored {len(lost) - 1} more that are lost" if len(lost) > 1 else ""
    message = f"it was the last of its chain in the digest of {first.day}; {what}{more}"
    return [Finding(fault, first.record_id, resource, control, message)]


def _loss(lost: Anchor, links: Sequence[Link]) -> tuple[Fault, str]:
    if not links:
        return Fault.MISSING, "the whole chain is gone"
    if any(each.record_id == lost.record_id for each in links):
        return Fault.REWRITTEN, "another record has its id now, and a head that fits: the chain was made anew"
    newest = max(each.record_id for each in links)
    if lost.record_id and newest < lost.record_id:
        return Fault.TRUNCATED, f"the chain was cut off after {newest}, and its head set back"
    return Fault.REWRITTEN, f"the chain does not hold its hash {lost.hash} any more: it was made anew, with its head"
