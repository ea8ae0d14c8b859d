"""Suggestions for a misspelt name: a control, a key, an option's value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST = 3
"""Minimum length of an input for which names that contain it are suggested."""


def suggestion(given: str, known: Iterable[str]) -> str:
    """Return ``did you mean …?`` with the names that are close or contain it, else all known names."""
    from difflib import get_close_matches  # noqa: PLC0415 - only where a name is wrong

    names = sorted(known)
    within = [name for name in names if given.lower() in name.lower()] if len(given) >= _SHORTEST else []
    close = get_close_matches(given, names) or within
    return f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(names)}"


def suggested(given: str, known: Iterable[str]) -> str:
    """Return a suggestion as a sentence of its own."""
    text = suggestion(given, known)
    return text[0].upper() + text[1:] + ("" if text.endswith("?") else ".")
