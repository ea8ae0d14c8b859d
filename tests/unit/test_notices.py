"""Exemptions that end soon are announced, once for each last day they are given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clerk import handler as clerk
from evenkeel.audit.records import record_hash
from notifier import alert
from tests.unit.test_alert import HOME
from tests.wire import Crash
from tests.world import Context, metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.audit.records import Record
    from tests.world import World

PROFILE = "arn:aws:appconfig:eu-west-1:123456789012:application/app-1/environment/env-1/configuration/profile-1"
EXEMPTION = {
    "controls": ["kms-key-rotation"],
    "resources": ["arn:aws:kms:*:*:key/mrk-*"],
    "tags": {"Environment": ["dev", "test"]},
    "reason": "replicated by hand",
    "approver": "alice@example.com",
}
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")


@pytest.fixture(autouse=True)
def _fresh(variables: pytest.MonkeyPatch, digest_key: str) -> Iterator[None]:
    variables.setenv("EVENKEEL_GROUPS", "")
    clerk._settings.cache_clear()
    yield
    clerk._settings.cache_clear()


def _push(world: World, *days_left: int, **other: Any) -> None:
    """Push settings with one exemption for each number of days, and let every worker forget the ones before."""
    today = datetime.now(UTC).date()
    given = [{**EXEMPTION, **other, "expires": f"{today + timedelta(days=days)}"} for days in days_left]
    world.settings({"schema_version": 1, "exemptions": given})
    clerk._settings.cache_clear()


def _round(world: World) -> list[Record]:
    """Let the clerk make one round; return all records that there are by now."""
    assert clerk.handler({"source": "aws.scheduler"}, Context()) == {"due": 0, "stuck": 0}
    return world.records()


@pytest.mark.parametrize(("days", "announced"), [(-1, 0), (0, 1), (5, 1), (14, 1), (15, 0), (400, 0)])
def test_only_what_ends_within_a_fortnight_is_announced(world: World, days: int, announced: int) -> None:
    """If this fails, an exemption ends and nobody was told, or people are told a year before or of one that is over."""
    _push(world, days)
    assert len(_round(world)) == announced


def test_the_record_is_whole_and_its_alert_says_what_to_do(world: World) -> None:
    """If this fails, on-call cannot say which exemption ends, when, who approved it, or the audit calls it planted."""
    _push(world, 5)
    (record,) = _round(world)
    last = record["before"]["expires"]
    assert record["before"] == {**EXEMPTION, "accounts": [], "expires": last}
    assert (record["outcome"], record["announce"]) == ("EXPIRING", True)
    assert record["resource"].startswith(f"{PROFILE}/exemption/")
    assert record["hash"] == record_hash(record)
    assert world.chains() == 1
    what = "kms-key-rotation on arn:aws:kms:*:*:key/mrk-*, Environment=dev|test"
    assert record["reason"] == f"{what}: replicated by hand (approved by alice@example.com)"
    told = alert.outcome(record, HOME)
    assert told.subject == "[MEDIUM] EXPIRING evenkeel-exemption 123456789012 eu-west-1"
    lines = told.text.splitlines()
    assert lines[2:4] == [
        f"Exemption: {record['reason']}",
        f"Done: EXPIRING, nothing was changed: ends in 5 days; its last day is {last} (UTC)",
    ]
    assert lines[-1] == "evenkeel exemptions --stack evenkeel-prod --region eu-west-1"


def test_an_unchanged_exemption_is_announced_once(world: World) -> None:
    """If this fails, on-call is told every five minutes for a fortnight, or again for a spelling that was mended."""
    _push(world, 5)
    _round(world)
    clerk._settings.cache_clear()  # another worker
    assert len(_round(world)) == 1
    _push(world, 5, reason="replicated by hand, see the wiki", approver="bob")
    assert len(_round(world)) == 1


def test_a_prolonged_one_is_announced_again_before_its_new_end(world: World) -> None:
    """If this fails, an exemption that was prolonged once ends without a word, or is announced when it is prolonged."""
    _push(world, 2)
    _round(world)
    _push(world, 300)
    assert len(_round(world)) == 1
    _push(world, 13)
    assert len(_round(world)) == 2
    assert world.chains() == 2


def test_each_of_several_is_announced(world: World) -> None:
    """If this fails, one exemption that ends hides another."""
    _push(world, 1, 3, 3, 30)  # two say the same
    assert len(_round(world)) == 2


def test_controls_that_are_not_deployed_do_not_hide_it(world: World) -> None:
    """If this fails, whoever enables a group learns of its exemptions' end when it acts."""
    _push(world, 5, controls=["sqs-encryption", "*"])
    assert len(_round(world)) == 1


@pytest.mark.parametrize("moment", ["before it is written", "after it was written"])
def test_a_crash_neither_silences_nor_doubles_it(world: World, moment: str) -> None:
    """If this fails, a worker that dies takes the one announcement with it, or it comes twice."""
    _push(world, 5)
    if moment == "before it is written":
        world.wire.crash("dynamodb", "TransactWriteItems")
        with pytest.raises(Crash):
            _round(world)
        assert world.records() == []
    else:
        _round(world)
    assert len(_round(world)) == 1


def test_two_clerks_at_once_announce_it_once(world: World) -> None:
    """If this fails, a slow round that the next one overtakes announces everything twice."""
    _push(world, 5)

    def faster(_: object) -> None:
        world.wire._plans.clear()
        _round(world)

    world.wire.when("dynamodb", "TransactWriteItems", faster)
    assert len(_round(world)) == 1


@pytest.mark.parametrize("trouble", ["refused", "unread"])
def test_settings_that_cannot_be_used_stop_nothing_else(
    world: World, trouble: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, bad settings keep what is due from its queue, or nobody can see why there are no notices."""
    if trouble == "refused":
        world.settings("nonsense")
    else:
        world.wire.fail("appconfigdata", "StartConfigurationSession", "AccessDeniedException", times=9)
    assert _round(world) == []
    assert "no notices: settings cannot be used" in caplog.text
    counted = {"refused": "SettingsRefused", "unread": "SettingsUnread"}[trouble]
    assert metrics(capsys.readouterr().out)[counted] == 1
    world.wire.clear()
    _push(world, 5)
    assert len(_round(world)) == 1


def test_a_refused_document_counts_in_one_round_and_not_in_the_next(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, a stack without events keeps a bad push, or the clerk's rounds take the mended one back, too."""
    found = []
    for document in ('{"schema_version": 1}', "nonsense", None, None, "other nonsense", '{"schema_version": 1}'):
        if document:
            world.settings(document)
        _round(world)
        found.append(metrics(capsys.readouterr().out).get("SettingsRefused", 0))
        clerk._settings()._provider = None  # a minute passes: the cache is over
    assert found == [0, 1, 0, 0, 1, 0]
