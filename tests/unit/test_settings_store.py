"""The settings of one worker: how often AppConfig is asked, and what happens when it does not answer."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.parameters import base

from evenkeel.errors import SettingsError, SettingsUnreadError
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.environment import Environment
from evenkeel.settings.store import SettingsStore
from tests.world import VARIABLES, client

if TYPE_CHECKING:
    from tests.world import World

START, GET = "appconfigdata:StartConfigurationSession", "appconfigdata:GetLatestConfiguration"
SET_MARK = "dynamodb:UpdateItem"
MINUTE, DAY = 60, 86_400


@pytest.fixture
def store(world: World, monkeypatch: pytest.MonkeyPatch) -> SettingsStore:
    """Return the store of a worker; the test's clock rules the cache of Powertools and AppConfig's intervals, too."""

    class Clock:
        @staticmethod
        def now(*_: Any) -> Any:
            return world.now

    monkeypatch.setattr(base, "datetime", Clock)
    world.configuration.clock = lambda: world.clock().timestamp()
    return SettingsStore(Aws(client), Environment.read(VARIABLES), world.clock)


def _document(seconds: int) -> str:
    return json.dumps({"schema_version": 1, "settle_seconds": seconds})


def test_settings_are_read_once_a_minute(world: World, store: SettingsStore) -> None:
    """If this fails, every message costs a priced call, or a push is not seen for longer than a minute."""
    world.settings(_document(7))
    assert store.load().settle_seconds == 7
    world.settings(_document(8))
    world.sleep(59)
    assert store.load().settle_seconds == 7
    assert world.wire.names() == [START, GET, SET_MARK]
    world.sleep(2)
    assert store.load().settle_seconds == 8
    assert world.wire.names() == [START, GET, SET_MARK, GET]


def test_an_unchanged_document_is_kept(world: World, store: SettingsStore) -> None:
    """If this fails, AppConfig's empty answer, which means no change, is taken for an empty document."""
    world.settings(_document(7))
    for _ in range(3):
        assert store.load().settle_seconds == 7
        world.sleep(MINUTE + 1)
    assert world.wire.names() == [START, GET, SET_MARK, GET, GET]
    assert store.changes == 1


def test_a_token_of_yesterday_is_replaced(world: World, store: SettingsStore) -> None:
    """If this fails, a worker that slept for a day never reads its settings again."""
    store.load()
    world.sleep(DAY + 1)
    world.settings(_document(7))
    assert store.load().settle_seconds == 7
    assert world.wire.names() == [START, GET, SET_MARK, GET, START, GET]


def test_a_poll_that_comes_too_early_is_mended(world: World, store: SettingsStore) -> None:
    """If this fails, a clock that jumps makes AppConfig refuse the worker, and the worker gives up."""
    store.load()
    frozen = world.now.timestamp()
    world.configuration.clock = lambda: frozen
    world.settings(_document(7))
    world.sleep(MINUTE + 1)
    assert store.load().settle_seconds == 7
    assert world.wire.names() == [START, GET, SET_MARK, GET, START, GET]


def test_a_lost_answer_does_not_lose_the_session(world: World, store: SettingsStore) -> None:
    """If this fails, an answer that never came leaves a spent token behind and every later poll fails."""
    store.load()
    world.settings(_document(7))
    world.sleep(MINUTE + 1)
    world.wire.fail("appconfigdata", "GetLatestConfiguration", "InternalServerException", status=500)
    assert store.load().settle_seconds == 7


def test_the_last_good_document_serves_for_five_minutes(world: World, store: SettingsStore) -> None:
    """If this fails, a short outage of AppConfig stops all repair, or a long one lets old settings rule for ever."""
    world.settings(_document(7))
    store.load()
    world.wire.fail("appconfigdata", "GetLatestConfiguration", "ThrottlingException", times=99)
    world.sleep(4.9 * MINUTE)
    assert store.load().settle_seconds == 7
    world.sleep(0.2 * MINUTE)
    with pytest.raises(SettingsUnreadError, match=r"app-1/env-1/profile-1 cannot be read: .*Throttling"):
        store.load()


def test_an_appconfig_in_trouble_is_left_alone(world: World, store: SettingsStore) -> None:
    """If this fails, each of a thousand waiting messages asks an AppConfig that throttles already."""
    world.wire.fail("appconfigdata", "StartConfigurationSession", "ThrottlingException", times=99)
    for _ in range(20):
        with pytest.raises(SettingsUnreadError):
            store.load()
    assert world.wire.names() == [START]
    world.sleep(16)
    with pytest.raises(SettingsUnreadError):
        store.load()
    assert world.wire.names() == [START, START]


def test_recovery_is_noticed(world: World, store: SettingsStore) -> None:
    """If this fails, one failed read stops a worker until it dies."""
    world.wire.fail("appconfigdata", "StartConfigurationSession", "InternalServerException", status=500)
    with pytest.raises(SettingsUnreadError):
        store.load()
    world.sleep(16)
    assert store.load().settle_seconds == 60


@pytest.mark.parametrize("document", ["{}", "no JSON", b"\xff\xfe", '{"schema_version": 1, "controls": []}'])
def test_an_invalid_document_is_refused_at_once(world: World, store: SettingsStore, document: str | bytes) -> None:
    """If this fails, the settings before rule on while people believe that theirs do."""
    world.settings(_document(7))
    store.load()
    world.configuration.document = document if isinstance(document, bytes) else document.encode()
    world.sleep(MINUTE + 1)
    for _ in range(2):
        with pytest.raises(SettingsError) as refused:
            store.load()
        assert not isinstance(refused.value, SettingsUnreadError)
    world.wire.fail("appconfigdata", "GetLatestConfiguration", "ThrottlingException", times=99)
    world.sleep(MINUTE + 1)
    with pytest.raises(SettingsError):
        store.load()


def test_each_document_counts_once(world: World, store: SettingsStore) -> None:
    """If this fails, a bad document that is pushed again is not counted again, and AppConfig does not take it back."""
    seen = []
    for document in ("{}", _document(7), "{}", "{}"):
        world.settings(document)
        with contextlib.suppress(SettingsError):
            store.load()
        seen.append(store.changes)
        world.sleep(MINUTE + 1)
    assert seen == [1, 2, 3, 3]


@pytest.mark.parametrize("name", ["", "a/b", "a/b/c/d", "none"])
def test_a_name_of_another_kind_is_said(world: World, name: str) -> None:
    """If this fails, a stack deployed wrongly shows as an AppConfig that cannot be read."""
    environment = Environment.read({**VARIABLES, "EVENKEEL_SETTINGS": name})
    with pytest.raises(SettingsUnreadError, match="is not application/environment/profile; deploy the stack again"):
        SettingsStore(Aws(client), environment, world.clock).load()
    assert world.wire.names() == []
