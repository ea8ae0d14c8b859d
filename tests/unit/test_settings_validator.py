"""The validator of settings: it says yes to what the functions obey and no, with a reason, to all else."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError
from settings_validator.handler import handler
from tests.world import Context

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD: list[dict[str, Any]] = [
    {},
    {"settle_seconds": 0},
    {"controls": {name: {"mode": "notify"} for name in all_controls()}},
    {"controls": {"kms-key-rotation": {"blast_radius": {"limit": 1, "window_seconds": 60}}}},
]


def _event(document: bytes) -> dict[str, Any]:
    return {
        "applicationId": "abc1234",
        "configurationProfileId": "def5678",
        "configurationVersion": "2",
        "content": base64.b64encode(document).decode(),
        "uri": "hosted",
    }


def _json(**members: Any) -> bytes:
    return json.dumps({"schema_version": 1, **members}).encode()


@pytest.fixture
def ask(variables: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    """Ask as AppConfig does."""
    return lambda document: handler(_event(document), Context())


@pytest.mark.parametrize("members", GOOD)
def test_valid_settings_are_accepted(ask: Callable[[bytes], None], members: dict[str, Any]) -> None:
    """If this fails, nobody can push settings that the functions would obey."""
    assert ask(_json(**members)) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (b"", "settings: not JSON"),
        (b"no JSON", "settings: not JSON"),
        (b"\xff", "settings: not JSON: 'utf-8' codec"),
        (b"[]", "settings: is a list; write keys and values"),
        (b'{"schema_version": 2}', "schema_version: 2 is not accepted; write 1"),
        (_json(settle=1), "settle: unknown key; did you mean settle_seconds?"),
        (_json(controls={"kms-key-rotaton": {}}), "controls.kms-key-rotaton: unknown key; did you mean kms-key"),
        (
            _json(controls={"kms-key-rotation": {"mode": "destroy"}}),
            "controls.kms-key-rotation.mode: 'destroy' is unknown; write one of off, notify, approve, enforce",
        ),
        (
            _json(controls={"logs-group-retention": {"parameters": {"days": 2}}}),
            "controls.logs-group-retention.parameters.days: 2 is not accepted; write one of 1, 3",
        ),
        (_json(controls={"logs-group-retention": []}), "controls.logs-group-retention: is a list; write"),
    ],
)
def test_everything_else_is_refused_with_where_and_what(
    ask: Callable[[bytes], None], document: bytes, told: str
) -> None:
    """If this fails, settings that stop all repair are deployed, or whoever pushed them must guess what is wrong."""
    with pytest.raises(SettingsError) as refused:
        ask(document)
    assert str(refused.value).startswith(told)


def test_all_that_is_wrong_is_said_at_once(ask: Callable[[bytes], None]) -> None:
    """If this fails, people push once for each mistake."""
    wrong = {"kms-key-rotation": {"mode": "x"}, "logs-group-retention": {"modes": "off"}, "nothing": {}}
    with pytest.raises(SettingsError) as refused:
        ask(_json(controls=wrong))
    assert all(f"controls.{name}" in str(refused.value) for name in wrong)


def test_a_refusal_is_logged(ask: Callable[[bytes], None], caplog: pytest.LogCaptureFixture) -> None:
    """If this fails, the validator's alarm rings and its log group does not say why."""
    with pytest.raises(SettingsError):
        ask(b"[]")
    told = vars(caplog.records[-1])
    assert (told["msg"], told["configuration_version"]) == ("refused", "2")
    assert "write keys and values" in told["reason"]
