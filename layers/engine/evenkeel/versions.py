"""The documents that outlive a deployment, each with the version of its form.

After an update the stack has documents of the previous release, and after a rollback those of the later one. So each
decoder reads its document's newest version and the two before it, and refuses any other: the work waits, or becomes a
dead letter with the reason, and nothing is changed.

A new field that older code can ignore needs no new version. A new field that it must not ignore does, and so does a
field that is removed or changes its meaning. ``tests/samples/`` has documents of each release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

READ_BACK = 2
"""How many versions before the newest a decoder reads."""


@dataclass(frozen=True, slots=True)
class Document:
    """A kind of document."""

    name: str
    version: int
    """The version that this release writes, in the field ``schema_version``."""
    kept: str
    """Where it is stored, or where it is sent."""
    decoder: str
    """The function or class that reads it; empty if only others read it."""
    refused: str
    """What happens to a version that the decoder does not read."""

    def reads(self, version: Any) -> bool:
        """Return whether the decoder reads a version."""
        return type(version) is int and max(1, self.version - READ_BACK) <= version <= self.version

    def is_newer(self, version: Any) -> bool:
        """Return whether a version is one that a later release writes."""
        return type(version) is int and version > self.version


RECORD = Document(
    "record",
    1,
    "audit table; the terms of a run are the first record of its chain",
    "evenkeel.audit.ledger.Ledger.record",
    "the request that needs it is refused and tried again; its alert waits until the notifier is updated",
)
DIGEST = Document(
    "digest",
    1,
    "audit table",
    "evenkeel.audit.digests.Part.read",
    "it anchors no records; the notifier waits until it is updated",
)
STATE = Document(
    "state",
    1,
    "state table; one item for each control and resource (counters and marks have no form to change)",
    "evenkeel.audit.state_item.StateItem.of",
    "the message is delivered again, then becomes a dead letter",
)
REQUEST = Document(
    "request",
    1,
    "queues, dead letters, and the state item of what is held",
    "evenkeel.events.parsing.parse",
    "dead letter",
)
SETTINGS = Document(
    "settings",
    1,
    "AppConfig",
    "evenkeel.settings.parser.parse",
    "the validator refuses the push; functions change nothing, and messages wait",
)
EVENT = Document("event", 1, "the stack's event bus", "", "its readers decide")
DOCUMENTS = (RECORD, DIGEST, STATE, REQUEST, SETTINGS, EVENT)
