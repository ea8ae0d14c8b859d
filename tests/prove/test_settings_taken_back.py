"""Settings that the validator accepts and a function refuses are taken back by AppConfig, on the stack's alarm."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.client import Sandbox
from sandbox.deploy.deployment import deploy
from tests.sandbox.cli_stack import eventually

if TYPE_CHECKING:
    from sandbox.deploy.deployment import Stack

MINUTE_SECONDS = 3.0
"""Of AppConfig: the stack's strategy takes half a minute to reach everyone, and watches for as long."""
CONTROL = "logs-group-encryption"


def _settings(**parameters: str) -> dict[str, Any]:
    """Return settings in which only one control acts."""
    others = {name: {"mode": "off"} for name in ("logs-group-retention", "tagging-required-tags")}
    return {"schema_version": 1, "settle_seconds": 0, "controls": {**others, CONTROL: {"parameters": parameters}}}


def _operator(sandbox: Sandbox, stack: Stack) -> dict[str, str]:
    credentials: Any = sandbox.create_user("operator").get_credentials()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL": sandbox.endpoint,
        "AWS_REGION": sandbox.region,
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        "EVENKEEL_STACK": stack.name,
    }


def _forget_the_key(sandbox: Sandbox, stack: Stack) -> None:
    """Take from the logs function what the stack gave it, as somebody with the console might."""
    lambdas, name = sandbox.client("lambda"), stack.resources["LogsFunction"]
    variables = lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    del variables["EVENKEEL_LOG_KEY_ARN"]
    lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


def test_settings_refused_at_run_time_are_taken_back_and_work_goes_on(tmp_path: Path) -> None:
    """If this fails, a push that stops all repair stays, since its validator saw nothing wrong in it."""
    with Sandbox(table_seconds=0.0, minute_seconds=MINUTE_SECONDS, quiet_stacks=True) as sandbox:
        stack = deploy(sandbox)
        operator = _operator(sandbox, stack)
        _forget_the_key(sandbox, stack)

        def run(*arguments: str) -> subprocess.Popen[str]:
            command = [str(Path(sys.executable).with_name("evenkeel")), *arguments, "--output", "json"]
            return subprocess.Popen(command, env=operator, stdout=-1, stderr=-1, text=True)

        def push(name: str, document: dict[str, Any], *options: str) -> subprocess.Popen[str]:
            (tmp_path / name).write_text(json.dumps(document), encoding="utf-8")
            return run("settings", "push", str(tmp_path / name), "--yes", *options)

        good, bad = _settings(key_arn=stack.outputs["LogKeyArn"]), _settings()
        first = push("good.yaml", good, "--at-once")
        assert first.communicate()[1] == ""
        second = push("bad.yaml", bad)  # the validator has the key, so it is valid there
        place = {"ApplicationId": stack.outputs["SettingsApplicationId"],
                 "EnvironmentId": stack.outputs["SettingsEnvironmentId"]}  # fmt: skip
        appconfig = sandbox.client("appconfig")

        def latest() -> str:
            items = appconfig.list_deployments(**place)["Items"]
            return str(max(items, key=lambda each: each["DeploymentNumber"])["State"])

        eventually(lambda: latest() == "BAKING", "the bad settings to reach everyone")
        sandbox.client("logs", sandbox.admin()).create_log_group(logGroupName="/waits")
        out, err = second.communicate(timeout=120)
        assert (second.returncode, out) == (1, "")
        assert "ended as ROLLED_BACK" in json.loads(err)["error"]["message"]
        assert stack.resources["SettingsRefusedAlarm"] in json.loads(err)["error"]["message"]
        shown = json.loads(run("settings", "show").communicate()[0])
        assert shown["settings"] == good

        def encrypted() -> bool:
            (group,) = sandbox.client("logs").describe_log_groups(logGroupNamePrefix="/waits")["logGroups"]
            return group.get("kmsKeyId") == stack.outputs["LogKeyArn"]

        eventually(encrypted, "the repair of what came while the bad settings were in force")
