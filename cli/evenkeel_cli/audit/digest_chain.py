"""Verifies the daily digests, and that each chain still has the records that they anchored; pure.

A digest's parts are chained from day to day, and each has a MAC that only the clerk can make. Whoever rewrites or cuts
a chain together with its head cannot make the digests match. Parts expire as records do.
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

_NOT_OURS = "it is not as the clerk wrote it: it was changed afterwards, or planted"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A record that was the last of its chain when a digest was made."""

    record_id: str
    """Empty if the digest does not have it."""
    hash: str
    day: str
    """The digest's."""


@dataclass(slots=True)
class Digests:
    """The result for a stack's digests."""

    days: tuple[str, ...] = ()
    """Days with a complete digest, e.g. ``2026-11-20``, oldest first."""
    missed: tuple[str, ...] = ()
    """Days between them without a digest: the clerk did not run, and the next digest covers them."""
    begun: bool = False
    """True if there is any part."""
    unchecked: str = ""
    """Why the MACs could not be verified; the digests are then not trusted."""
    findings: list[Finding] = field(default_factory=list)
    anchors: dict[tuple[str, str], list[Anchor]] = field(default_factory=dict)
    """By control and resource, oldest first; without those whose records may have expired."""


def digests(found: Sequence[Item], ours: Collection[str], now: datetime) -> Digests:
    """Judge all items under the digests' key; ``ours`` are the ids of those whose MAC is valid."""
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
    """Yield findings for parts that do not follow the previous part, unless that expired or is a finding itself."""
    for before, part in pairwise([None, *parts]):
        if part is None or part.previous == (before.hash if before else ""):
            continue
        if 0 < part.previous_expires_at <= now.timestamp():
            continue
        since = before.record_id if before else ""
        if any(since < name < part.record_id for name in bad):
            continue
        if not part.previous:
            what = f"it starts a new chain although {since} exists: the clerk did not see the digests before it"
            yield _finding(Fault.OUT_OF_PLACE, part.record_id, what)
            continue
        after = f" and after {since}" if since else ""
        yield _finding(Fault.MISSING, "", f"one or more digests before {part.record_id}{after} were deleted")


def _late(parts: list[Part], now: datetime) -> Iterator[Finding]:
    """Yield a finding if the newest digest is too old: newer ones were deleted, or never made."""
    if not parts:
        return
    newest = next((part for part in reversed(parts) if part.last), parts[-1])
    if now.timestamp() - newest.begun_at > LATE_AFTER.total_seconds():
        began = f"{datetime.fromtimestamp(newest.begun_at, UTC):%Y-%m-%d %H:%M} UTC"
        what = f"there is none since {newest.record_id} of {began}: newer ones were deleted, or the clerk does not run"
        yield _finding(Fault.MISSING, "", what)


def none_at_all(oldest_record: float, now: datetime) -> list[Finding]:
    """Return the finding for a stack without digests; ``oldest_record`` is in seconds since 1970, 0 for no record."""
    if not oldest_record or now.timestamp() - oldest_record <= LATE_AFTER.total_seconds():
        return []
    what = "there is no digest: they were deleted, or the clerk does not run"
    return [_finding(Fault.MISSING, "", what)]


def _finding(fault: Fault, record_id: str, message: str) -> Finding:
    return Finding(fault, record_id, RESOURCE, "", message)


def against(control: str, resource: str, links: Sequence[Link], anchors: Sequence[Anchor]) -> list[Finding]:
    """Return the finding for a consistent chain that lacks anchored records; it names the oldest of them."""
    held = {each.stored for each in links if each.intact}
    lost = [each for each in anchors if each.hash not in held]
    if not lost:
        return []
    first = lost[0]
    fault, what = _loss(first, links)
    more = f"; later digests anchored {len(lost) - 1} more that are missing" if len(lost) > 1 else ""
    message = f"it was the last of its chain in the digest of {first.day}; {what}{more}"
    return [Finding(fault, first.record_id, resource, control, message)]


def _loss(lost: Anchor, links: Sequence[Link]) -> tuple[Fault, str]:
    if not links:
        return Fault.MISSING, "the whole chain was deleted"
    if any(each.record_id == lost.record_id for each in links):
        return Fault.REWRITTEN, "another record has its id now, and the head matches: the chain was rewritten"
    newest = max(each.record_id for each in links)
    if lost.record_id and newest < lost.record_id:
        return Fault.TRUNCATED, f"the chain was cut off after {newest}, and its head was moved back"
    return Fault.REWRITTEN, f"the chain no longer has its hash {lost.hash}: chain and head were rewritten"
