"""Event selectors that moto leaves out, those of shadow trails, and deletion by ARN.

A trail without selectors of its own logs all management events, and GetEventSelectors says so; PutEventSelectors
replaces both kinds; a multi-Region trail's are told in every region. DeleteTrail takes a name or an ARN, and knows what
is not there (CloudTrail API reference).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.cloudtrail.models import CloudTrailBackend, Trail

if TYPE_CHECKING:
    import pytest

Selectors = list[dict[str, Any]]
DEFAULT: Selectors = [
    {"ReadWriteType": "All", "IncludeManagementEvents": True, "DataResources": [], "ExcludeManagementEventSources": []}
]


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gaps until ``patch`` is undone."""
    patch.setattr(CloudTrailBackend, "delete_trail", _delete)
    patch.setattr(CloudTrailBackend, "get_event_selectors", _asked)
    patch.setattr(Trail, "get_event_selectors", _selectors)
    patch.setattr(Trail, "put_event_selectors", _select)


def _delete(self: CloudTrailBackend, name: str) -> None:
    del self.trails[self.get_trail(name).trail_name]


def _asked(self: CloudTrailBackend, trail_name: str) -> tuple[str, Selectors, Selectors]:
    found = [trail for trail in self.describe_trails(True) if trail_name in {trail.trail_name, trail.arn}]
    trail = found[0] if found else self.get_trail(trail_name)
    return trail.arn, *trail.get_event_selectors()


def _selectors(self: Trail) -> tuple[Selectors, Selectors]:
    if self.event_selectors or self.advanced_event_selectors:
        return self.event_selectors, self.advanced_event_selectors
    return DEFAULT, []


def _select(self: Trail, event_selectors: Selectors, advanced_event_selectors: Selectors) -> None:
    self.event_selectors, self.advanced_event_selectors = event_selectors or [], advanced_event_selectors or []
