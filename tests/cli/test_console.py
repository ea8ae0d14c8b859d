"""What reaches a terminal is text: records hold the words of whoever caused them."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pytest
from rich.text import Text

from evenkeel_cli.ui import console

if TYPE_CHECKING:
    from rich.console import Console


def test_words_of_others_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, a user agent in a record can rewrite the screen of whoever reads the audit, or fake a prompt."""
    for text in ("\x1b]0;owned\x07", "ok\x1b[2Kgone", "\x9b31m", "one\rtwo", "a\tb"):
        console.results().print(Text(text))
        console.errors().print(text)
    captured = capsys.readouterr()
    assert all(char.isprintable() or char == "\n" for char in captured.out + captured.err)
    assert "]0;owned" in captured.out


ARN = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/a-name-that-is-longer-than-any-terminal-is-wide"
JSON = '{"BlockPublicAcls": true, "BlockPublicPolicy": true, "IgnorePublicAcls": true, "RestrictPublicBuckets": true}'
SENTENCE = "a sentence of many short words that goes on for longer than a narrow terminal has room for it to go"


def _on(console_width: int | None) -> tuple[Console, io.StringIO]:
    """Return a console of ours on a terminal of a width, or in a pipe, and what it writes to."""
    target = io.StringIO()
    terminal = console_width is not None
    return console._Plain(
        file=target, force_terminal=terminal, width=console_width or console.WIDTH, color_system=None, markup=False
    ), target


@pytest.mark.parametrize("width", [40, 80, None])
def test_what_people_copy_stays_in_one_piece(width: int | None) -> None:
    """If this fails, an ARN, an id or JSON is broken in the middle of a word and cannot be copied."""
    out, written = _on(width)
    out.print(f"{SENTENCE} {ARN}")
    console.table(out, ("id", "what"), [(ARN, f"{SENTENCE} {ARN}"), ("b", Text(JSON, no_wrap=True))])
    assert written.getvalue().count(ARN) == 3
    assert JSON in written.getvalue()
    assert "…" not in written.getvalue()


def test_in_a_pipe_no_line_is_broken_and_none_ends_in_spaces() -> None:
    """If this fails, grep finds half a sentence, and a file holds lines of a hundred blanks."""
    out, written = _on(None)
    out.print(SENTENCE)
    console.table(out, ("a", "b"), [("x", SENTENCE * 9), ("long" * 9, "y")])
    lines = written.getvalue().splitlines()
    assert lines[0] == SENTENCE
    assert lines[2].endswith(SENTENCE * 9)
    assert [line for line in lines if line != line.rstrip()] == []


def test_at_a_terminal_sentences_are_broken_between_words_below_their_column() -> None:
    """If this fails, a table's sentences run into its first column at a terminal."""
    out, written = _on(60)
    console.table(out, ("id", "what"), [("a", SENTENCE)])
    lines = written.getvalue().splitlines()
    assert [line[:4].strip() for line in lines] == ["id", "a", ""]
    assert " ".join(line[4:].strip() for line in lines[1:]) == SENTENCE
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize(("width", "lines"), [(None, 1), (80, 3)])
def test_json_is_one_line_for_programs_and_indented_for_people(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int | None, lines: int
) -> None:
    """If this fails, a program that reads a line at a time gets half a document, or a person a line without end."""
    out, _ = _on(width)
    monkeypatch.setattr(console, "results", lambda: out)
    console.show({"stack": "prod"}, lambda _: None, as_json=True)
    written = capsys.readouterr().out
    assert (json.loads(written), len(written.splitlines())) == ({"stack": "prod"}, lines)
