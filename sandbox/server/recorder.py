"""The log of calls, counted, and of emitted events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

KEPT_EVENTS = 20_000


@dataclass
class Recorder:
    """The log of calls and events. Events are numbered from 1; only the last ``KEPT_EVENTS`` are kept."""

    calls: Counter[tuple[str, str, str, str, bool]] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)
    events: list[dict[str, Any]] = field(default_factory=list)
    dropped: int = 0

    def call(self, call: tuple[str, str, str], error: str, *, emitted: bool, recorded: bool) -> None:
        """Count a call (service, operation, principal); ``recorded``: its service's mutating calls emit events."""
        self.calls[*call, error, emitted] += 1
        if not recorded:
            self.silent[call[0]] += 1

    def event(self, envelope: dict[str, Any]) -> None:
        """Add an event to the log."""
        self.events.append(envelope)
        if len(self.events) > KEPT_EVENTS:
            excess = len(self.events) - KEPT_EVENTS
            del self.events[:excess]
            self.dropped += excess

    def forget(self) -> None:
        """Clear the log."""
        self.calls.clear()
        self.silent.clear()
        self.events.clear()
        self.dropped = 0

    def calls_view(self) -> dict[str, Any]:
        """Return the counted calls, and the calls of services that emit no events, as JSON."""
        names = ("service", "operation", "principal", "error", "emitted")
        counted = [dict(zip(names, key, strict=True)) | {"count": count} for key, count in self.calls.items()]
        return {"calls": counted, "silent": dict(self.silent)}

    def events_view(self, since: int, equals: dict[str, str]) -> dict[str, Any]:
        """Return the events after number ``since`` whose detail (or ``source``) has these values."""
        start = max(0, since - self.dropped)
        found = [event for event in self.events[start:] if _fits(event, equals)]
        return {"events": found, "last": self.dropped + len(self.events)}


def _fits(event: dict[str, Any], equals: dict[str, str]) -> bool:
    places = {**event["detail"], "source": event["source"], "detail-type": event["detail-type"]}
    return all(places.get(name) == value for name, value in equals.items())
