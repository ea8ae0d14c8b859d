"""Exemptions and freezes, as tables: when they hold and end; whatever is wrong is said with its place."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from evenkeel.errors import SettingsError
from evenkeel.settings import parser, rules
from evenkeel.settings.problems import ROOT
from evenkeel.settings.rules import Freeze

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)


def _exemption(**differs: Any) -> dict[str, Any]:
    whole = {
        "controls": ["kms-key-rotation"],
        "resources": ["*"],
        "reason": "migration",
        "approver": "ciso@example.com",
        "expires": "2026-11-20",
    }
    return {name: value for name, value in {**whole, **differs}.items() if value is not ...}


def _exempt(**differs: Any) -> rules.Exemption:
    document = {"schema_version": 1, "exemptions": [_exemption(**differs)]}
    return parser.parse(json.dumps(document)).exemptions[0]


def _freeze(**members: Any) -> rules.Freeze:
    return parser.parse(json.dumps({"schema_version": 1, "freezes": [members]})).freezes[0]


@pytest.mark.parametrize(
    ("expires", "in_force", "soon"),
    [
        ("2026-11-19", False, False),
        ("2026-11-20", True, True),
        ("2026-12-04", True, True),
        ("2026-12-05", True, False),
        ("2020-01-01", False, False),
    ],
)
def test_exemption_holds_to_the_end_of_its_last_day(expires: Any, in_force: bool, soon: bool) -> None:
    """If this fails, an exemption outlives its date, ends a day early, or ends without people being told."""
    found = _exempt(expires=expires)
    midnight = NOW.replace(hour=23, minute=59, second=59)
    assert (found.in_force(NOW), found.ends_soon(NOW)) == (in_force, soon)
    assert (found.in_force(midnight), found.ends_soon(midnight)) == (in_force, soon)


def test_exemption_ends_at_midnight_utc() -> None:
    """If this fails, when an exemption ends depends on the machine that asks."""
    found = _exempt()
    assert not found.in_force(NOW.replace(hour=0) + timedelta(days=1))


@pytest.mark.parametrize(("controls", "covers"), [(["*"], True), (["kms-key-rotation"], True), (["other"], False)])
def test_which_controls_an_exemption_is_about(controls: list[str], covers: bool) -> None:
    """If this fails, an exemption hides findings of controls that nobody exempted."""
    assert _exempt(controls=controls).covers("kms-key-rotation") is covers


@pytest.mark.parametrize(
    ("differs", "told"),
    [
        ({"reason": ...}, ".reason: is missing; write why it is exempt"),
        ({"reason": "  "}, ".reason: '  ' is not accepted; write why it is exempt"),
        ({"approver": ...}, ".approver: is missing; write who approved it"),
        ({"approver": 5}, ".approver: 5 is a whole number; write who approved it"),
        ({"expires": ...}, ".expires: is missing; write the last day as YYYY-MM-DD"),
        ({"expires": "soon"}, ".expires: 'soon' is not accepted; write the last day as YYYY-MM-DD"),
        ({"expires": "2026-02-30"}, ".expires: '2026-02-30' is not accepted; write the last day"),
        ({"expires": 20261120.5}, ".expires: 20261120.5 is a number; write the last day"),
        ({"expires": "2026-11-20T12:00:00"}, ".expires: '2026-11-20T12:00:00' is not accepted; write the last day"),
        ({"controls": ...}, ".controls: is missing; write a list"),
        ({"controls": []}, ".controls: is an empty list; write a list"),
        ({"resources": ...}, ": selects nothing; give it resources, accounts or tags"),
        (
            {"resources": ["my-bucket"]},
            ".resources[0]: 'my-bucket' is not accepted; write an ARN pattern that begins with arn: or *",
        ),
        ({"regions": ["a"]}, ".regions: unknown key; did you mean reason?"),
        ({"until": "2026"}, ".until: unknown key; known:"),
    ],
)
def test_wrong_exemptions_are_refused_with_the_place(differs: dict[str, Any], told: str) -> None:
    """If this fails, something is exempted without anybody's name, reason or end."""
    with pytest.raises(SettingsError) as caught:
        _exempt(**differs)
    assert str(caught.value).startswith(f"exemptions[0]{told}")


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("freeze", "now", "ends"),
    [
        (("0 18 * * 5", 62, "UTC"), "2026-11-20T17:59:59+00:00", None),
        (("0 18 * * 5", 62, "UTC"), "2026-11-20T18:00:00+00:00", "2026-11-23T08:00:00+00:00"),
        (("0 18 * * 5", 62, "UTC"), "2026-11-23T07:59:59+00:00", "2026-11-23T08:00:00+00:00"),
        (("0 18 * * 5", 62, "UTC"), "2026-11-23T08:00:00+00:00", None),
        (("0 0 * * *", 48, "UTC"), "2026-11-20T09:00:00+00:00", "2026-11-22T00:00:00+00:00"),
        (("0 0 29 2 *", 1, "UTC"), "2026-11-20T09:00:00+00:00", None),
        (("0 0 29 2 *", 24, "UTC"), "2028-02-29T09:00:00+00:00", "2028-03-01T00:00:00+00:00"),
        # Madrid is an hour ahead of UTC in winter, two in summer.
        (("0 9 * * *", 1, "Europe/Madrid"), "2026-11-20T07:59:00+00:00", None),
        (("0 9 * * *", 1, "Europe/Madrid"), "2026-11-20T08:30:00+00:00", "2026-11-20T09:00:00+00:00"),
        (("0 9 * * *", 1, "Europe/Madrid"), "2026-07-20T07:30:00+00:00", "2026-07-20T08:00:00+00:00"),
        (("0 9 * * *", 1, "Europe/Madrid"), "2026-07-20T08:30:00+00:00", None),
        # The clocks go back on 25 October 2026 and forward on 29 March: a freeze ends by the clock on the wall.
        (("0 0 * * 6", 48, "Europe/Madrid"), "2026-10-25T22:30:00+00:00", "2026-10-25T23:00:00+00:00"),
        (("0 0 * * 6", 48, "Europe/Madrid"), "2026-10-25T23:00:00+00:00", None),
        (("0 0 * * 6", 48, "Europe/Madrid"), "2026-03-29T21:30:00+00:00", "2026-03-29T22:00:00+00:00"),
        (("0 0 * * 6", 48, "Europe/Madrid"), "2026-03-29T22:00:00+00:00", None),
        # 02:30 does not exist on 29 March: the freeze begins when the clocks have gone forward.
        (("30 2 * * *", 2, "Europe/Madrid"), "2026-03-29T01:30:00+00:00", "2026-03-29T03:00:00+00:00"),
    ],
)
def test_when_a_freeze_holds_and_ends(freeze: tuple[str, int, str], now: str, ends: str | None) -> None:
    """If this fails, resources are changed in a freeze, or left alone outside of one."""
    found = Freeze("f", freeze[0], freeze[1], freeze[2], ("*",), ROOT).ends("kms-key-rotation", _at(now))
    assert found == (ends and _at(ends))


def test_one_moment_is_another_hour_in_another_zone() -> None:
    """If this fails, the freeze of one time zone is taken for that of another with the same cron expression."""
    zones = ("Europe/Madrid", "Asia/Tokyo")
    madrid, tokyo = (Freeze("f", "0 9 * * *", 1, zone, ("*",), ROOT) for zone in zones)
    now = _at("2026-11-20T08:30:00+00:00")
    assert madrid.ends("x", now) == _at("2026-11-20T09:00:00+00:00")
    assert tokyo.ends("x", now) is None


def test_a_freeze_is_about_its_controls() -> None:
    """If this fails, a freeze of one control stops all, or stops none."""
    frozen = Freeze("f", "* * * * *", 1, "UTC", ("a", "b"), ROOT)
    assert [bool(frozen.ends(control, NOW)) for control in ("a", "b", "c")] == [True, True, False]


def test_a_freeze_needs_no_more_than_cron_and_hours() -> None:
    """If this fails, the simplest freeze is refused, or does not stop everything."""
    found = _freeze(cron="0 0 24 12 *", hours=48)
    assert found == Freeze("freezes[0]", "0 0 24 12 *", 48, "UTC", ("*",), ROOT / "freezes" / 0)


@pytest.mark.parametrize(
    ("differs", "told"),
    [
        ({"hours": 0}, ".hours: 0 is not accepted; write whole hours from 1 to 744"),
        ({"hours": 745}, ".hours: 745 is not accepted; write whole hours"),
        ({"hours": "8"}, ".hours: '8' is text; write whole hours"),
        ({"hours": True}, ".hours: is true; write whole hours"),
        ({"hours": ...}, ".hours: is missing; write whole hours"),
        ({"timezone": "Mars/Olympus"}, ".timezone: 'Mars/Olympus' is not a time zone; write one like Europe/Madrid"),
        ({"timezone": ""}, ".timezone: is empty; write one like"),
        ({"timezone": "Europe"}, ".timezone: 'Europe' is not a time zone"),
        ({"timezone": "../etc/passwd"}, ".timezone: '../etc/passwd' is not a time zone"),
        ({"timezone": "x" * 5000}, ".timezone: 'xxx"),
        ({"timezone": "a\0b"}, ".timezone: 'a\\x00b' is not a time zone"),
        ({"timezone": 5}, ".timezone: 5 is a whole number; write one like"),
        ({"cron": "0 0 30 2 *"}, ".cron: '0 0 30 2 *'"),
        ({"cron": "0 0 31 2,4,6,9,11 *"}, ".cron: '0 0 31 2,4,6,9,11 *'"),
        ({"cron": "daily"}, ".cron: 'daily'"),
        ({"cron": ...}, ".cron: is missing"),
        ({"cron": "61 0 * * *"}, ".cron: '61 0 * * *'"),
        ({"controls": []}, ".controls: is an empty list; write a list"),
        ({"controls": "*"}, ".controls: '*' is text; write a list"),
        ({"days": 1}, ".days: unknown key; known: controls, cron, hours, name, timezone"),
    ],
)
def test_wrong_freezes_are_refused_with_the_place(differs: dict[str, Any], told: str) -> None:
    """If this fails, a freeze that never holds is believed in, or a worker crashes on it."""
    raw = {"cron": "0 0 * * *", "hours": 8, **differs}
    with pytest.raises(SettingsError) as caught:
        _freeze(**{name: value for name, value in raw.items() if value is not ...})
    assert str(caught.value).startswith(f"freezes[0]{told}")
    if "cron" in differs:
        assert str(caught.value).endswith("write minute hour day month weekday")
