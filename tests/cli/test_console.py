"""What reaches a terminal is text: records hold the words of whoever caused them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from evenkeel_cli import console

if TYPE_CHECKING:
    import pytest


def test_words_of_others_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, a user agent in a record can rewrite the screen of whoever reads the audit, or fake a prompt."""
    for text in ("\x1b]0;owned\x07", "ok\x1b[2Kgone", "\x9b31m", "one\rtwo", "a\tb"):
        console.results().print(Text(text))
        console.errors().print(text)
    captured = capsys.readouterr()
    assert all(char.isprintable() or char == "\n" for char in captured.out + captured.err)
    assert "]0;owned" in captured.out
