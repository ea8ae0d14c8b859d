"""Pause, resume and sandbox on the real stack in a running sandbox."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from evenkeel.control.registry import groups
from evenkeel_cli.local import local_stack
from tests.cli.running import evenkeel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sandbox.shared import Shared

SECONDS = 60
"""How long a repair may take on a busy machine; it usually takes one."""


@pytest.fixture(scope="module")
def stack(shared: Shared) -> Shared:
    """The stack, set up as a sandbox for people is."""
    shared.under(local_stack.settings())
    return shared


def variables(session: Any, endpoint: str) -> dict[str, str]:
    """Return the environment of a person at a shell."""
    credentials = session.get_credentials()
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
    }


def becomes_true(condition: Callable[[], bool]) -> bool:
    """Wait until a condition holds; say whether it came to that."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_nothing_is_changed_while_paused_and_all_of_it_afterwards(stack: Shared) -> None:
    """A pause that does not stop the remediators, or loses the events meanwhile, is worse than none."""
    operator = variables(stack.user("operator"), stack.sandbox.endpoint)
    kms: Any = stack.sandbox.client("kms", stack.user("carol"))

    paused = evenkeel("pause", "--stack", "evenkeel", env=operator)
    assert paused.exit_code == 0
    assert "evenkeel is paused" in paused.stdout
    assert "14 days" in paused.stdout

    key = kms.create_key()["KeyMetadata"]["KeyId"]

    def waiting() -> dict[str, int]:
        report = json.loads(evenkeel("pause", "--stack", "evenkeel", "-o", "json", env=operator).stdout)
        assert report["ok"]
        return {each["function"]: each["waiting"] for each in report["sources"]}

    assert becomes_true(lambda: waiting()["evenkeel-kms"] == 1)
    assert not kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]

    resumed = evenkeel("resume", "--stack", "evenkeel", "--yes", env=operator)
    assert resumed.exit_code == 0
    assert "evenkeel is running again" in resumed.stdout
    assert becomes_true(lambda: bool(kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"]))


def test_the_notifier_is_not_paused(stack: Shared) -> None:
    """What was changed just before a pause would be announced after it only, or never."""
    operator = variables(stack.user("operator"), stack.sandbox.endpoint)
    report = json.loads(evenkeel("pause", "--stack", "evenkeel", "-o", "json", env=operator).stdout)
    evenkeel("resume", "--stack", "evenkeel", "-o", "json", env=operator)
    assert {each["state"] for each in report["sources"]} == {"Disabled"}
    assert stack.stack.outputs["NotifierSourceId"] not in {each["uuid"] for each in report["sources"]}


def test_who_may_not_look_at_the_stack_is_told_which_permission_is_missing(stack: Shared) -> None:
    """Somebody without the permission would see a traceback, or believe that the stack is paused."""
    nothing = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    stranger = variables(stack.sandbox.create_user("no-reader", nothing), stack.sandbox.endpoint)
    result = evenkeel("pause", "--stack", "evenkeel", env=stranger)
    assert result.exit_code == 1
    assert "access denied by AWS at DescribeStacks" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_remediator_that_stays_on_is_named_and_the_others_are_off(stack: Shared) -> None:
    """In an emergency one refusal would keep everything running, or be called a success."""
    operator = variables(stack.user("operator"), stack.sandbox.endpoint)
    fault = stack.sandbox.faults.add(
        "lambda", "UpdateEventSourceMapping", code="AccessDeniedException", message="not you", times=1
    )
    result = evenkeel("pause", "--stack", "evenkeel", env=operator)
    stack.sandbox.faults.clear(fault)
    assert result.exit_code == 1
    told = f"1 of {len(groups())} remediators of evenkeel not paused: evenkeel-{min(groups())}"
    assert f"{told} (AccessDeniedException: not you)" in result.stderr
    assert "aws lambda update-event-source-mapping --no-enabled --uuid" in result.stderr
    assert result.stdout.count("Disabled") == len(groups()) - 1
    assert evenkeel("resume", "--stack", "evenkeel", "--yes", env=operator).exit_code == 0


def test_a_misspelt_stack_is_answered_with_the_right_one(stack: Shared) -> None:
    """A typing error in an emergency would cost the time to look the name up."""
    operator = variables(stack.user("operator"), stack.sandbox.endpoint)
    result = evenkeel("pause", "--stack", "evenkell", env=operator)
    assert result.exit_code == 2
    assert "there is no stack evenkell in eu-west-1" in result.stderr
    assert "stacks here: evenkeel." in result.stderr


def test_the_sandbox_command_serves_people_until_they_stop_it() -> None:
    """Scripts read one line of JSON, use what it says, and stop it with Ctrl-C: none of that may fail."""
    command = [sys.executable, "-c", "from evenkeel_cli.main import app; app()", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = json.loads(process.stdout.readline())
            maker: Any = boto3.Session(
                line["access_key_id"], line["secret_access_key"], region_name=line["region"]
            ).client
            who = maker("sts", endpoint_url=line["endpoint"]).get_caller_identity()
            logs = maker("logs", endpoint_url=line["endpoint"])
            logs.create_log_group(logGroupName="/by/hand")

            def repaired() -> bool:
                group = logs.describe_log_groups(logGroupNamePrefix="/by/hand")["logGroups"][0]
                return group.get("kmsKeyId") == line["outputs"]["LogKeyArn"] and group.get("retentionInDays") == 365

            assert becomes_true(repaired)
        finally:
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert rest == ""
    assert line["account"] == who["Account"]
    assert "UndoFunctionName" in line["outputs"]
    assert ":user/" in who["Arn"]
