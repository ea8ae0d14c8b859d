"""The server process: where it listens, what it inherits, when it ends."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.client import REPOSITORY, Sandbox, SandboxError
from sandbox.server import environment

if TYPE_CHECKING:
    from sandbox.server.environment import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place to run in."""
    return environment.Place(port=4566, region="eu-west-1", account="123456789012", folder=tmp_path)


def test_nothing_of_the_callers_shell_is_inherited(place: Place) -> None:
    """Handlers inherit the server's environment: real AWS credentials would reach code under test."""
    inherited = {"AWS_ACCESS_KEY_ID": "real", "AWS_PROFILE": "prod", "PYTHONPATH": "/x", "PATH": "/bin", "SECRET": "s"}
    found = environment.variables(place, inherited)
    assert not {"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "PYTHONPATH", "SECRET"} & set(found)
    assert found["PATH"] == "/bin"
    assert found["HOME"] == found["TMPDIR"] == str(place.folder)


def test_it_listens_on_the_loopback_only(sandbox: Sandbox) -> None:
    """An AWS without passwords would be open to the network."""
    port = int(sandbox.endpoint.rpartition(":")[2])
    table = Path(f"/proc/{sandbox.pid}/net/tcp")
    if not table.exists():
        pytest.skip("the listening sockets are read from /proc")
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    listening = {row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
    assert listening == {f"0100007F:{port:04X}"}


def test_it_ends_with_its_parent_and_leaves_nothing(tmp_path: Path) -> None:
    """A killed test run would leave servers and their folders behind."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--exit-with-parent"]
    started = subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert started.stdout is not None
    assert started.stdin is not None
    ready = json.loads(started.stdout.readline())
    assert (ready["region"], ready["account"], ready["pid"]) == ("eu-west-1", "123456789012", started.pid)
    assert [each.name.startswith("evenkeel-sandbox-") for each in tmp_path.iterdir()] == [True]
    started.stdin.close()
    assert started.wait(10) == 0
    started.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_said_plainly() -> None:
    """A person who starts two sandboxes would read a traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SandboxError, match="choose another"):
            Sandbox(port=taken.getsockname()[1]).start()
