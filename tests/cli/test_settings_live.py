"""Deployments of settings that take time, collide, or are taken back: what the sandbox does not play."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from evenkeel_cli.aws.stacks import Stack
from evenkeel_cli.settings import deployed, views
from evenkeel_cli.settings.deployed import Live
from evenkeel_cli.ui.failure import CommandError, Exit

OUTPUTS = {
    "SettingsApplicationId": "a",
    "SettingsEnvironmentId": "e",
    "SettingsProfileId": "p",
    "SettingsStrategyId": "s",
    "SettingsAtOnceStrategyId": "now",
    "StateTableName": "state",
}


class AppConfig:
    """AppConfig with deployments as given, newest last, and a state table with the mark of ``loaded`` settings.

    ``states`` are what looking at a deployment answers in turn.
    """

    def __init__(
        self, deployments: list[str], states: list[str] | None = None, refuses: str = "", *, loaded: bool = False
    ) -> None:
        """Keep what to answer."""
        self.loaded = loaded
        self.started: list[str] = []
        self.deployments = deployments
        self.states = states or []
        self.refuses = refuses
        self.meta = SimpleNamespace(region_name="eu-west-1")

    def __call__(self, service: str) -> Any:
        """Return itself as the one client."""
        return self

    def get_paginator(self, operation: str) -> Any:
        """Page the deployments, one a page."""
        items = [
            {"DeploymentNumber": number, "ConfigurationVersion": str(number * 10), "State": state,
             "PercentageComplete": 40.0}
            for number, state in enumerate(self.deployments, 1)
        ]  # fmt: skip
        return SimpleNamespace(paginate=lambda **_: [{"Items": [item]} for item in reversed(items)])

    def get_hosted_configuration_version(self, *, VersionNumber: int, **_: str) -> Any:  # noqa: N803 - boto3's names
        """Return a version's document."""
        return {"Content": io.BytesIO(json.dumps({"version": VersionNumber}).encode())}

    def create_hosted_configuration_version(self, **_: Any) -> Any:
        """Make a version."""
        return {"VersionNumber": 70}

    def get_item(self, **_: Any) -> Any:
        """Return the mark, if functions have loaded settings."""
        return {"Item": {"pk": {"S": "settings#loaded"}}} if self.loaded else {}

    def start_deployment(self, *, DeploymentStrategyId: str, **_: Any) -> Any:  # noqa: N803 - as above
        """Start, or refuse as told."""
        self.started.append(DeploymentStrategyId)
        if not self.refuses:
            return {"DeploymentNumber": 7}
        answer: Any = {
            "Error": {"Code": self.refuses, "Message": "no"},
            "Details": {"InvalidConfiguration": [{"Reason": "controls.x: no such control"}]},
        }
        raise ClientError(answer, "StartDeployment")

    def get_deployment(self, **_: Any) -> Any:
        """Answer the next state; the last for ever."""
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        told = {"ROLLBACK_COMPLETED": "Rollback completed", "ROLLBACK_STARTED": "by alarm evenkeel-settings-refused",
                "DEPLOYMENT_STARTED": "Deployment started"}  # fmt: skip
        log = [{"EventType": kind, "Description": words} for kind, words in told.items()]
        return {"State": state, "PercentageComplete": 20.0, "EventLog": log}


def stack(appconfig: AppConfig) -> Stack:
    """Return a stack there."""
    return Stack("evenkeel", cast("Any", appconfig), OUTPUTS, {})


def live(appconfig: AppConfig) -> Live:
    """Return the settings of a stack there."""
    return Live(stack(appconfig))


def test_what_is_in_force_is_the_newest_that_was_completed() -> None:
    """A push that was taken back, or is half way, would be shown as what the functions obey."""
    found, coming = live(AppConfig(["COMPLETE", "COMPLETE", "ROLLED_BACK", "REVERTED", "BAKING"])).look()
    assert (found.version, deployed.parsed(found.content)) == ("20", {"version": 20})
    assert coming
    assert (coming.version, coming.state, coming.percent) == ("50", "BAKING", 40.0)


@pytest.mark.parametrize("deployments", [[], ["ROLLED_BACK"], ["REVERTED", "DEPLOYING"]])
def test_without_settings_the_functions_own_mark_says_what_holds(deployments: list[str]) -> None:
    """A stack whose settings vanished would be shown as one to which nothing was pushed, or the other way round."""
    fresh, _ = live(AppConfig(deployments)).look()
    assert (fresh.state, fresh.missing, json.loads(fresh.content)) == ("NOTHING_PUSHED", False, {"schema_version": 1})
    emptied, coming = live(AppConfig(deployments, loaded=True)).look()
    assert (emptied.state, emptied.missing) == ("MISSING", True)
    assert bool(coming) == ("DEPLOYING" in deployments)


@pytest.mark.parametrize(("at_once", "strategy"), [(True, "now"), (False, "s")])
def test_a_push_uses_the_strategy_that_was_asked_for(strategy: str, *, at_once: bool) -> None:
    """A push in an emergency would take ten minutes, or any other reach all functions unwatched."""
    appconfig = AppConfig([])
    assert live(appconfig).start("{}", at_once=at_once) == 7
    assert appconfig.started == [strategy]


def test_a_deployment_is_followed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A push would be called done while it can still be taken back."""
    monkeypatch.setattr(deployed, "POLL_SECONDS", 0.001)
    seen: list[str] = []
    there = live(AppConfig([], ["DEPLOYING", "BAKING", "ROLLING_BACK", "ROLLED_BACK"]))
    assert there.follow(7, lambda state, _: seen.append(state)) == "ROLLED_BACK"
    assert seen == ["DEPLOYING", "BAKING", "ROLLING_BACK", "ROLLED_BACK"]
    assert there.why(7) == "by alarm evenkeel-settings-refused"


@pytest.mark.parametrize(
    ("deployments", "loaded", "holds"),
    [
        (["COMPLETE", "ROLLED_BACK"], True, "The settings before it are in force again."),
        (["ROLLED_BACK"], True, "No settings are in force, so nothing is changed: push valid ones."),
        (["ROLLED_BACK"], False, "The empty document is in force, as before."),
    ],
)
def test_a_push_that_is_taken_back_says_what_holds_now(deployments: list[str], holds: str, *, loaded: bool) -> None:
    """Who pushes a first document that is taken back would be told that the settings before it hold."""
    there = stack(AppConfig(deployments, ["ROLLED_BACK"], loaded=loaded))
    with pytest.raises(CommandError, match="ended as ROLLED_BACK") as caught:
        views._follow(there, Live(there), 7, as_json=True)
    assert caught.value.next_step.startswith(holds)


@pytest.mark.parametrize(
    ("code", "told", "exit_code"),
    [
        ("ConflictException", "another deployment of settings is in progress", Exit.FAILED),
        ("BadRequestException", "rejects the settings: controls.x: no such control", Exit.USAGE),
        ("InternalServerException", "StartDeployment answered InternalServerException", Exit.FAILED),
    ],
)
def test_a_refused_start_says_why(code: str, told: str, exit_code: Exit) -> None:
    """Whoever pushes would see AppConfig's name for it, and not what to do."""
    with pytest.raises(CommandError, match=told) as refused:
        live(AppConfig([], refuses=code)).start("{}", at_once=False)
    assert refused.value.code is exit_code
    assert refused.value.next_step
