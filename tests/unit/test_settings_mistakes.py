"""All mistakes of a settings document are told at once, within one rule, too, and nothing of it comes into force."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError
from evenkeel.settings import parser
from tests.world import LOG_KEY

CONTROLS = all_controls()
ENV = {"EVENKEEL_LOG_KEY_ARN": LOG_KEY}
KMS, TABLES = "kms-key-rotation", "dynamodb-point-in-time-recovery"
EXEMPTION: dict[str, Any] = {
    "controls": [KMS], "resources": ["*"], "reason": "r", "approver": "a", "expires": "2026-11-19",
}  # fmt: skip


def _places(document: dict[str, Any], today: date | None = None) -> list[str]:
    """Return the places of all mistakes that a check finds, in its order."""
    with pytest.raises(SettingsError) as refused:
        parser.check(json.dumps(document), CONTROLS.values(), variables=ENV, today=today)
    return [problem.partition(":")[0] for problem in refused.value.problems]


@pytest.mark.parametrize(
    ("exemption", "places"),
    [
        ({}, [".reason", ".approver", ".expires", ".controls", ""]),
        ({**EXEMPTION, "controls": ["kms", "s3"], "approver": ""}, [".approver", ".controls", ".controls"]),
        (
            {**EXEMPTION, "resources": ["my-key", "arn:aws:s3:::b"], "expires": "soon"},
            [".expires", ".resources", ".resources", ".resources"],
        ),
        (
            {**EXEMPTION, "accounts": ["1", "2"], "tags": {"env": [], "team": 5}},
            [".tags.env", ".tags.team", ".accounts", ".accounts"],
        ),
        ({"controls": [KMS], "reason": "r", "region": ["a"], "until": "2026"}, ["", "", ".approver", ".expires"]),
    ],
)
def test_all_mistakes_of_an_exemption_are_told_at_once(exemption: dict[str, Any], places: list[str]) -> None:
    """If this fails, somebody who asks for an exemption pushes once for each of its mistakes."""
    found = _places({"schema_version": 1, "exemptions": [exemption]})
    assert found == [f"exemptions[0]{place}" for place in places]


@pytest.mark.parametrize(
    ("override", "places"),
    [
        ({}, ["", ""]),
        ({"regions": "a", "accounts": [5], "mode": "kill"}, [".accounts", ".regions", ".mode"]),
        (
            {"regions": ["a"], "mode": "kill", "blast_radius": {"limit": 0}, "parameters": {"x": 1, "y": 2}},
            [".mode", ".blast_radius", ".parameters", ".parameters"],
        ),
        ({"tags": {"env": []}, "parameters": {"period_days": 1}}, [".tags.env", ".parameters.period_days"]),
        ({"region": ["a"], "modes": "off"}, ["", ""]),
    ],
)
def test_all_mistakes_of_an_override_are_told_at_once(override: dict[str, Any], places: list[str]) -> None:
    """If this fails, whoever mends an override learns of its next mistake only after the first is mended."""
    found = _places({"schema_version": 1, "controls": {KMS: {"overrides": [override]}}})
    assert found == [f"controls.{KMS}.overrides[0]{place}" for place in places]


def test_all_mistakes_of_a_freeze_are_told_at_once() -> None:
    """If this fails, a freeze before the holidays takes four pushes."""
    freeze = {"hours": 0, "timezone": "Mars", "cron": "daily", "controls": ["kms", "cloudtrail-logging"], "days": 1}
    places = ["", ".hours", ".timezone", ".cron", ".controls", ".controls"]
    assert _places({"schema_version": 1, "freezes": [freeze]}) == [f"freezes[0]{place}" for place in places]


def test_all_mistakes_of_all_parts_are_told_at_once() -> None:
    """If this fails, a mistake in one part hides those in every other."""
    document = {
        "settle_seconds": "1", "settle": 1,
        "controls": {KMS: [], "x": {}, TABLES: {"mode": "y", "overrides": [{"regions": ["a"]}, 5], "modes": "off"}},
        "exemptions": [EXEMPTION, 1, {**EXEMPTION, "controls": ["x"]}],
        "freezes": "soon",
    }  # fmt: skip
    assert _places(document, today=date(2026, 11, 20)) == [
        "settings.schema_version", "settings", "settings.settle_seconds", "exemptions[1]", "freezes",
        f"controls.{KMS}", f"controls.{TABLES}.overrides[0]", f"controls.{TABLES}.overrides[1]",
        "controls.x", "exemptions[2].controls", f"controls.{TABLES}", f"controls.{TABLES}.mode",
        "exemptions[0].expires", "exemptions[2].expires",
    ]  # fmt: skip


def test_what_functions_read_is_told_at_once_too() -> None:
    """If this fails, the log of a function that refuses a document names one of its mistakes, and hides the others."""
    wrong = {"schema_version": 1, "controls": {KMS: {"overrides": [{"mode": "off"}, {"x": 1}]}}, "freezes": [{}]}
    with pytest.raises(SettingsError) as refused:
        parser.parse(json.dumps(wrong))
    assert len(refused.value.problems) == 4
    parsed = parser.parse(json.dumps({"schema_version": 1, "controls": {KMS: {"mode": "x", "parameters": []}}}))
    with pytest.raises(SettingsError) as unusable:
        parsed.of(CONTROLS[KMS], variables=ENV)
    assert [problem.partition(":")[0] for problem in unusable.value.problems] == [
        f"controls.{KMS}.mode",
        f"controls.{KMS}.parameters",
    ]


def test_another_versions_document_is_told_by_its_version_alone() -> None:
    """If this fails, somebody whose stack is too old is sent to mend what is right."""
    assert _places({"schema_version": 2, "waves": [], "exemptions": [{}]}) == ["settings.schema_version"]


def test_an_override_with_a_mistake_contradicts_nobody() -> None:
    """If this fails, a slip in one rule is told as a contradiction with another, which is right."""
    one, two = {"regions": ["a"], "mode": "off"}, {"regions": [5], "mode": "notify"}
    found = _places({"schema_version": 1, "controls": {KMS: {"overrides": [one, two, {**one, "mode": "notify"}]}}})
    assert found == [f"controls.{KMS}.overrides[1].regions", f"controls.{KMS}.overrides[2]"]


@pytest.mark.parametrize(("day", "refused"), [(18, False), (19, False), (20, True)])
def test_an_exemption_is_a_mistake_when_its_last_day_has_passed(day: int, refused: bool) -> None:
    """If this fails, people push an exemption that never held, or the validator refuses one that holds today."""
    document = {"schema_version": 1, "exemptions": [EXEMPTION]}
    if refused:
        assert _places(document, date(2026, 11, day)) == ["exemptions[0].expires"]
        return
    assert parser.check(json.dumps(document), CONTROLS.values(), variables=ENV, today=date(2026, 11, day))


def test_time_alone_makes_no_document_wrong() -> None:
    """If this fails, all repair stops on the day after the last day of some exemption."""
    assert parser.check(json.dumps({"schema_version": 1, "exemptions": [EXEMPTION]}), CONTROLS.values(), variables=ENV)


def test_a_refusal_of_a_thousand_mistakes_stays_short_and_counts_them() -> None:
    """If this fails, a refusal does not fit into a message, or a log, and is lost with its reason."""
    wrong = {"schema_version": 1, "controls": {f"control-{number}": [] for number in range(1000)}}
    with pytest.raises(SettingsError) as refused:
        parser.parse(json.dumps(wrong))
    assert len(refused.value.problems) == 1000
    assert len(str(refused.value)) < SettingsError.LONGEST + 100
    assert str(refused.value).endswith("… and more (1000 in all): evenkeel settings validate FILE names each")
