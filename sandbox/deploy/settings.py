"""Settings of a deployed stack, pushed as on AWS (a hosted version, then its deployment), or reverted."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sandbox.client import SandboxError

if TYPE_CHECKING:
    import boto3

    from sandbox.client import Sandbox
    from sandbox.deploy.deployment import Stack

WAIT_SECONDS = 30.0
POLL_SECONDS = 0.1
UNDER_WAY = {"DEPLOYING", "BAKING", "VALIDATING"}


def push(sandbox: Sandbox, stack: Stack, document: dict[str, Any] | str, session: boto3.Session | None = None) -> int:
    """Deploy a document with the stack's strategy, which takes no time here, and return the document's version number.

    Functions read it within a minute.

    Raises:
        ClientError: BadRequestException when the stack's validator refuses it; nothing is deployed then.
        SandboxError: the deployment started and was not completed.
    """
    text = document if isinstance(document, str) else json.dumps(document)
    client, outputs = sandbox.client("appconfig", session), stack.outputs
    profile = {
        "ApplicationId": outputs["SettingsApplicationId"],
        "ConfigurationProfileId": outputs["SettingsProfileId"],
    }
    made = client.create_hosted_configuration_version(**profile, Content=text.encode(), ContentType="application/json")
    started = client.start_deployment(
        **profile,
        EnvironmentId=outputs["SettingsEnvironmentId"],
        DeploymentStrategyId=outputs["SettingsStrategyId"],
        ConfigurationVersion=str(made["VersionNumber"]),
    )
    place = {name: started[name] for name in ("ApplicationId", "EnvironmentId", "DeploymentNumber")}
    deadline = time.monotonic() + WAIT_SECONDS
    while (state := client.get_deployment(**place)["State"]) in UNDER_WAY and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    if state != "COMPLETE":
        message = f"settings version {made['VersionNumber']} was not deployed: {state}"
        raise SandboxError(message)
    return int(made["VersionNumber"])


def revert(sandbox: Sandbox, stack: Stack) -> None:
    """Revert every deployment, as can be done in AppConfig's console, so that no document is deployed."""
    client, outputs = sandbox.client("appconfig"), stack.outputs
    place = {"ApplicationId": outputs["SettingsApplicationId"], "EnvironmentId": outputs["SettingsEnvironmentId"]}
    for each in client.list_deployments(**place)["Items"]:
        if each["State"] == "COMPLETE":
            client.stop_deployment(**place, DeploymentNumber=each["DeploymentNumber"], AllowRevert=True)
