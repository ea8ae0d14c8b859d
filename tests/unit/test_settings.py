"""The settings document: what is taken, and what each refusal says."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from evenkeel.control import Radius
from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError
from evenkeel.model import Mode
from evenkeel.settings import parser

KMS = all_controls()["kms-key-rotation"]


def _parsed(start_mode: str = "recommended", **document: Any) -> parser.Settings:
    return parser.parse(json.dumps({"schema_version": 1, **document}), start_mode)


def test_empty_document_means_the_defaults() -> None:
    """If this fails, a fresh stack does not do what its controls recommend."""
    parsed = parser.parse('{"schema_version": 1}')
    assert (parsed.settle_seconds, parsed.controls, parsed.start_mode) == (60, {}, "recommended")
    assert parsed.version == hashlib.sha256(b'{"schema_version": 1}').hexdigest()[:12]
    found = parsed.of(KMS)
    assert (found.mode, found.parameters, found.radius) == (Mode.ENFORCE, {"period_days": 365}, Radius(100, 3600))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "settings: not JSON"),
        ("{", "settings: not JSON"),
        ("[" * 100_000, "settings: not JSON"),
        ('{"schema_version": ' + "9" * 5000 + "}", "settings: not JSON"),
        ("[]", "settings: is a list; write keys and values"),
        ("null", "settings: is empty; write keys and values"),
        ("{}", "schema_version: is missing; write 1"),
        ('{"schema_version": 2}', "schema_version: 2 is not accepted; write 1"),
        ('{"schema_version": "1"}', "schema_version: '1' is text; write 1"),
        ('{"schema_version": 1, "z": 1, "contrls": {}}', "contrls: unknown key; did you mean controls?"),
        ('{"schema_version": 1, "controls": []}', "controls: is a list; write keys and values"),
    ],
)
def test_bad_documents_are_refused_with_the_place(document: str, message: str) -> None:
    """If this fails, a broken document is acted on, or its author is not told where it is broken."""
    with pytest.raises(SettingsError) as caught:
        parser.parse(document)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("seconds", [0, 1, 900])
def test_settle_time_is_taken(seconds: int) -> None:
    """If this fails, a team cannot say how long its tools take."""
    assert _parsed(settle_seconds=seconds).settle_seconds == seconds


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (-1, "-1 is not accepted"),
        (901, "901 is not accepted"),
        ("60", "'60' is text"),
        (1.5, "1.5 is a number"),
        (True, "is true"),
        (None, "is empty"),
        ([], "is a list"),
    ],
)
def test_impossible_settle_times_are_refused(seconds: Any, message: str) -> None:
    """If this fails, SQS refuses the delay later, when nobody looks."""
    with pytest.raises(SettingsError) as caught:
        _parsed(settle_seconds=seconds)
    assert str(caught.value) == f"settle_seconds: {message}; write whole seconds from 0 to 900"


@pytest.mark.parametrize(
    ("start", "given", "mode"),
    [
        ("recommended", {}, Mode.ENFORCE),
        ("notify", {}, Mode.NOTIFY),
        ("notify", {"mode": "enforce"}, Mode.ENFORCE),
        ("recommended", {"mode": "off"}, Mode.OFF),
        ("recommended", {"mode": "notify"}, Mode.NOTIFY),
    ],
)
def test_mode(start: str, given: dict[str, Any], mode: Mode) -> None:
    """If this fails, a stack that was started to notify changes things, or a mode is not obeyed."""
    assert _parsed(start, controls={KMS.id: given}).of(KMS).mode is mode


@pytest.mark.parametrize(
    ("given", "radius"),
    [
        ({}, Radius(100, 3600)),
        ({"limit": 5}, Radius(5, 3600)),
        ({"window_seconds": 60}, Radius(100, 60)),
        ({"limit": 1, "window_seconds": 1}, Radius(1, 1)),
    ],
)
def test_blast_radius(given: dict[str, Any], radius: Radius) -> None:
    """If this fails, a team's limit is not the limit."""
    assert _parsed(controls={KMS.id: {"blast_radius": given}}).of(KMS).radius == radius


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limit": 0}, "limit: 0 is not accepted"),
        ({"limit": 1_000_001}, "limit: 1000001 is not accepted"),
        ({"limit": "5"}, "limit: '5' is text"),
        ({"limit": True}, "limit: is true"),
        ({"limit": 1.5}, "limit: 1.5 is a number"),
        ({"window_seconds": -1}, "window_seconds: -1 is not accepted"),
    ],
)
def test_impossible_blast_radius_is_refused(given: dict[str, Any], message: str) -> None:
    """If this fails, a typo lifts the limit."""
    with pytest.raises(SettingsError) as caught:
        _parsed(controls={KMS.id: {"blast_radius": given}}).of(KMS)
    hint = "write a whole number from 1 to 1,000,000"
    assert str(caught.value) == f"controls.kms-key-rotation.blast_radius.{message}; {hint}"


def test_unknown_key_of_a_blast_radius_is_refused() -> None:
    """If this fails, a window in hours is taken for none."""
    with pytest.raises(SettingsError) as caught:
        _parsed(controls={KMS.id: {"blast_radius": {"hours": 1}}}).of(KMS)
    place = "controls.kms-key-rotation.blast_radius.hours"
    assert str(caught.value) == f"{place}: unknown key; known: limit, window_seconds"
