"""The daily digest of the audit's chain heads: its parts, how heads are packed into them, which is due; pure.

A digest lists every chain that has a new record since the previous digest, with its head. It has one or more parts,
items of the audit table, so that no item grows too large. Each part has the hash of the previous part (across days),
and a MAC of its own hash that only the clerk can make.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from evenkeel.audit import records
from evenkeel.versions import DIGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from evenkeel.audit.record_types import Item

RESOURCE = "evenkeel-digest"
"""Partition key of all parts, where records have an ARN; they sort by their ids."""
MAX_BYTES = 100_000
"""Size of the heads in one part, as JSON; an item of DynamoDB holds 400 KB (developer guide, "Quotas")."""
OVERLAP = timedelta(hours=1)
"""A digest includes heads from this long before the previous one began: a record's id is older than its write."""
LATE_AFTER = timedelta(hours=36)
"""If the newest complete digest is older, the digest is late."""
WRONG_MAC = "KMSInvalidMacException"
"""KMS's error code if a MAC was not made with the key (API reference, VerifyMac)."""
_ALGORITHM = "HMAC_SHA_256"
_ID = re.compile(r"(\d{4}-\d\d-\d\d)#(\d{4,})")
MAC = re.compile(r"[0-9a-f]{64}")
_TEXTS, _NUMBERS = ("record_id", "hash", "previous", "after", "mac"), ("begun_at", "before", "expires_at")


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of one chain when the digest was made."""

    control: str
    resource: str
    record_id: str
    """Empty for a chain whose last record is from a version of Evenkeel that did not store it."""
    hash: str
    expires_at: int
    """When the record's time-to-live ends, in seconds since 1970; 0 if that is not known."""

    @classmethod
    def of(cls, item: dict[str, Any]) -> Head:
        """Return the head that a state item (plain) has."""
        control, _, resource = str(item["pk"]).partition("#")
        return cls(control, resource, item.get("head_record", ""), item["head"], item.get("head_expires_at", 0))

    @property
    def key(self) -> str:
        """The key of its state item."""
        return f"{self.control}#{self.resource}"

    @property
    def size(self) -> int:
        """Its size as JSON, in bytes; about its size in DynamoDB."""
        return len(json.dumps(asdict(self)).encode())


@dataclass(frozen=True, slots=True)
class Part:
    """A part whose content matches its hash; only its MAC proves that the clerk wrote it."""

    record_id: str
    begun_at: int
    """When its digest began to read heads, in seconds since 1970."""
    before: int
    """When the previous digest began; 0 for the first."""
    after: str
    """Key of the state item after which the next part continues; empty in the last part of a digest."""
    heads: tuple[Head, ...]
    previous: str
    previous_expires_at: int
    hash: str
    mac: str
    expires_at: int

    @classmethod
    def read(cls, record: Item) -> Part | None:
        """Return an item of the audit table as a part, or None if it is not a part or was changed."""
        fits = all(isinstance(record.get(name), str) for name in _TEXTS)
        fits = fits and all(isinstance(record.get(name), int) for name in _NUMBERS)
        if not fits or not DIGEST.reads(record.get("schema_version")):
            return None
        if record.get("resource") != RESOURCE or not _ID.fullmatch(record["record_id"]):
            return None
        try:
            heads = tuple(Head(**each) for each in record["heads"])
            intact = record["hash"] == content_hash(record) and MAC.fullmatch(record["mac"])
            expiry = int(record.get("previous_expires_at", 0))
        except (KeyError, TypeError, ValueError):  # a planted item can have any shape
            return None
        plain = {name: record[name] for name in (*_TEXTS, *_NUMBERS)}
        return cls(**plain, heads=heads, previous_expires_at=expiry) if intact else None

    @property
    def day(self) -> str:
        """The day (UTC) that it is the digest of, e.g. ``2026-11-20``."""
        return self.record_id.partition("#")[0]

    @property
    def number(self) -> int:
        """Its position within the day, from 0."""
        return int(self.record_id.partition("#")[2])

    @property
    def last(self) -> bool:
        """Whether it is the last part of its digest."""
        return not self.after


@dataclass(frozen=True, slots=True)
class Begun:
    """A digest to be made or continued; the fields are those of its parts."""

    day: str
    begun_at: int
    before: int
    after: str

    @property
    def since(self) -> str:
        """The lowest record id that the digest includes; empty for the first digest, which includes all."""
        moment = self.before - OVERLAP.total_seconds()
        return f"{int(moment * 1000):012x}" if self.before else ""


def content_hash(record: Item) -> str:
    """Return the hash that a part must have: over all fields except the hash, the MAC and the time-to-live."""
    return records.record_hash({name: value for name, value in record.items() if name != "mac"})


def due(newest: Part | None, now: datetime) -> Begun | None:
    """Return the digest to work on: an incomplete one, else today's; None if that is complete."""
    today = f"{now:%Y-%m-%d}"
    if newest is None:
        return Begun(today, int(now.timestamp()), 0, "")
    if not newest.last:
        return Begun(newest.day, newest.begun_at, newest.before, newest.after)
    return Begun(today, int(now.timestamp()), newest.begun_at, "") if newest.day < today else None


def age(newest: Part | None, now: datetime) -> float:
    """Return how many seconds ago the newest complete digest began, or the very first one if it is incomplete."""
    if newest is None:
        return 0.0
    began = newest.begun_at if newest.last or not newest.before else newest.before
    return max(now.timestamp() - began, 0.0)


def packed(heads: Iterable[Head], most: int = MAX_BYTES) -> tuple[list[list[Head]], list[Head]]:
    """Return full packs of heads, at most ``most`` bytes each, and the remaining heads; the order is kept."""
    full: list[list[Head]] = []
    rest: list[Head] = []
    size = 0
    for head in heads:
        if rest and size + head.size > most:
            full.append(rest)
            rest, size = [], 0
        rest.append(head)
        size += head.size
    return full, rest


def sealed(  # noqa: PLR0913 - a part is made of all these
    begun: Begun,
    number: int,
    heads: Sequence[Head],
    after: str,
    previous: Part | None,
    *,
    now: datetime,
    retention: timedelta,
) -> dict[str, Any]:
    """Return a part as an item of the audit table, chained to the previous one and still without its MAC.

    Its time-to-live is at least as long as that of each record that it anchors.
    """
    record: dict[str, Any] = {
        "schema_version": DIGEST.version,
        "resource": RESOURCE,
        "record_id": f"{begun.day}#{number:04d}",
        "at": records.timestamp(now),
        "begun_at": begun.begun_at,
        "before": begun.before,
        "after": after,
        "heads": [asdict(head) for head in heads],
        "expires_at": max(int((now + retention).timestamp()), *(head.expires_at for head in heads), 0),
    }
    return records.seal(record, previous.hash if previous else "", previous.expires_at if previous else 0)


def to_sign(content: str, key: str) -> dict[str, Any]:
    """Return the parameters of KMS's GenerateMac for a part's hash."""
    return {"KeyId": key, "MacAlgorithm": _ALGORITHM, "Message": content.encode()}


def to_verify(part: Part, key: str) -> dict[str, Any]:
    """Return the parameters of KMS's VerifyMac."""
    return {**to_sign(part.hash, key), "Mac": bytes.fromhex(part.mac)}
