"""Numbers of things in words."""

from __future__ import annotations

import pytest

from evenkeel.plurals import plural


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 messages"), (1, "1 message"), (2, "2 messages"), (1200, "1,200 messages")]
)
def test_plural(number: int, words: str) -> None:
    """If this fails, people read "1 messages", or a long number without its commas."""
    assert plural(number, "message") == words
