"""A mode that can have no effect is refused when pushed, and stops nothing where it is in force already."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError
from evenkeel.lambda_handler import remediator
from evenkeel.model import Mode
from evenkeel.settings import parser
from evenkeel_cli.settings import comparison
from settings_validator.handler import handler
from tests import factories
from tests.world import Context, cloudtrail, metrics, sqs_event

if TYPE_CHECKING:
    from tests.world import World

ANNOUNCING = sorted(control.id for control in all_controls().values() if control.only_announces)
RUNTIME = "lambda-deprecated-runtime"
TOLD = f"can have no effect: {RUNTIME} only announces"


def _document(given: dict[str, Any], control: str = RUNTIME) -> str:
    return json.dumps({"schema_version": 1, "settle_seconds": 0, "controls": {control: given}})


def _push(document: str) -> None:
    handler({"content": base64.b64encode(document.encode()).decode()}, Context())


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("control", ANNOUNCING)
@pytest.mark.parametrize("mode", ["enforce", "approve"])
def test_it_is_refused_when_pushed(control: str, mode: str) -> None:
    """If this fails, somebody believes that a control changes what it can only announce."""
    told = f"controls.{control}.mode: '{mode}' can have no effect: {control} only announces; write one of off, notify"
    with pytest.raises(SettingsError) as caught:
        _push(_document({"mode": mode}, control))
    assert str(caught.value) == told
    rule = {"regions": ["eu-west-1"], "mode": mode}
    with pytest.raises(SettingsError, match=rf"controls\.{control}\.overrides\[0\]\.mode: '{mode}' can have no effect"):
        _push(_document({"overrides": [rule]}, control))


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("mode", ["notify", "off"])
def test_modes_with_an_effect_are_taken(mode: str) -> None:
    """If this fails, a control that only announces cannot be switched off."""
    _push(_document({"mode": mode}))


def test_in_force_it_counts_as_notify(variables: pytest.MonkeyPatch) -> None:
    """If this fails, an update of the stack makes settings that worked yesterday stop all repair."""
    del variables
    control = all_controls()[RUNTIME]
    loaded = parser.parse(_document({"mode": "enforce"}))
    assert loaded.of(control).mode is Mode.NOTIFY
    assert [(str(each.place), each.message) for each in loaded.without_effect([control])] == [
        (f"controls.{RUNTIME}.mode", f"'enforce' {TOLD}")
    ]
    assert comparison.loaded(_document({"mode": "enforce"}), "recommended") is not None


def test_a_running_function_goes_on_and_says_so_once(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, a running stack stops or AppConfig takes old settings back; or nobody can see why notify holds."""
    world.settings(_document({"mode": "enforce"}))
    arn = factories.function()
    event = cloudtrail("lambda.amazonaws.com", "CreateFunction20150331", responseElements={"functionArn": arn})
    served = remediator("awslambda")
    for _ in range(2):
        assert served(sqs_event(event), Context()) == {"batchItemFailures": []}
    assert "SettingsRefused" not in metrics(capsys.readouterr().out)
    assert caplog.text.count("a mode counts as notify") == 1
