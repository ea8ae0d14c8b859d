"""What a group's function counts when it cannot use its settings: AppConfig takes a push back by these counts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.lambda_handler import remediator
from tests.world import Context, client, cloudtrail, metrics, sqs_event

if TYPE_CHECKING:
    from tests.world import World

DESTROY = {"schema_version": 1, "controls": {"kms-key-rotation": {"mode": "destroy"}}}


@pytest.fixture
def event(world: World) -> dict[str, Any]:
    """Return the batch of two creations of keys."""
    arns = [client("kms").create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    return sqs_event(
        *(cloudtrail("kms.amazonaws.com", "CreateKey", responseElements={"keyMetadata": {"arn": arn}}) for arn in arns)
    )


@pytest.mark.parametrize("document", ["{}", json.dumps(DESTROY)])
def test_a_refused_document_counts_once(
    world: World, event: dict[str, Any], document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, AppConfig keeps a bad push, or takes back the good one after it for the alarm still rings."""
    kms = remediator("kms")
    world.settings(document)
    kms(event, Context())
    assert metrics(capsys.readouterr().out) == {"SettingsRefused": 1}
    kms(event, Context())
    assert metrics(capsys.readouterr().out) == {}


def test_the_count_is_the_stacks_and_not_the_functions(
    world: World, event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, the one alarm that AppConfig watches sees no count, whatever group refuses."""
    world.settings("{}")
    remediator("kms")(event, Context())
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "SettingsRefused" in line]
    [counted] = [line for line in found if "_aws" in line]
    assert (counted["service"], counted["SettingsRefused"]) == ("settings", [1.0])
    assert set(counted["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]) == {"service", "stack"}


def test_settings_out_of_reach_do_not_count_as_refused(
    world: World, event: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, an outage of AppConfig takes back good settings, or nobody hears that all repair stops."""
    world.wire.fail("appconfigdata", "StartConfigurationSession", "InternalServerException", status=500, times=9)
    remediator("kms")(event, Context())
    assert metrics(capsys.readouterr().out) == {"SettingsUnread": 2}


def test_a_person_finds_them_out_too(world: World, event: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, settings that only a person's own run meets are not counted."""
    world.settings("{}")
    answer = remediator("kms")({"control": "kms-key-rotation", "resources": "all"}, Context())
    assert answer["error"].startswith("InvalidSettingsError: ")
    assert metrics(capsys.readouterr().out)["SettingsRefused"] == 1
