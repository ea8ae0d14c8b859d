"""A wrong command line is told as JSON where it asks for JSON, and in words where it does not."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from unittest import mock

import pytest

from evenkeel_cli.ui.usage import show_on_any_terminal, wants_json
from tests.cli.running import evenkeel

NO_STACK = {"EVENKEEL_STACK": None}


@pytest.mark.parametrize(
    ("arguments", "message", "command"),
    [
        (("pause", "--stack", "s", "--output=json", "--forse"), "No such option: --forse", "evenkeel pause"),
        (("--output", "json", "pause"), "No such option: --output", "evenkeel"),
        (("puase", "--output", "json"), "No such command 'puase'. Did you mean 'pause'?", "evenkeel"),
        (("audit", "lst", "-ojson"), "No such command 'lst'", "evenkeel audit"),
        (
            ("audit", "list", "--limit", "many", "-s", "s", "-o", "json"),
            "Invalid value for '--limit'",
            "evenkeel audit",
        ),
        (("dlq", "drop", "--stack", "s", "-yo", "json"), "Missing argument 'ID...'", "evenkeel dlq drop"),
        (("settings", "validate", "a", "b", "-o", "json"), "unexpected extra argument", "evenkeel settings validate"),
        (("approve", "--stack", "s", "-o", "json"), "Missing argument 'RECORD'", "evenkeel approve"),
    ],
)
def test_a_wrong_command_line_is_json_where_json_was_asked_for(
    arguments: tuple[str, ...], message: str, command: str
) -> None:
    """If this fails, a pipeline that misspells an option has to parse a drawn box to learn so."""
    result = evenkeel(*arguments, env=NO_STACK)
    assert (result.exit_code, result.stdout) == (2, "")
    told = json.loads(result.stderr)["error"]
    assert message in told["message"]
    assert told["next"].startswith(f"See {command}")
    assert told["next"].endswith(" --help.")


@pytest.mark.parametrize(
    ("typed", "meant"), [("freeze", "pause"), ("unpause", "resume"), ("revert", "undo"), ("exemption", "exemptions")]
)
def test_a_word_that_is_no_command_never_leads_to_the_opposite(typed: str, meant: str) -> None:
    """If this fails, who wants everything frozen is offered to release what is held."""
    result = evenkeel(typed, "-o", "json")
    told = json.loads(result.stderr)["error"]["message"]
    assert (result.exit_code, told) == (2, f"No such command {typed!r}. Did you mean {meant!r}?")


@pytest.mark.parametrize("arguments", [("--help",), ("controls",), ("controls", "kms-key-rotation"), ("pausee",)])
def test_a_terminal_that_has_ascii_only_is_served(arguments: tuple[str, ...]) -> None:
    """If this fails, a command ends in a traceback where the locale is not set, as in many containers."""
    code = "from evenkeel_cli.main import app; app()"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run([sys.executable, "-c", code, *arguments], check=False, capture_output=True, env=environment)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (2 if arguments == ("pausee",) else 0, False)
    assert (ended.stdout + ended.stderr).isascii()


def test_what_ascii_lacks_is_written_in_simpler_characters() -> None:
    """If this fails, the demo's marks are lost, or half of a UTF-16 pair in a record stops the listing."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    with mock.patch.object(sys, "stdout", stream):
        show_on_any_terminal()
        sys.stdout.write("✓ done → next … é \ud800")
        sys.stdout.flush()
    assert stream.buffer.getvalue() == b"+ done -> next ... ? ?"  # type: ignore[attr-defined] # it is a BytesIO


def test_it_is_words_where_words_were_asked_for() -> None:
    """If this fails, people at a terminal get JSON for a typing error."""
    for output in ((), ("-o", "table"), ("-o", "jsn")):
        result = evenkeel("pause", "--forse", *output, env=NO_STACK)
        assert (result.exit_code, result.stderr.startswith("Usage: evenkeel pause")) == (2, True)


def test_what_is_no_mistake_goes_on_as_before() -> None:
    """If this fails, help, or what a command answers, is lost as soon as JSON is asked for."""
    shown = evenkeel("controls", "-o", "json", "--help")
    assert (shown.exit_code, "List the controls" in shown.stdout) == (0, True)
    found = evenkeel("controls", "-o", "json")
    assert (found.exit_code, bool(json.loads(found.stdout))) == (0, True)
    unknown = evenkeel("controls", "nothing", "-o", "json")
    assert (unknown.exit_code, "nothing" in json.loads(unknown.stderr)["error"]["message"]) == (2, True)


def test_a_process_ends_as_the_same_call_does() -> None:
    """If this fails, only tests see the JSON: the installed command takes its words from the process, not from us."""
    command = [sys.executable, "-c", "from evenkeel_cli.main import app; app()", "pause", "--forse", "-o", "json"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "No such option: --forse" in json.loads(ended.stderr)["error"]["message"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("run x --output json", True), ("run x --output=json", True), ("run -o json x", True), ("run -ojson", True),
        ("release x -yo json", True), ("run x", False), ("run json", False), ("run --output table json", False),
        ("run --output", False), ("run -o=json", False), ("run --because json -o table", False),
    ],
)  # fmt: skip
def test_which_command_lines_ask_for_json(words: str, wanted: bool) -> None:
    """If this fails, a person whose argument is the word json gets JSON, or a script that asked for it does not."""
    assert wants_json(words.split()) is wanted
