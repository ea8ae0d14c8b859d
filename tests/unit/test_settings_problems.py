"""All problems of a settings document are reported at once, each at its place, and nothing of it comes into force."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from evenkeel.control.registry import all_controls
from evenkeel.settings import parser
from evenkeel.settings.problems import ROOT, InvalidSettingsError, Problem
from tests.world import LOG_KEY

CONTROLS = all_controls()
ENV = {"EVENKEEL_LOG_KEY_ARN": LOG_KEY}
KMS, TABLES = "kms-key-rotation", "dynamodb-point-in-time-recovery"
EXEMPTION: dict[str, Any] = {
    "controls": [KMS], "resources": ["*"], "reason": "r", "approver": "a", "expires": "2026-11-19",
}  # fmt: skip


def _places(document: dict[str, Any], today: date | None = None) -> list[str]:
    """Return the places of all problems that a check finds, sorted."""
    with pytest.raises(InvalidSettingsError) as refused:
        parser.check(json.dumps(document), CONTROLS.values(), variables=ENV, today=today)
    return sorted(str(problem.place) for problem in refused.value.problems)


@pytest.mark.parametrize(
    ("exemption", "places"),
    [
        ({}, [".reason", ".approver", ".expires", ".controls", ""]),
        ({**EXEMPTION, "controls": ["kms", "s3"], "approver": ""}, [".approver", ".controls[0]", ".controls[1]"]),
        (
            {**EXEMPTION, "resources": ["my-key", "arn:aws:s3:::b"], "expires": "soon"},
            [".expires", ".resources[0]", ".resources"],
        ),
        (
            {**EXEMPTION, "accounts": ["1", "2"], "tags": {"env": [], "team": 5}},
            [".tags.env", ".tags.team", ".accounts[0]", ".accounts[1]"],
        ),
        (
            {"controls": [KMS], "reason": "r", "region": ["a"], "until": "2026"},
            [".region", ".until", ".approver", ".expires"],
        ),
    ],
)
def test_all_problems_of_an_exemption_are_reported_at_once(exemption: dict[str, Any], places: list[str]) -> None:
    """If this fails, somebody who asks for an exemption pushes once for each of its problems."""
    found = _places({"schema_version": 1, "exemptions": [exemption]})
    assert found == sorted(f"exemptions[0]{place}" for place in places)


@pytest.mark.parametrize(
    ("override", "places"),
    [
        ({}, ["", ""]),
        ({"regions": "a", "accounts": [5], "mode": "kill"}, [".accounts[0]", ".regions", ".mode"]),
        (
            {"regions": ["a"], "mode": "kill", "blast_radius": {"limit": 0}, "parameters": {"x": 1, "y": 2}},
            [".mode", ".blast_radius.limit", ".parameters.x", ".parameters.y"],
        ),
        ({"tags": {"env": []}, "parameters": {"period_days": 1}}, [".tags.env", ".parameters.period_days"]),
        ({"region": ["a"], "modes": "off"}, [".region", ".modes"]),
    ],
)
def test_all_problems_of_an_override_are_reported_at_once(override: dict[str, Any], places: list[str]) -> None:
    """If this fails, the author of an override learns of its next problem only after fixing the first."""
    found = _places({"schema_version": 1, "controls": {KMS: {"overrides": [override]}}})
    assert found == sorted(f"controls.{KMS}.overrides[0]{place}" for place in places)


def test_all_problems_of_a_freeze_are_reported_at_once() -> None:
    """If this fails, a freeze before the holidays takes four pushes."""
    freeze = {"hours": 0, "timezone": "Mars", "cron": "daily", "controls": ["kms", "cloudtrail-logging"], "days": 1}
    places = [".days", ".hours", ".timezone", ".cron", ".controls[0]", ".controls"]
    assert _places({"schema_version": 1, "freezes": [freeze]}) == sorted(f"freezes[0]{place}" for place in places)


def test_all_problems_of_all_parts_are_reported_at_once() -> None:
    """If this fails, a problem in one part hides those in every other."""
    document = {
        "settle_seconds": "1", "settle": 1,
        "controls": {KMS: [], "x": {}, TABLES: {"mode": "y", "overrides": [{"regions": ["a"]}, 5], "modes": "off"}},
        "exemptions": [EXEMPTION, 1, {**EXEMPTION, "controls": ["x"]}],
        "freezes": "soon",
    }  # fmt: skip
    assert _places(document, today=date(2026, 11, 20)) == [
        f"controls.{TABLES}.mode", f"controls.{TABLES}.modes", f"controls.{TABLES}.overrides[0]",
        f"controls.{TABLES}.overrides[1]", f"controls.{KMS}", "controls.x",
        "exemptions[0].expires", "exemptions[1]", "exemptions[2].controls[0]", "exemptions[2].expires",
        "freezes", "schema_version", "settle", "settle_seconds",
    ]  # fmt: skip


def test_all_problems_that_functions_find_are_reported_at_once() -> None:
    """If this fails, the log of a function that refuses a document names one of its problems, and hides the others."""
    wrong = {"schema_version": 1, "controls": {KMS: {"overrides": [{"mode": "off"}, {"x": 1}]}}, "freezes": [{}]}
    with pytest.raises(InvalidSettingsError) as refused:
        parser.parse(json.dumps(wrong))
    assert [str(problem.place) for problem in refused.value.problems] == [
        f"controls.{KMS}.overrides[0]",
        f"controls.{KMS}.overrides[1].x",
        "freezes[0].cron",
        "freezes[0].hours",
    ]
    parsed = parser.parse(json.dumps({"schema_version": 1, "controls": {KMS: {"mode": "x", "parameters": []}}}))
    with pytest.raises(InvalidSettingsError) as unusable:
        parsed.of(CONTROLS[KMS], variables=ENV)
    assert [str(problem.place) for problem in unusable.value.problems] == [
        f"controls.{KMS}.mode",
        f"controls.{KMS}.parameters",
    ]


def test_document_of_another_version_has_that_problem_alone() -> None:
    """If this fails, somebody whose stack is too old is sent to fix what is right."""
    assert _places({"schema_version": 2, "waves": [], "exemptions": [{}]}) == ["schema_version"]


def test_an_override_with_a_problem_contradicts_no_other() -> None:
    """If this fails, a slip in one rule is reported as a contradiction with another, which is right."""
    one, two = {"regions": ["a"], "mode": "off"}, {"regions": [5], "mode": "notify"}
    found = _places({"schema_version": 1, "controls": {KMS: {"overrides": [one, two, {**one, "mode": "notify"}]}}})
    assert found == [f"controls.{KMS}.overrides[1].regions[0]", f"controls.{KMS}.overrides[2]"]


@pytest.mark.parametrize(("day", "refused"), [(18, False), (19, False), (20, True)])
def test_an_exemption_is_a_problem_when_its_last_day_has_passed(day: int, refused: bool) -> None:
    """If this fails, people push an exemption that never held, or the validator refuses one that holds today."""
    document = {"schema_version": 1, "exemptions": [EXEMPTION]}
    if refused:
        assert _places(document, date(2026, 11, day)) == ["exemptions[0].expires"]
        return
    assert parser.check(json.dumps(document), CONTROLS.values(), variables=ENV, today=date(2026, 11, day))


def test_time_alone_makes_no_document_wrong() -> None:
    """If this fails, all repair stops on the day after the last day of some exemption."""
    assert parser.check(json.dumps({"schema_version": 1, "exemptions": [EXEMPTION]}), CONTROLS.values(), variables=ENV)


def test_a_refusal_of_a_thousand_problems_stays_short_and_counts_them() -> None:
    """If this fails, a refusal does not fit into a message, or a log, and is lost with its reason."""
    wrong = {"schema_version": 1, "controls": {f"control-{number}": [] for number in range(1000)}}
    with pytest.raises(InvalidSettingsError) as refused:
        parser.parse(json.dumps(wrong))
    assert len(refused.value.problems) == 1000
    assert len(str(refused.value)) < InvalidSettingsError.LONGEST + 100
    assert str(refused.value).endswith("… and more (1000 in all): evenkeel settings validate FILE names each")


def test_a_problem_has_its_parts_and_one_text() -> None:
    """If this fails, a machine has to take the text of a problem apart, or people do not get all of it."""
    with pytest.raises(InvalidSettingsError) as refused:
        parser.parse('{"schema_version": 1, "settle_seconds": 901}')
    (problem,) = refused.value.problems
    assert problem == Problem(ROOT / "settle_seconds", "901 is not accepted", "write whole seconds from 0 to 900")
    assert (
        str(problem) == str(refused.value) == "settle_seconds: 901 is not accepted; write whole seconds from 0 to 900"
    )


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((), "settings"),
        (("exemptions", 0, "tags", "a.b"), "exemptions[0].tags.a.b"),
        (("controls", KMS, "overrides", 12), f"controls.{KMS}.overrides[12]"),
    ],
)
def test_a_place_reads_as_people_write_it(parts: tuple[str | int, ...], text: str) -> None:
    """If this fails, people do not find the part of the document that a refusal names."""
    place = ROOT
    for part in parts:
        place /= part
    assert (str(place), ROOT.contains(place), place.contains(place)) == (text, True, True)
    assert place.contains(place / 1)
    assert not (place / 1).contains(place / 11)


@pytest.mark.parametrize(
    "exemption", [{**EXEMPTION, "expires": "2099-1-1"}, {**EXEMPTION, "expires": "2099-01-01", "tags": {}}]
)
@pytest.mark.parametrize("name", ["night", 5, None])
def test_what_was_valid_yesterday_stays_in_force(exemption: dict[str, Any], name: Any) -> None:
    """If this fails, an update of the stack stops all repair over how a date or a name is written."""
    freeze = {"name": name, "cron": "0 0 1 * *", "hours": 1}
    document = json.dumps({"schema_version": 1, "exemptions": [exemption], "freezes": [freeze]})
    found = parser.parse(document)
    assert parser.check(document, CONTROLS.values(), variables=ENV, in_force=True) == found
    assert (found.exemptions[0].expires, found.freezes[0].name) == (date(2099, 1, 1), str(name or "freezes[0]"))
    places = ["exemptions[0].expires"] * (exemption["expires"] == "2099-1-1") + ["freezes[0].name"] * (name != "night")
    if places:
        assert _places(json.loads(document)) == places


@pytest.mark.parametrize("key", ["\ud800", "two\nlines", "\x1b[2J"])
def test_a_problem_at_an_odd_key_can_be_printed(key: str) -> None:
    """If this fails, half a character in a key crashes the command that reports it, or a key clears the terminal."""
    text = str(Problem(ROOT / "controls" / key, "unknown"))
    assert text.isprintable()
    assert text == f"controls.{key!r}: unknown"
