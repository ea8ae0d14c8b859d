"""What the settings say of one resource: which override wins, what exempts it, when its tags have to be known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from evenkeel.control import Radius
from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError
from evenkeel.model import Mode
from evenkeel.settings import parser
from evenkeel.settings.rules import Subject, TagsUnknownError
from tests.world import ACCOUNT, LOG_KEY, REGION

CONTROLS = all_controls()
KMS = CONTROLS["kms-key-rotation"]
TABLES = CONTROLS["dynamodb-point-in-time-recovery"]
ENV = {"EVENKEEL_LOG_KEY_ARN": LOG_KEY}
NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
EXEMPTION = {"controls": [KMS.id], "reason": "r", "approver": "a", "expires": "2026-11-20"}
FREEZE = {"cron": "0 0 * * *", "hours": 12}


def _parsed(overrides: list[dict[str, Any]] | None = None, **document: Any) -> parser.Settings:
    controls = {KMS.id: {"overrides": overrides}} if overrides else {}
    return parser.parse(json.dumps({"schema_version": 1, "controls": controls, **document}))


def _subject(tags: dict[str, str] | None = None, account: str = ACCOUNT, region: str = REGION) -> Subject:
    return Subject(KEY, account, region, tags)


ACCOUNTS: dict[str, Any] = {"accounts": [ACCOUNT], "parameters": {"period_days": 100}}
REGIONS: dict[str, Any] = {"regions": [REGION], "parameters": {"period_days": 200}}
TAGS: dict[str, Any] = {"tags": {"env": "dev"}, "parameters": {"period_days": 300}}
RESOURCES: dict[str, Any] = {"resources": ["*:key/1"], "parameters": {"period_days": 360}}


@pytest.mark.parametrize(
    ("overrides", "days"),
    [
        ([ACCOUNTS], 100),
        ([ACCOUNTS, REGIONS], 200),
        ([ACCOUNTS, REGIONS, TAGS], 300),
        ([ACCOUNTS, REGIONS, TAGS, RESOURCES], 360),
        ([{**ACCOUNTS, **REGIONS, "accounts": [ACCOUNT]}, TAGS], 300),
        ([{**TAGS, "accounts": ["210987654321"]}, REGIONS], 200),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_more_specific_override_wins_in_any_order(overrides: list[dict[str, Any]], days: int, turned: bool) -> None:
    """If this fails, what holds for a resource depends on the order of lines in a file."""
    parsed = _parsed(overrides[::-1] if turned else overrides)
    assert parsed.of(KMS, _subject({"env": "dev"}), ENV).parameters == {"period_days": days}
    assert parsed.of(KMS, None, ENV).parameters == {"period_days": 365}


def test_overrides_are_laid_over_setting_by_setting() -> None:
    """If this fails, a narrow rule about one setting forgets what a broad one says about another."""
    parsed = _parsed(
        controls={
            KMS.id: {
                "mode": "approve",
                "blast_radius": {"limit": 5, "window_seconds": 60},
                "overrides": [
                    {"accounts": [ACCOUNT], "blast_radius": {"limit": 7}},
                    {"regions": [REGION], "parameters": {"period_days": 100}},
                    {"resources": ["*"], "mode": "notify"},
                ],
            }
        }
    )
    found = parsed.of(KMS, _subject(), ENV)
    assert (found.mode, found.parameters, found.radius) == (Mode.NOTIFY, {"period_days": 100}, Radius(7, 60))
    elsewhere = parsed.of(KMS, _subject(account="210987654321", region="eu-west-2"), ENV)
    assert (elsewhere.mode, elsewhere.parameters, elsewhere.radius) == (
        Mode.NOTIFY,
        {"period_days": 365},
        Radius(5, 60),
    )


def test_override_that_cannot_be_evaluated_is_no_default() -> None:
    """If this fails, a resource whose tags cannot be read gets the settings that its tags might have excluded."""
    with pytest.raises(TagsUnknownError):
        _parsed([TAGS]).of(KMS, _subject(), ENV)


@pytest.mark.parametrize(
    ("document", "needed"),
    [
        ({}, False),
        ({"overrides": [RESOURCES]}, False),
        ({"overrides": [TAGS]}, True),
        ({"overrides": [RESOURCES, {**TAGS, "accounts": [ACCOUNT]}]}, True),
        ({"exemptions": [{**EXEMPTION, "tags": {"a": "b"}}]}, True),
        ({"exemptions": [{**EXEMPTION, "controls": ["*"], "tags": {"a": "b"}}]}, True),
        ({"exemptions": [{**EXEMPTION, "resources": ["*"]}]}, False),
        ({"exemptions": [{**EXEMPTION, "controls": [TABLES.id], "tags": {"a": "b"}}]}, False),
        ({"exemptions": [{**EXEMPTION, "expires": "2026-11-19", "tags": {"a": "b"}}]}, False),
    ],
)
def test_tags_are_needed_only_where_a_rule_in_force_asks_for_them(document: dict[str, Any], needed: bool) -> None:
    """If this fails, every event costs a read of tags, or a rule about tags is passed over."""
    others = {name: value for name, value in document.items() if name != "overrides"}
    assert _parsed(document.get("overrides"), **others).needs_tags(KMS, NOW) is needed


def test_override_of_another_control_needs_no_tags() -> None:
    """If this fails, one control's rule about tags makes all controls read them."""
    assert not _parsed([TAGS]).needs_tags(TABLES, NOW)


@pytest.mark.parametrize(
    ("differs", "exempt"),
    [
        ({"resources": ["*:key/1"]}, True),
        ({"resources": ["*:key/2"]}, False),
        ({"accounts": [ACCOUNT]}, True),
        ({"accounts": ["210987654321"]}, False),
        ({"tags": {"env": ["dev", "test"]}}, True),
        ({"tags": {"env": "prod"}}, False),
        ({"resources": ["*"], "expires": "2026-11-19"}, False),
        ({"resources": ["*"], "controls": [TABLES.id]}, False),
        ({"resources": ["*"], "controls": ["*"]}, True),
    ],
)
def test_what_is_exempt(differs: dict[str, Any], exempt: bool) -> None:
    """If this fails, an approved exemption is ignored, or hides what nobody approved."""
    parsed = _parsed(exemptions=[{**EXEMPTION, **differs}])
    assert bool(parsed.exemption(KMS, _subject({"env": "dev"}), NOW)) is exempt


def test_expired_exemption_about_tags_is_as_if_absent() -> None:
    """If this fails, an expired exemption stops all acts on resources whose tags cannot be read."""
    parsed = _parsed(exemptions=[{**EXEMPTION, "tags": {"a": "b"}, "expires": "2026-11-19"}])
    assert parsed.exemption(KMS, _subject(), NOW) is None


def test_the_last_of_several_freezes_counts() -> None:
    """If this fails, changes begin when the first of two freezes ends."""
    parsed = _parsed(
        freezes=[
            FREEZE,
            {**FREEZE, "hours": 20, "controls": [KMS.id]},
            {**FREEZE, "hours": 22, "controls": [TABLES.id]},
            {"cron": "0 7 * * *", "hours": 1},
        ]
    )
    assert parsed.frozen_until(KMS, NOW) == NOW.replace(hour=20)
    assert parsed.frozen_until(TABLES, NOW) == NOW.replace(hour=22)
    assert parsed.frozen_until(KMS, NOW.replace(hour=21)) is None
    assert parsed.frozen_until(CONTROLS["cloudtrail-logging"], NOW) is None


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"exemptions": {}}, "exemptions: is keys and values; write a list"),
        ({"exemptions": [{}]}, "exemptions[0].controls: is missing"),
        ({"freezes": "always"}, "freezes: 'always' is text; write a list"),
        ({"freezes": [FREEZE, {**FREEZE, "cron": "0 0 31 6 *"}]}, "freezes[1].cron: '0 0 31 6 *'"),
        ({"controls": {KMS.id: {"overrides": {}}}}, f"controls.{KMS.id}.overrides: is keys and values; write a list"),
        ({"controls": {KMS.id: {"overrides": [5]}}}, f"controls.{KMS.id}.overrides[0]: 5 is a whole number; write"),
        (
            {"controls": {KMS.id: {"overrides": [ACCOUNTS, {**ACCOUNTS, "parameters": {"period_days": 99}}]}}},
            f"controls.{KMS.id}.overrides[1]: can apply to the same resource as controls.{KMS.id}.overrides[0]",
        ),
        (
            {"controls": {KMS.id: {"overrides": [{"regions": ["a"], "mode": "kill"}]}}},
            f"controls.{KMS.id}.overrides[0].mode: 'kill' is unknown; write one of off",
        ),
        (
            {"controls": {KMS.id: {"overrides": [{"regions": ["a"], "parameters": {"period_days": 1}}]}}},
            f"controls.{KMS.id}.overrides[0].parameters.period_days: 1 is not accepted; KMS accepts",
        ),
        (
            {"controls": {KMS.id: {"overrides": [{"regions": ["a"], "blast_radius": {"limit": 0}}]}}},
            f"controls.{KMS.id}.overrides[0].blast_radius.limit: 0 is not accepted; write",
        ),
        (
            {"exemptions": [{**EXEMPTION, "resources": ["*"], "controls": ["kms"]}]},
            "exemptions[0]",
        ),
        ({"freezes": [{**FREEZE, "controls": ["kms"]}]}, "freezes[0].controls"),
        (
            {"exemptions": [{**EXEMPTION, "resources": ["*:key/1", "arn:aws:dynamodb:*:*:table/t"]}]},
            "exemptions[0].resources: 'arn:aws:dynamodb:*:*:table/t' matches no resource of kms-key-rotation;",
        ),
        (
            {"controls": {KMS.id: {"overrides": [{"resources": ["arn:aws:kms:*:*:alias/*"], "mode": "off"}]}}},
            f"controls.{KMS.id}.overrides[0].resources: 'arn:aws:kms:*:*:alias/*' matches no resource of {KMS.id};",
        ),
        (
            {"freezes": [FREEZE, {**FREEZE, "controls": [KMS.id, "cloudtrail-logging"]}]},
            "freezes[1].controls: cloudtrail-logging cannot be frozen; set its mode to notify for that time",
        ),
    ],
)
def test_wrong_rules_are_refused_with_the_place(document: dict[str, Any], told: str) -> None:
    """If this fails, rules that mean nothing are pushed, or their author must guess which is wrong."""
    with pytest.raises(SettingsError) as caught:
        parser.check(json.dumps({"schema_version": 1, **document}), CONTROLS.values(), variables=ENV)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize("controls", [["*"], [KMS.id, TABLES.id], ["tagging-required-tags", KMS.id]])
def test_rule_for_several_controls_may_name_a_resource_of_any(controls: list[str]) -> None:
    """If this fails, an exemption that holds for one of its controls is refused because of the others."""
    rule = {**EXEMPTION, "controls": controls, "resources": ["arn:aws:dynamodb:*:*:table/t"]}
    document = json.dumps({"schema_version": 1, "exemptions": [rule]})
    assert parser.check(document, CONTROLS.values(), variables=ENV).exemptions


def test_what_the_stack_provides_may_be_given() -> None:
    """If this fails, the command line refuses a valid document for want of what only the stack's functions know."""
    (encryption,) = (each for each in all_controls().values() if each.id == "logs-group-encryption")
    with pytest.raises(SettingsError, match="key_arn"):
        parser.check('{"schema_version": 1}', [encryption], variables={})
    key = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
    assert parser.check('{"schema_version": 1}', [encryption], variables={"EVENKEEL_LOG_KEY_ARN": key})
