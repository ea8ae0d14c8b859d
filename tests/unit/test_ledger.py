"""Rare moments of the ledger, the settings' store and the batches."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from evenkeel.audit.counters import Counted
from evenkeel.audit.ledger import Ledger
from evenkeel.audit.state_item import StateItem
from evenkeel.errors import LeaseHeldError, SettingsError, SettingsUnreadError
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.environment import Environment
from evenkeel.settings.store import SettingsStore
from tests import factories
from tests.tables import AUDIT, STATE
from tests.wire import Crash
from tests.world import client, request

if TYPE_CHECKING:
    from tests.world import World

CONTROL = "kms-key-rotation"


def _ledger(world: World, owner: str = "worker-9") -> Ledger:
    return Ledger(Aws(client), AUDIT, STATE, owner, world.clock, world.sleep)


def _left_open(world: World) -> str:
    """Return a key whose worker died after planning."""
    arn = factories.key()
    world.wire.crash("kms", "EnableKeyRotation")
    with pytest.raises(Crash):
        world.run(CONTROL, request(CONTROL, arn, creates=True))
    return arn


def test_plan_that_another_adopts_at_the_same_time_is_left_to_it(world: World) -> None:
    """If this fails, two workers finish one plan at the same time."""
    arn = _left_open(world)
    world.now += timedelta(minutes=2)
    item = world.state(CONTROL, arn)
    _ledger(world, "worker-2").adopt(CONTROL, arn, item)
    with pytest.raises(LeaseHeldError, match="another worker"):
        _ledger(world, "worker-3").adopt(CONTROL, arn, item)
    result = world.run(CONTROL, request(CONTROL, arn), owner="worker-3", redelivered=True)
    assert (result.outcome, world.outcomes()) == ("RETURNED", ["PLANNED"])


def test_adoption_that_loses_the_race_comes_again(world: World) -> None:
    """If this fails, a lost race between two redeliveries counts as a crash."""
    arn = _left_open(world)
    world.now += timedelta(minutes=2)
    world.wire.fail("dynamodb", "UpdateItem", "ConditionalCheckFailedException")
    result = world.run(CONTROL, request(CONTROL, arn), owner="worker-3", redelivered=True)
    assert (result.outcome, "another worker" in result.reason) == ("RETURNED", True)


def test_broken_table_is_not_taken_for_a_lease(world: World) -> None:
    """If this fails, a state table that refuses everything looks like a busy resource."""
    arn = _left_open(world)
    world.now += timedelta(minutes=2)
    world.wire.fail("dynamodb", "UpdateItem", "ValidationException", "no such attribute")
    with pytest.raises(Exception, match="no such attribute"):
        world.run(CONTROL, request(CONTROL, arn), owner="worker-3", redelivered=True)


def test_lease_is_the_owners_own_and_ends(world: World) -> None:
    """If this fails, a worker locks itself out, or a dead worker locks everybody out."""
    now = world.start
    until = int((now + timedelta(seconds=90)).timestamp() * 1000)
    item = StateItem(lease_owner="a", lease_until=until)
    assert item.leased_to_other("b", now)
    assert not item.leased_to_other("a", now)
    assert item.leased_to_other("b", now + timedelta(seconds=90))
    assert not item.leased_to_other("b", now + timedelta(seconds=90.01))
    assert not StateItem().leased_to_other("b", now)


def test_counter_counts_to_its_limit(world: World) -> None:
    """If this fails, the blast radius is one more or one less than asked for, or never opens again."""
    from evenkeel.control import Radius  # noqa: PLC0415 - one user

    counters = _ledger(world).counters
    world.now = world.now.replace(minute=0, second=0)
    assert [counters.count("x", Radius(2, 3600)).held_until is None for _ in range(3)] == [True, True, False]
    assert counters.count("y", Radius(2, 3600)) == Counted()
    world.now += timedelta(hours=24)
    assert counters.count("x", Radius(2, 3600)).held_until is not None
    world.now += timedelta(hours=1)
    assert counters.count("x", Radius(2, 3600)) == Counted()
    items = client("dynamodb").scan(TableName=STATE)["Items"]
    assert all(int(item["expires_at"]["N"]) > world.now.timestamp() for item in items)


def test_first_of_the_day_is_told_apart(world: World) -> None:
    """If this fails, people are told of a denial at every event, or on the first day only."""
    counters = _ledger(world).counters
    asked = [("x", "a"), ("x", "b"), ("x", "a"), ("y", "b")]
    assert [counters.first_today(*each) for each in asked] == [True, False, True, True]
    world.now += timedelta(days=1)
    assert counters.first_today("x", "b")
    _last(world, timedelta(days=2))


def test_turn_is_news_once_and_forgotten_after_two_days(world: World) -> None:
    """If this fails, people are told at every round that a source is off, or the state table grows for ever."""
    counters, quiet = _ledger(world).counters, timedelta(hours=1)
    asked = [("off", "a"), ("off", "b"), ("off", "a"), ("on", "b"), ("off", "c")]
    reported = [counters.should_report("source", value, owner, quiet) for value, owner in asked]
    assert reported == [True, False, True, True, True]
    _last(world, timedelta(days=2))
    world.now += quiet + timedelta(seconds=2)
    assert counters.should_report("source", "off", "d", quiet)


def _last(world: World, time: timedelta) -> None:
    """See that DynamoDB forgets the newest item of the state table after a time, and not before."""
    items = client("dynamodb").scan(TableName=STATE)["Items"]
    newest = max(int(item["expires_at"]["N"]) for item in items)
    assert abs(newest - (world.now + time).timestamp()) < 60


def test_dry_run_of_what_may_not_be_read_writes_nothing(world: World) -> None:
    """If this fails, a person's look writes a DENIED record."""
    arn = factories.key()
    message = "not authorized because no resource-based policy allows the kms:GetKeyRotationStatus action"
    world.wire.fail("kms", "GetKeyRotationStatus", "AccessDeniedException", message)
    with pytest.raises(Exception, match="no resource-based policy"):
        world.run(CONTROL, request(CONTROL, arn, dry_run=True))
    assert world.records() == []


def _store(world: World) -> SettingsStore:
    return SettingsStore(Aws(client), Environment.read(), world.clock)


def _forget(store: SettingsStore) -> None:
    """Let the minute of Powertools' cache, which has a clock of its own, be over."""
    if store._provider:
        store._provider.store.clear()


def test_last_good_settings_serve_for_five_minutes(world: World) -> None:
    """If this fails, a short outage of AppConfig stops all repairs, or a long one is acted through."""
    store = _store(world)
    first = store.load()
    for operation in ("GetLatestConfiguration", "StartConfigurationSession"):
        world.wire.fail("appconfigdata", operation, "InternalServerException", "down", times=-1)
    world.now += timedelta(minutes=4, seconds=50)
    _forget(store)
    assert store.load() is first
    world.now += timedelta(seconds=20)
    with pytest.raises(SettingsUnreadError, match=r"app-1/env-1/profile-1 cannot be read: .*down"):
        store.load()


def test_appconfig_is_left_alone_for_a_while_after_a_failure(world: World) -> None:
    """If this fails, each message of a wave asks an AppConfig that is down."""
    store = _store(world)
    world.wire.fail("appconfigdata", "StartConfigurationSession", "InternalServerException", "down")
    for _ in range(3):
        with pytest.raises(SettingsUnreadError, match="down"):
            store.load()
    assert world.wire.names() == ["appconfigdata:StartConfigurationSession"]
    world.now += timedelta(seconds=16)
    assert store.load().settle_seconds == 60


def test_session_that_is_used_up_is_opened_anew(world: World) -> None:
    """If this fails, a token that was lost with its answer keeps the settings out of reach."""
    store = _store(world)
    first = store.load()
    _forget(store)
    world.wire.fail("appconfigdata", "GetLatestConfiguration", "BadRequestException", "token expired")
    assert store.load() is first
    assert world.wire.names().count("appconfigdata:StartConfigurationSession") == 2


def test_settings_are_read_once_a_minute(world: World) -> None:
    """If this fails, every message costs a call, or a change is not seen."""
    store = _store(world)
    assert store.load() is store.load()
    assert world.wire.names().count("appconfigdata:GetLatestConfiguration") == 1
    world.settings('{"schema_version": 1, "settle_seconds": 5}')
    _forget(store)
    assert store.load().settle_seconds == 5
    assert store.changes == 2
    _forget(store)
    assert store.load() is store.load()
    assert store.changes == 2


def test_misplaced_settings_are_told(world: World, variables: pytest.MonkeyPatch) -> None:
    """If this fails, a stack that was deployed wrongly gives a riddle instead of a reason."""
    variables.setenv("EVENKEEL_SETTINGS", "somewhere")
    with pytest.raises(SettingsUnreadError, match="is not application/environment/profile"):
        _store(world).load()


def test_document_that_is_not_valid_is_refused_until_it_is_mended(world: World) -> None:
    """If this fails, a bad push is acted on, or a mended one is not taken."""
    store = _store(world)
    store.load()
    world.settings("{}")
    for _ in range(2):
        _forget(store)
        with pytest.raises(SettingsError, match="schema_version"):
            store.load()
    world.settings('{"schema_version": 1}')
    _forget(store)
    assert (store.load().settle_seconds, store.changes) == (60, 3)
