"""Prints what a stack costs at list prices: ``make cost``, or ``python -m tools.cost [--groups N] [--output json]``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[2]
for _folder in ("functions/controls", "functions/system", "layers/engine"):
    sys.path.insert(0, str(ROOT / _folder))

from evenkeel_cli.ui import closed_pipe  # noqa: E402 - needs the path above
from tools.cost import counts  # noqa: E402 - needs the path above
from tools.cost.bill import EVENTS, Item, prices, total  # noqa: E402 - needs the path above
from tools.cost.parts import Parts  # noqa: E402 - needs the path above
from tools.rendering import Stack  # noqa: E402 - needs the path above

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the bills."""
    parser = argparse.ArgumentParser(prog="python -m tools.cost", description="What a stack costs at list prices.")
    parser.add_argument("--groups", type=int, metavar="N", help="number of groups; default: all that exist")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="json for programs")
    asked = parser.parse_args(arguments)
    if asked.groups is not None and asked.groups < 1:
        parser.error(f"--groups {asked.groups}: a stack has at least one group")
    parts = Parts.of(Stack())
    parts = parts.grown(asked.groups) if asked.groups else parts
    others = counts.elsewhere()
    bills = {
        f"one idle month, {parts.groups} groups": counts.idle(parts),
        f"{EVENTS:,} events, spread out": counts.events(parts, "spread"),
        f"{EVENTS:,} events, in bursts": counts.events(parts, "burst"),
        f"in other services' bills, {EVENTS:,} events": [of_events for of_events, _ in others],
        "in other services' bills, one idle month": [of_month for _, of_month in others],
    }
    print(as_json(bills) if asked.output == "json" else as_text(bills))
    return 0


def as_text(bills: dict[str, list[Item]]) -> str:
    """Return the bills as text, the most expensive item first."""
    lines = [f"US dollars, list prices of {prices()['region']} on {prices()['date']}, without free tiers."]
    for title, items in bills.items():
        lines += ["", f"{total(items):10.2f}  {title}"]
        ordered = sorted(items, key=lambda item: -item.dollars)
        lines += [f"{item.dollars:10.4f}    {item.name}: {_number(item.quantity)} x {item.price}" for item in ordered]
    return "\n".join(lines)


def _number(quantity: float) -> str:
    """Return a quantity as people write it: 5,913,000 and 0.026."""
    return f"{quantity:,.3f}".rstrip("0").rstrip(".")


def as_json(bills: dict[str, list[Item]]) -> str:
    """Return the bills as JSON."""
    document = {
        title: {"dollars": total(items), "items": [{**asdict(item), "dollars": item.dollars} for item in items]}
        for title, items in bills.items()
    }
    return json.dumps({"region": prices()["region"], "date": str(prices()["date"]), "bills": document}, indent=2)


if __name__ == "__main__":
    with closed_pipe.quiet():
        sys.exit(main())
