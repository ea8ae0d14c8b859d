"""The sandbox as the commands set it up."""

from __future__ import annotations

import json
import os
import socket
import subprocess

import boto3
import pytest

from evenkeel.control.registry import all_controls
from evenkeel.settings import parser
from evenkeel_cli.local import local_stack, serve
from tests.cli.running import evenkeel


def test_the_settings_are_ones_that_every_control_accepts() -> None:
    """The engine would refuse the document and change nothing, so every demo would fail."""
    document = parser.parse(json.dumps(local_stack.settings()))
    for control in all_controls().values():
        found = document.of(control, variables={"EVENKEEL_LOG_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/1"})
        assert found.radius.limit == local_stack.BLAST_RADIUS
    values = document.of(all_controls()["tagging-required-tags"], variables={}).parameters["values"]
    assert set(values) == {"Environment", "Project", "CostCenter"}
    assert document.settle_seconds == 2


def test_no_call_can_reach_a_real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo would create its misconfigured resources with the person's own credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("NO_PROXY", "example.com")
    monkeypatch.delenv("no_proxy", raising=False)
    with local_stack.own_environment():
        assert boto3.Session().get_credentials() is None
        assert os.environ["NO_PROXY"] == "127.0.0.1"
    assert os.environ["AWS_PROFILE"] == "production"
    assert os.environ["NO_PROXY"] == "example.com"
    assert "no_proxy" not in os.environ


def test_a_port_in_use_is_said_with_the_way_out() -> None:
    """A second sandbox would end in a traceback, or wait for half a minute."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = evenkeel("sandbox", "--port", str(port))
    assert result.exit_code == 1
    assert f"port {port}" in result.stderr
    assert "--port 0" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize("wrong", [("--account", "12"), ("--region", "moon"), ("--port", "65536"), ("--port", "x")])
def test_a_wrong_option_is_a_usage_error(wrong: tuple[str, str]) -> None:
    """The sandbox would start with an account or region that no ARN can have."""
    result = evenkeel("sandbox", *wrong)
    assert result.exit_code == 2
    assert wrong[0] in result.stderr


def test_lines_that_the_sandbox_prints_are_all_that_a_shell_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, who pastes them has an AWS to play with, and no command that says what Evenkeel did."""
    serve.announce({
        "endpoint": "http://127.0.0.1:4566", "region": "eu-west-1", "access_key_id": "A", "secret_access_key": "B",
        "stack": "evenkeel", "outputs": {},
    })  # fmt: skip
    exports = [line for line in capsys.readouterr().err.splitlines() if "export " in line]
    script = "\n".join([*exports, "evenkeel --version && echo $AWS_ENDPOINT_URL $EVENKEEL_STACK"])
    ran = subprocess.run(["/bin/sh", "-c", script], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True)
    assert ran.stdout.decode().splitlines()[-1] == "http://127.0.0.1:4566 evenkeel"
