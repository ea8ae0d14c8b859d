"""Run the benchmark: ``make bench``. It prints tables and fails where a promise is broken.

All figures are in build/bench/report.json, too.
"""

from __future__ import annotations

import json
import statistics
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import decisions, promises, show, waves
from benchmarks.imports import import_milliseconds
from benchmarks.measure import measure
from benchmarks.minimum import minimum
from benchmarks.place import prepared
from benchmarks.scenarios import Scenario, scenarios
from benchmarks.show import console
from sandbox.client import Sandbox
from sandbox.deploy import Stack, deploy
from sandbox.settings import push
from tests.world import reaching

if TYPE_CHECKING:
    from benchmarks.place import Place

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "build" / "bench" / "report.json"
WARM_UP, WAVES = 100, (200, 1000)


def through_the_stack(all_of_them: tuple[Scenario, ...], sandbox: Sandbox, stack: Stack) -> dict[str, Any]:
    """Measure from event to repaired key: one, cold and warm, and many at once."""
    push(sandbox, stack, {"schema_version": 1, **decisions.unbounded(all_of_them)})
    user = sandbox.create_user("alice")
    cold = waves.single(sandbox, user)
    warm = statistics.median(waves.single(sandbox, user) for _ in range(5))
    table = stack.outputs["AuditTableName"]
    console.print(f"cold {cold:.0f} ms, warm {warm:.0f} ms; now {' and '.join(map(str, WAVES))} events at once")
    waves.wave(sandbox, user, table, WARM_UP)  # each function has ten workers to start
    return {"cold_ms": cold, "warm_ms": warm, "waves": [waves.wave(sandbox, user, table, size) for size in WAVES]}


def per_event(all_of_them: tuple[Scenario, ...], place: Place) -> list[dict[str, Any]]:
    """Measure each control's event."""
    place.settings(decisions.plain(all_of_them))
    rows = []
    for scenario in all_of_them:
        console.print(f"measuring {scenario.control.id}: {scenario.event_name}", style="dim")
        rows.append(measure(scenario, place))
    return rows


def sizes_of_packages() -> dict[str, int]:
    """Return the bytes of each package as it was deployed."""
    newest = sorted((ROOT / "build" / "sandbox").glob("*.zip"), key=lambda path: path.stat().st_mtime)
    return {path.stem.rpartition("-")[0]: path.stat().st_size for path in newest}


def main() -> int:
    """Measure, print, and say by the exit code whether the promises hold."""
    all_of_them = scenarios()
    for scenario in all_of_them:
        minimum(scenario.control.id)  # one that is missing is told before the measuring, not after
    with Sandbox(table_seconds=0.0) as sandbox:
        stack = deploy(sandbox)
        through = through_the_stack(all_of_them, sandbox, stack)
        place = prepared(sandbox, stack)
        with reaching(cache(sandbox.client)):
            rows = per_event(all_of_them, place)
            console.print("measuring decisions", style="dim")
            decided = decisions.cost(all_of_them, place)
    packages = sorted({scenario.package for scenario in all_of_them} | {"notifier", "clerk"})
    imports = import_milliseconds(["boto3", *(f"{package}.handler" for package in packages)])
    sizes = sizes_of_packages()
    show.events([row for row in rows if not row["only_announces"]], "Controls that change something")
    show.events([row for row in rows if row["only_announces"]], "Controls that only announce")
    show.decisions(decided)
    show.whole(imports, sizes, through)
    lost = sum(wave["lost"] + wave["not_rotating"] for wave in through["waves"])
    broken = [
        *(sentence for row in rows for sentence in promises.broken(row)),
        *(sentence for row in decided for sentence in decisions.dearer(row)),
        *promises.slow_imports(imports),
        *([f"{lost} events of the waves were lost"] if lost else []),
    ]
    figures = {"events": rows, "decisions": decided, "imports": imports, "sizes": sizes, "stack": through}
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps({**figures, "broken": broken}, indent=2))
    for sentence in broken:
        console.print(f"BROKEN  {sentence}", style="red")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
