"""The settings in AppConfig: what is deployed, what is being deployed, and how to deploy another."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.errors import code
from evenkeel_cli.cloud import reaching
from evenkeel_cli.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenkeel_cli.stacks import Stack

UNDER_WAY = frozenset({"VALIDATING", "DEPLOYING", "BAKING"})
POLL_SECONDS = 2.0
_TAKEN_BACK = ("ROLLBACK_STARTED", "REVERT_COMPLETED")  # AppConfig API reference, DeploymentEvent: they say by whom
AT_ONCE = "SettingsFirstStrategy"
"""The strategy's name in the template; it is no output."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A version of the settings that was, or is being, deployed."""

    version: str
    """AppConfig's number of the hosted version."""
    number: int
    """AppConfig's number of the deployment."""
    state: str
    percent: float
    content: str


class Live:
    """The settings of one stack in AppConfig."""

    def __init__(self, stack: Stack) -> None:
        """Keep the ids that the stack gives."""
        self._stack = stack
        self._client = stack.cloud("appconfig")
        self._profile = {
            "ApplicationId": stack.output("SettingsApplicationId"),
            "ConfigurationProfileId": stack.output("SettingsProfileId"),
        }
        self._place = {
            "ApplicationId": stack.output("SettingsApplicationId"),
            "EnvironmentId": stack.output("SettingsEnvironmentId"),
        }

    def look(self) -> tuple[Deployed, Deployed | None]:
        """Return what is in force, and what is being deployed now, if anything.

        Raises:
            CommandError: nothing was ever deployed, or AWS refused.
        """
        live: Deployed | None = None
        coming: Deployed | None = None
        with reaching(f"read the settings of stack {self._stack.name}"):
            pages = self._client.get_paginator("list_deployments").paginate(**self._place)
            found = [each for page in pages for each in page["Items"]]
            for each in sorted(found, key=lambda item: -int(item["DeploymentNumber"])):
                if each["State"] == "COMPLETE":
                    live = self._deployed(each)
                    break
                if each["State"] in UNDER_WAY and coming is None:
                    coming = self._deployed(each)
        if live is None:
            raise CommandError(f"stack {self._stack.name} has no settings deployed", "Deploy the stack again.")
        return live, coming

    def _deployed(self, item: Mapping[str, Any]) -> Deployed:
        version = str(item["ConfigurationVersion"])
        answer = self._client.get_hosted_configuration_version(**self._profile, VersionNumber=int(version))
        content = answer["Content"].read().decode()
        return Deployed(version, int(item["DeploymentNumber"]), item["State"], item["PercentageComplete"], content)

    def start(self, content: str, *, at_once: bool) -> int:
        """Make a version of the settings and begin to deploy it; return the deployment's number.

        Raises:
            CommandError: the stack's validator refused it, another deployment is under way, or AWS refused.
        """
        with reaching(f"push settings to stack {self._stack.name}"):
            strategy = self._at_once() if at_once else self._stack.output("SettingsStrategyId")
            made = self._client.create_hosted_configuration_version(
                **self._profile, Content=content.encode(), ContentType="application/json"
            )
            try:
                started = self._client.start_deployment(
                    **self._profile,
                    EnvironmentId=self._place["EnvironmentId"],
                    DeploymentStrategyId=strategy,
                    ConfigurationVersion=str(made["VersionNumber"]),
                )
            except ClientError as error:
                if code(error) == "ConflictException":
                    raise busy(self._stack, str(error.response["Error"].get("Message", ""))) from error
                if code(error) != "BadRequestException":
                    raise
                raise self._invalid(error) from error
        return int(started["DeploymentNumber"])

    def _at_once(self) -> str:
        client = self._stack.cloud("cloudformation")
        try:
            found = client.describe_stack_resource(StackName=self._stack.name, LogicalResourceId=AT_ONCE)
        except ClientError as error:
            if code(error) != "ValidationError":
                raise
            raise CommandError(
                f"stack {self._stack.name} has no strategy that deploys at once", "Push without --at-once.", Exit.USAGE
            ) from error
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def _invalid(self, error: ClientError) -> CommandError:
        details: Any = error.response.get("Details") or {}
        reasons = [str(each.get("Reason", "")) for each in details.get("InvalidConfiguration", [])]
        said = "; ".join(filter(None, reasons)) or str(error.response["Error"].get("Message", ""))
        return CommandError(
            f"the validator of stack {self._stack.name} refuses the settings: {said}",
            "Fix the file; if it is valid here, the stack is older than this command: deploy it again.",
            Exit.USAGE,
        )

    def follow(self, number: int, tick: Callable[[str, float], None]) -> str:
        """Wait until a deployment has ended; ``tick`` hears state and percentage. Return the last state."""
        while True:
            with reaching(f"follow deployment {number} of stack {self._stack.name}"):
                seen = self._client.get_deployment(**self._place, DeploymentNumber=number)
            tick(seen["State"], float(seen.get("PercentageComplete", 0)))
            if seen["State"] not in {*UNDER_WAY, "ROLLING_BACK"}:
                return str(seen["State"])
            time.sleep(POLL_SECONDS)

    def why(self, number: int) -> str:
        """Return what AppConfig noted about a deployment that did not come to its end."""
        with reaching(f"look at deployment {number} of stack {self._stack.name}"):
            seen = self._client.get_deployment(**self._place, DeploymentNumber=number)
        log = seen.get("EventLog", [])
        told = [str(each.get("Description", "")) for each in log if each.get("EventType") in _TAKEN_BACK]
        return next(filter(None, told), "AppConfig gives no reason")


def busy(stack: Stack, detail: str) -> CommandError:
    """Return the error for a push while another one is under way."""
    return CommandError(
        f"stack {stack.name}: another deployment of settings is under way ({detail})",
        f"Wait for it, or stop it in AppConfig. How far it is: {stack.line('settings', 'show')}",
    )


def parsed(content: str) -> Any:
    """Return a deployed document as data; as text where it is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return content
