"""Prints the benchmark's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.decisions import RULES
from benchmarks.measure import LATENCY_SECONDS, MOST_ROUNDS, ROUNDS
from benchmarks.minimum import minimum

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable

console = Console(width=132)


def figures(found: dict[str, Any]) -> None:
    """Print the figures of each part that was measured."""
    rows = found.get("events", [])
    for only_announces, title in ((False, "Controls that change something"), (True, "Controls that only announce")):
        if some := [row for row in rows if row["only_announces"] is only_announces]:
            events(some, title)
    if "visits" in found:
        visits(found["visits"])
    if "decisions" in found:
        decisions(found["decisions"])
    if "packages" in found:
        packages(found["packages"])
    if "imports" in found:
        imports(found["imports"])
    if "stack" in found:
        through_the_stack(found["stack"])


def events(rows: list[dict[str, Any]], title: str) -> None:
    """Print what each control's event costs, compared with bare boto3 with the same calls.

    The control is alone in its group, so an event that triggers several is counted for each. ``minimum`` is the fewest
    possible calls, ``engine`` adds to ``calls``, ``compliant`` are all calls for a compliant resource.
    """
    slow = f"+{LATENCY_SECONDS * 1000:.0f} ms a call"
    table = _table(
        f"{title}: one event, warm, median of {ROUNDS} to {MOST_ROUNDS} (Evenkeel / bare boto3 with the same calls)",
        ("control",),
        ("minimum", "calls", "engine", "compliant", "CPU ms", "ratio", "wall ms", slow, "peak MiB"),
    )
    for row in rows:
        ours, bare = row["ours"], row["bare"]
        table.add_row(
            row["control"],
            f"{minimum(row['control']).calls}",
            f"{row['calls'].total()}",
            f"{row['engine_calls'].total()}",
            f"{row['compliant'].total()}",
            f"{ours['cpu_ms']:.1f} / {bare['cpu_ms']:.1f}",
            f"{row['cpu_ratio']:.2f}",
            f"{ours['wall_ms']:.0f} / {bare['wall_ms']:.0f}",
            f"{ours['slow_wall_ms']:.0f} / {bare['slow_wall_ms']:.0f}",
            f"{ours['peak_rss_mib']:.0f} / {bare['peak_rss_mib']:.0f}",
        )
    console.print(table)
    for row in rows:
        console.print(
            f"  {row['control']}, {row['event']}: {_named(row['calls'])}{_reasons(row)}",
            highlight=False,
            soft_wrap=True,
        )


def decisions(rows: list[dict[str, Any]]) -> None:
    """Print what rules in the settings cost."""
    table = _table(
        f"What a decision costs: {RULES + 4} overrides a control, {RULES} exemptions, {RULES // 2} freezes",
        ("control", "the engine's own calls", "with rules", "and tag rules"),
        (),
    )
    for row in rows:
        table.add_row(
            row["control"],
            _named(row["plain_engine"]) or "none",
            *(
                _named(row[kind] + row[f"{kind}_engine"] - row["plain"] - row["plain_engine"], "+") or "+0"
                for kind in ("rules", "tags")
            ),
        )
    console.print(table)
    reads = sorted({name for row in rows for name in row["plain_settings_read"]})
    console.print(f"  A worker's first event reads the settings, too: {', '.join(reads)}; they are good for a minute.")


def packages(rows: list[dict[str, Any]]) -> None:
    """Print the size of each function's package and of the layer."""
    table = _table("Packages: size of the uploaded zips", ("package",), ("KiB",))
    for row in rows:
        table.add_row(row["package"], f"{row['bytes'] / 1024:.1f}")
    console.print(table)


def visits(rows: list[dict[str, Any]]) -> None:
    """Print the calls for a new resource that several controls check."""
    table = _table(
        "Visits: calls for one new resource that several controls check (without the engine's own)",
        ("group", "event"),
        ("controls", "each alone", "one visit"),
    )
    table.add_column("of them")
    for row in rows:
        table.add_row(
            row["group"],
            row["event"],
            str(len(row["controls"])),
            str(row["alone"].total()),
            str(row["together"].total()),
            _named(row["together"]),
        )
    console.print(table)


def imports(rows: list[dict[str, Any]]) -> None:
    """Print what importing each handler costs."""
    title = "Import, boto3 first: CPU ms, and boto3 with the handler in multiples of boto3 alone"
    table = _table(title, ("handler",), ("boto3 ms", "handler's ms", "ratio"))
    for row in rows:
        table.add_row(row["module"], f"{row['boto3_ms']:.0f}", f"{row['own_ms']:.0f}", f"{row['ratio']:.2f}")
    console.print(table)


def through_the_stack(through: dict[str, Any]) -> None:
    """Print what the stack as a whole costs."""
    console.print(
        f"Event to repaired: cold {through['cold_ms']:.0f} ms, warm {through['warm_ms']:.0f} ms (median of 5)"
    )
    for wave in through["waves"]:
        console.print(f"{wave['events']} events at once: {wave['seconds']:.1f} s in all, {wave['lost']} lost")


def _table(title: str, texts: Iterable[str], figures: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for heading in texts:
        table.add_column(heading, no_wrap=True)
    for heading in figures:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _named(calls: Counter[str], sign: str = "") -> str:
    """Return the names of calls, each with its count."""
    return ", ".join(f"{sign}{count} {name.partition(':')[2]}" for name, count in calls.items())


def _reasons(row: dict[str, Any]) -> str:
    """Return what the calls beyond the minimum are for."""
    least = minimum(row["control"])
    reasons = [least.why] if least.why else []
    if row["proves"] > least.proof:
        reasons.append("the change is proved by reading, not by its answer")
    beyond = row["calls"].total() - least.calls
    return f"; {beyond} more than the minimum: {'; '.join(reasons)}" if beyond > 0 else ""
