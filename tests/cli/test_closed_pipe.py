"""Commands whose reader has gone away, as ``head`` does after its lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EVENKEEL = "from evenkeel_cli.main import app; app()"


@pytest.mark.parametrize(
    "command",
    [
        ("-c", EVENKEEL, "controls"),
        ("-c", EVENKEEL, "controls", "--output", "json"),  # more than a pipe holds: cut off while it writes
        ("-c", EVENKEEL, "controls", "kms-key-rotation", "--output", "json"),  # less: cut off at the end
        ("-c", EVENKEEL, "--version"),
        ("-m", "tools.cost"),
        ("-m", "tools.generate", "--check"),
    ],
    ids=lambda words: " ".join(words[-2:]),
)
def test_a_command_whose_reader_is_gone_ends_quietly(command: tuple[str, ...]) -> None:
    """If this fails, `evenkeel audit list | head` or `make cost | head` ends in a traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer) as closed:
        run = [sys.executable, *command]
        ended = subprocess.run(run, stdout=closed, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    assert (ended.stderr, ended.returncode) == (b"", 1)
