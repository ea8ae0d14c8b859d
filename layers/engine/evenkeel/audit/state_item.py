"""The state item of one (control, resource): chain head, lease, open plan, hold, what was announced last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from evenkeel.errors import UnreadableVersionError
from evenkeel.model import HeldBy
from evenkeel.runtime.dynamodb import unwire
from evenkeel.versions import STATE

TUG_REPAIRS, TUG_WINDOW = 10, timedelta(days=1)
"""How many repairs of one resource are stored, and for how long they count towards a tug of war."""


class HoldKind(StrEnum):
    """Who or what placed a hold."""

    PERSON = "person"
    """Somebody undid, rejected or dropped a change: the resource is not changed until the hold ends."""
    UNDO = "undo"
    """An undo that has not finished, or failed halfway; it works like a person's decision."""
    APPROVAL = "approval"
    FREEZE = "freeze"
    TUG_OF_WAR = "tug of war"
    BLAST_RADIUS = "blast radius"


BY_PEOPLE = frozenset({HoldKind.PERSON, HoldKind.UNDO})
"""The kinds that people place: the resource is not changed, whatever is found."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A hold to be placed. ``others`` are the findings that it covers besides the one of its record.

    ``critical`` is true if one of them is critical.
    """

    kind: HoldKind
    until: datetime
    others: tuple[str, ...] = ()
    critical: bool = False


@dataclass(frozen=True, slots=True)
class StateItem:
    """The state of one (control, resource); the defaults are those of a resource with no records."""

    head: str = ""
    """Hash of the last record."""
    head_expires_at: int = 0
    """Seconds since 1970: when the last record's time-to-live ends."""
    head_record: str = ""
    """Record id of the last record."""
    lease_owner: str = ""
    lease_until: int = 0
    """Milliseconds since 1970."""
    plan: str = ""
    """Record id of the open plan, if there is one."""
    plan_digest: str = ""
    """Digest of that plan's calls."""
    announced: str = ""
    """Fingerprint of the finding last announced without a change."""
    announced_at: int = 0
    """Seconds since 1970."""
    announced_state: str = ""
    """Digest of the state that was announced last: in that announcement, or by a later undo."""
    announced_event: str = ""
    """Id of the event that caused the announcement."""
    announced_record: str = ""
    """Record id of the announcement."""
    hold_until: int = 0
    """Seconds since 1970; until then the findings that the hold covers are skipped."""
    hold_at: int = 0
    """Seconds since 1970: when it was placed."""
    hold_kind: str = ""
    """A :class:`HoldKind`; empty in items of earlier versions."""
    hold_critical: bool = False
    """Whether one of the findings that the hold covers is critical."""
    hold_findings: tuple[str, ...] | None = None
    """Fingerprints of the findings that the hold covers; None if they are not known."""
    hold_reason: str = ""
    hold_record: str = ""
    """Record id of the outcome that placed the hold."""
    held_request: str = ""
    """JSON of the request that is sent again when the hold ends or is released."""
    rounds: tuple[dict[str, Any], ...] = ()
    """The latest repairs: ``{"at" (milliseconds since 1970), "principal", "client", "event", "fingerprint"}``; those by
    earlier versions have no fingerprint."""

    @classmethod
    def of(cls, item: dict[str, Any]) -> StateItem:
        """Read an item of the state table (wire form); an item that never had a record has no version.

        Raises:
            UnreadableVersionError: a later release wrote it.
        """
        plain = unwire(item)
        version = plain.get("schema_version", STATE.version)
        if not STATE.reads(version):
            raise UnreadableVersionError(
                f"state item {plain.get('pk')} is of schema version {version}; update the stack"
            )
        known = {name: plain[name] for name in cls.__slots__ if name in plain}
        known |= {name: tuple(known[name]) for name in ("rounds", "hold_findings") if name in known}
        return cls(**known)

    def recent_rounds(self, now: datetime) -> tuple[dict[str, Any], ...]:
        """Return the repairs that count towards a tug of war."""
        since = now - TUG_WINDOW
        return tuple(each for each in self.rounds if each["at"] >= since.timestamp() * 1000)[-TUG_REPAIRS:]

    def held(self, now: datetime) -> str:
        """Return until when and why the resource is on hold, or an empty string."""
        if self.hold_until <= now.timestamp():
            return ""
        return f"held until {datetime.fromtimestamp(self.hold_until, UTC):%Y-%m-%d %H:%M} UTC: {self.hold_reason}"

    def held_by(self, now: datetime) -> HeldBy | None:
        """Return the hold that is in force as data, or None."""
        if self.hold_until <= now.timestamp():
            return None
        until = datetime.fromtimestamp(self.hold_until, UTC)
        return HeldBy(self.hold_kind, until, self.hold_record)

    def leased_to_other(self, owner: str, now: datetime) -> bool:
        """Return whether another worker holds the lease."""
        return self.lease_owner not in {"", owner} and self.lease_until >= int(now.timestamp() * 1000)
