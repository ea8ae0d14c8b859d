"""Run the benchmark: ``make bench``. It prints tables and fails where a promise is broken.

``python -m benchmarks --only imports,kms-key-rotation`` measures some parts only. All figures are in
build/bench/report.json, too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import decisions, imports, packages, promises, show, visits, waves
from benchmarks.measure import measure
from benchmarks.minimum import minimum
from benchmarks.place import prepared
from benchmarks.scenarios import Scenario, scenarios
from benchmarks.show import console
from sandbox.client import Sandbox
from sandbox.deploy.deployment import Stack, deploy
from sandbox.deploy.settings import push
from tests.world import reaching

if TYPE_CHECKING:
    from benchmarks.place import Place

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "build" / "bench" / "report.json"
WARM_UP, WAVES = 100, (200, 1000)
PARTS = ("imports", "packages", "stack", "events", "visits", "decisions")
"""The parts that ``--only`` accepts besides control ids; ``events`` are those of all controls."""
WITHOUT_A_SANDBOX = {"packages", "imports"}


def through_the_stack(all_of_them: tuple[Scenario, ...], sandbox: Sandbox, stack: Stack) -> dict[str, Any]:
    """Measure from event to repaired key: one, cold and warm, and many at once."""
    push(sandbox, stack, {"schema_version": 1, **decisions.unbounded(all_of_them)})
    user = sandbox.create_user("alice")
    cold = waves.single(sandbox, user)
    warm = statistics.median(waves.single(sandbox, user) for _ in range(5))
    table = stack.outputs["AuditTableName"]
    console.print(f"cold {cold:.0f} ms, warm {warm:.0f} ms; now {' and '.join(map(str, WAVES))} events at once")
    waves.wave(sandbox, user, table, WARM_UP)  # each function has ten workers to start
    return {
        "cold_ms": cold,
        "warm_ms": warm,
        "waves": [waves.wave(sandbox, user, table, size) for size in WAVES],
    }


def per_event(all_of_them: tuple[Scenario, ...], chosen: set[str], place: Place) -> list[dict[str, Any]]:
    """Measure the event of each chosen control."""
    place.settings(decisions.plain(all_of_them))
    rows = []
    for scenario in all_of_them:
        if scenario.control.id in chosen:
            console.print(f"measuring {scenario.control.id}: {scenario.event_name}", style="dim")
            rows.append(measure(scenario, place, promises.CPU_RATIO))
    return rows


def on_a_sandbox(all_of_them: tuple[Scenario, ...], chosen: set[str]) -> dict[str, Any]:
    """Measure the chosen parts that need a deployed stack; return the figures of each."""
    figures: dict[str, Any] = {}
    with Sandbox(table_seconds=0.0, quiet_stacks=True) as sandbox:
        stack = deploy(sandbox)
        if "stack" in chosen:
            figures["stack"] = through_the_stack(all_of_them, sandbox, stack)
        if chosen <= {"stack", *WITHOUT_A_SANDBOX}:
            return figures
        place = prepared(sandbox, stack)
        with reaching(cache(sandbox.client)):
            figures["events"] = per_event(all_of_them, chosen, place)
            if "visits" in chosen:
                console.print("measuring visits", style="dim")
                figures["visits"] = visits.cost(all_of_them, place)
            if "decisions" in chosen:
                console.print("measuring decisions", style="dim")
                figures["decisions"] = decisions.cost(all_of_them, place)
    return figures


def broken_promises(figures: dict[str, Any]) -> list[str]:
    """Return a sentence for each promise that the figures break."""
    through = figures.get("stack", {"waves": ()})
    lost = sum(wave["lost"] + wave["not_rotating"] for wave in through["waves"])
    return [
        *(sentence for row in figures.get("events", ()) for sentence in promises.broken(row)),
        *(sentence for row in figures.get("visits", ()) for sentence in visits.dearer(row)),
        *(sentence for row in figures.get("decisions", ()) for sentence in decisions.dearer(row)),
        *promises.slow_imports(figures.get("imports", [])),
        *([f"{lost} events of the waves were lost"] if lost else []),
    ]


def chosen_parts(only: str | None, controls: set[str]) -> set[str]:
    """Return the parts and controls to measure; ``only`` names them, with commas, or is None for all.

    Raises:
        ValueError: one of them is neither a part nor a control.
    """
    chosen = set(PARTS) if only is None else set(only.split(","))
    if unknown := chosen - set(PARTS) - controls:
        raise ValueError(f"{', '.join(sorted(unknown))}: write ids of controls, or {', '.join(PARTS)}")
    return chosen | controls if "events" in chosen else chosen


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and return the exit code: 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and fail on a broken promise.")
    parser.add_argument("--only", metavar="PART,…", help=f"ids of controls, or {', '.join(PARTS)}")
    only = parser.parse_args(arguments).only
    all_of_them = scenarios()
    for scenario in all_of_them:
        minimum(scenario.control.id)  # reports a missing one before the measurement, not after
    try:
        chosen = chosen_parts(only, {scenario.control.id for scenario in all_of_them})
    except ValueError as error:
        parser.error(str(error))
    figures = {} if chosen <= WITHOUT_A_SANDBOX else on_a_sandbox(all_of_them, chosen)
    if "packages" in chosen:
        figures["packages"] = packages.sizes()
    if "imports" in chosen:
        console.print("measuring imports", style="dim")
        figures["imports"] = imports.cost(imports.handlers())
    show.figures(figures)
    broken = broken_promises(figures)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps({**figures, "broken": broken}, indent=2))
    for sentence in broken:
        console.print(f"BROKEN  {sentence}", style="red")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
