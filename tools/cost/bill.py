"""Items of a bill, and the dated lists of prices and usage that they come from."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).parent
EVENTS = 10_000
"""Number of events of the second and third bills."""


@dataclass(frozen=True, slots=True)
class Item:
    """A quantity at a list price."""

    name: str
    price: str
    """Its key in prices.toml."""
    quantity: float
    why: str = ""

    @property
    def dollars(self) -> float:
        """Return its cost."""
        return self.quantity * price(self.price)


@cache
def prices() -> dict[str, Any]:
    """Return the list of prices."""
    return tomllib.loads((HERE / "prices.toml").read_text(encoding="utf-8"))


@cache
def usage() -> dict[str, Any]:
    """Return the usage that neither templates nor code define."""
    return tomllib.loads((HERE / "usage.toml").read_text(encoding="utf-8"))


def price(key: str) -> float:
    """Return the dollars of one unit."""
    return float(prices()[key]["dollars"])


def total(items: Iterable[Item]) -> float:
    """Return the dollars of a bill."""
    return sum(item.dollars for item in items)
