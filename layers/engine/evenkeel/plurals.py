"""Numbers with their nouns, in the singular or plural."""

from __future__ import annotations


def plural(number: int, noun: str) -> str:
    """Return a number with its noun, e.g. ``1 message`` or ``1,200 messages``; the plural takes an ``s``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
