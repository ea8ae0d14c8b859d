"""The settings in AppConfig: the deployed version, a deployment in progress, and new deployments."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.errors import code
from evenkeel.settings.loaded_mark import KEY
from evenkeel.settings.parser import EMPTY_DOCUMENT
from evenkeel_cli.aws.session import reaching
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evenkeel_cli.aws.stacks import Stack

UNDER_WAY = frozenset({"VALIDATING", "DEPLOYING", "BAKING"})
POLL_SECONDS = 2.0
_ROLLED_BACK = ("ROLLBACK_STARTED", "REVERT_COMPLETED")  # AppConfig API reference, DeploymentEvent
NOTHING_PUSHED, MISSING = "NOTHING_PUSHED", "MISSING"
"""States without a deployment in force: the empty document holds; or none does, and nothing is changed."""


@dataclass(frozen=True, slots=True)
class Deployed:
    """A version of the settings that was, or is being, deployed; or the empty document if none is in force."""

    version: str
    """AppConfig's number of the hosted version; empty for the empty document."""
    number: int
    """AppConfig's number of the deployment; 0 for the empty document."""
    state: str
    """AppConfig's state of the deployment, :data:`NOTHING_PUSHED` or :data:`MISSING`."""
    percent: float
    content: str

    @property
    def missing(self) -> bool:
        """Return whether no settings are in force, so that the functions change nothing."""
        return self.state == MISSING

    @property
    def name(self) -> str:
        """Return its name for messages and diffs."""
        unpushed = {NOTHING_PUSHED: "the empty document", MISSING: "no settings"}
        return unpushed.get(self.state) or f"live version {self.version}"


class Live:
    """The settings of one stack in AppConfig."""

    def __init__(self, stack: Stack) -> None:
        """Keep the AppConfig ids in the stack's outputs."""
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
        """Return the version in force, and the one being deployed now, if any.

        If no deployment is in force, the functions' own mark says whether there ever was one.

        Raises:
            CommandError: AWS refused.
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
        return live or self._unpushed(), coming

    def _unpushed(self) -> Deployed:
        """Return the empty document, which is in force if the functions never loaded another one."""
        table = self._stack.output("StateTableName")
        with reaching(f"look up whether stack {self._stack.name} ever had settings"):
            answer = self._stack.cloud("dynamodb").get_item(
                TableName=table, Key={"pk": {"S": KEY}}, ConsistentRead=True
            )
        return Deployed("", 0, MISSING if "Item" in answer else NOTHING_PUSHED, 0.0, EMPTY_DOCUMENT)

    def _deployed(self, item: Mapping[str, Any]) -> Deployed:
        version = str(item["ConfigurationVersion"])
        answer = self._client.get_hosted_configuration_version(**self._profile, VersionNumber=int(version))
        content = answer["Content"].read().decode()
        return Deployed(version, int(item["DeploymentNumber"]), item["State"], item["PercentageComplete"], content)

    def start(self, content: str, *, at_once: bool) -> int:
        """Create a version of the settings and start its deployment; return the deployment's number.

        Raises:
            CommandError: the stack's validator rejected it, another deployment is in progress, or AWS refused.
        """
        with reaching(f"push settings to stack {self._stack.name}"):
            strategy = self._stack.output("SettingsAtOnceStrategyId" if at_once else "SettingsStrategyId")
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

    def _invalid(self, error: ClientError) -> CommandError:
        details: Any = error.response.get("Details") or {}
        reasons = [str(each.get("Reason", "")) for each in details.get("InvalidConfiguration", [])]
        said = "; ".join(filter(None, reasons)) or str(error.response["Error"].get("Message", ""))
        return CommandError(
            f"the validator of stack {self._stack.name} rejects the settings: {said}",
            "Fix the file; if it is valid here, the stack is older than this command: deploy it again.",
            Exit.USAGE,
        )

    def follow(self, number: int, tick: Callable[[str, float], None]) -> str:
        """Wait until a deployment has ended and return its state; ``tick`` is called with state and percentage."""
        while True:
            with reaching(f"follow deployment {number} of stack {self._stack.name}"):
                seen = self._client.get_deployment(**self._place, DeploymentNumber=number)
            tick(seen["State"], float(seen.get("PercentageComplete", 0)))
            if seen["State"] not in {*UNDER_WAY, "ROLLING_BACK"}:
                return str(seen["State"])
            time.sleep(POLL_SECONDS)

    def why(self, number: int) -> str:
        """Return AppConfig's reason why a deployment was not completed."""
        with reaching(f"read deployment {number} of stack {self._stack.name}"):
            seen = self._client.get_deployment(**self._place, DeploymentNumber=number)
        log = seen.get("EventLog", [])
        descriptions = [str(each.get("Description", "")) for each in log if each.get("EventType") in _ROLLED_BACK]
        return next(filter(None, descriptions), "AppConfig gives no reason")


def missing(stack: Stack, coming: Deployed | None) -> CommandError:
    """Return the error for a stack whose functions had settings and find none now."""
    under_way = f" (version {coming.version} is {coming.state}, {coming.percent:.0f} %)" if coming else ""
    return CommandError(
        f"stack {stack.name} had settings and has none in force now: nothing is changed, and messages wait{under_way}",
        f"Push them again: {stack.line('settings', 'push', 'settings.yaml')}",
    )


def busy(stack: Stack, detail: str) -> CommandError:
    """Return the error for a push while another one is in progress."""
    return CommandError(
        f"stack {stack.name}: another deployment of settings is in progress ({detail})",
        f"Wait for it, or stop it in AppConfig. To see its progress: {stack.line('settings', 'show')}",
    )


def parsed(content: str) -> Any:
    """Return a deployed document as data; as text if it is not JSON."""
    try:
        return json.loads(content)
    except ValueError:
        return content
