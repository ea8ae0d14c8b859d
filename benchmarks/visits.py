"""Calls for a new resource that several controls of one group check: in one visit, and each control alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmarks import decisions
from benchmarks.measure import counted, is_read, weak
from benchmarks.process import Worker
from evenkeel.control.registry import groups
from evenkeel.events import parsing
from tests.world import PLACE

if TYPE_CHECKING:
    from benchmarks.place import Place
    from benchmarks.scenarios import Scenario

ASKED_AGAIN = {"s3:get_bucket_policy"}
"""Reads that a control makes again right before its change, to see what others wrote meanwhile."""


def cost(scenarios: tuple[Scenario, ...], place: Place) -> list[dict[str, Any]]:
    """Serve one event for each group with several controls for it; return the calls together and each by itself."""
    place.settings(decisions.plain(scenarios))
    rows = []
    for group in groups():
        mine = [scenario for scenario in scenarios if scenario.control.group == group]
        shared = max(mine, key=lambda scenario: (len(_triggered(scenario)), not scenario.control.only_announces))
        if len(woken := _triggered(shared)) > 1:
            alone = sum((_calls(shared, place, control) for control in woken), Counter[str]())
            rows.append(
                {
                    "group": group,
                    "event": shared.event_name,
                    "controls": woken,
                    "alone": alone,
                    "together": _calls(shared, place, ""),
                }
            )
    return rows


def dearer(row: dict[str, Any]) -> list[str]:
    """Return each call that a visit makes more often than it has to, in a sentence: once to find, once to prove."""
    sentences = []
    for name, times in row["together"].items():
        reads = is_read(name.partition(":")[2])
        most = (2 if reads else 1) + (name in ASKED_AGAIN)
        if times > most:
            sentences.append(f"{row['group']}: a visit makes {name} {times} times, not {most}: {dict(row['together'])}")
    return sentences


def _triggered(scenario: Scenario) -> list[str]:
    """Return the ids of the group's controls that the scenario's event asks about its resource."""
    requests = parsing.parse(scenario.event(scenario.of), groups()[scenario.control.group], PLACE).requests
    return [request.control for request in requests if request.resource.arn == scenario.of]


def _calls(scenario: Scenario, place: Place, control: str) -> Counter[str]:
    """Return the calls of one control, or of all together where it is empty, for a new resource; warm."""
    with Worker(place.variables) as worker:
        for _ in range(2):
            arn, _ = weak(scenario, place)
            answer = worker.ask({**scenario.order(arn), "control": control})
    return counted(answer["calls"], engine=False)
