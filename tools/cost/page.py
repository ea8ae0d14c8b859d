"""The tables of docs/cost.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.cost import counts
from tools.cost.bill import EVENTS, Item, prices, total
from tools.pages import between

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tools.cost.parts import Parts

MANY_GROUPS = 30
ACCOUNTS = ((1, 300, 3.33), (50, 3_000, 26.83), (1_000, 30_000, 261.90))
"""Accounts, repairs a month in all of them, and AWS's example of what so many cost by Automated Security Response."""


def with_tables(text: str, parts: Parts) -> str:
    """Return docs/cost.md with its tables as templates, code and price list have them."""
    text = between(text, "idle", _idle(parts))
    text = between(text, "events", _events(parts))
    text = between(text, "elsewhere", _elsewhere())
    text = between(text, "accounts", _accounts(parts))
    return between(text, "prices", _prices())


def _idle(parts: Parts) -> list[str]:
    few, many = counts.idle(parts), counts.idle(parts.grown(MANY_GROUPS))
    head = ("$ a month, idle", f"{parts.groups} groups", f"{MANY_GROUPS} groups")
    return _table(head, [*_side_by_side(few, many), _sum(few, many)])


def _events(parts: Parts) -> list[str]:
    spread, burst = counts.events(parts, "spread"), counts.events(parts, "burst")
    head = (f"$ for {EVENTS:,} events", "spread out", "in bursts", "what is counted")
    rows = [(*row, each.why) for row, each in zip(_side_by_side(spread, burst, ordered=False), spread, strict=True)]
    return _table(head, [*sorted(rows, key=lambda row: -float(row[1])), (*_sum(spread, burst), "")])


def _elsewhere() -> list[str]:
    rows = [
        (of_events.name, f"{of_events.dollars:.2f}", f"{idle.dollars:.2f}", idle.why)
        for of_events, idle in counts.elsewhere()
    ]
    return _table(("$ in other bills", f"{EVENTS:,} events", "an idle month", "what is counted"), rows)


def _accounts(parts: Parts) -> list[str]:
    idle = total(counts.idle(parts))
    repair = total(counts.events(parts, "spread")) / EVENTS
    rows = [
        (
            f"{accounts:,}",
            f"{repairs:,}",
            f"{accounts * idle:,.2f}",
            f"{repairs * repair:,.2f}",
            f"{accounts * idle + repairs * repair:,.2f}",
            f"{theirs:,.2f}",
        )
        for accounts, repairs, theirs in ACCOUNTS
    ]
    head = ("accounts", "repairs a month", "$ idle", "$ repairs", "$ total", "$ Automated Security Response")
    return _table(head, rows)


def _prices() -> list[str]:
    rows = [
        (
            key,
            f"{body['dollars']:.10f}".rstrip("0").rstrip("."),
            body["unit"],
            body["page"],
            "yes" if body["verified"] else "no",
        )
        for key, body in prices().items()
        if isinstance(body, dict)
    ]
    dated = f"{prices()['region']}, {prices()['date']}"
    return _table(("price", f"$ ({dated})", "unit", "page", "verified"), rows)


def _side_by_side(left: Sequence[Item], right: Sequence[Item], *, ordered: bool = True) -> list[tuple[str, ...]]:
    pairs = list(zip(left, right, strict=True))
    if ordered:
        pairs.sort(key=lambda pair: -pair[0].dollars)
    return [(one.name, f"{one.dollars:.3f}", f"{other.dollars:.3f}") for one, other in pairs]


def _sum(left: Iterable[Item], right: Iterable[Item]) -> tuple[str, ...]:
    return ("**total**", f"**{total(left):.2f}**", f"**{total(right):.2f}**")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["", *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)), ""]
