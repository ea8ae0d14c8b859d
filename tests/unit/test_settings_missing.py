"""A settings document that is missing: there never was one, or it is gone. The mark in the state table says which."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

import pytest
from aws_lambda_powertools.utilities.parameters import base

from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError, SettingsUnreadError
from evenkeel.model import Mode
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel.runtime.environment import Environment
from evenkeel.settings.loaded_mark import KEY, SettingsMark
from evenkeel.settings.store import SettingsStore
from tests.wire import one_at_a_time, refusal
from tests.world import VARIABLES, client

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.settings.parser import Settings
    from tests.world import World

CONTROL = "kms-key-rotation"
OFF = {"schema_version": 1, "controls": {CONTROL: {"mode": "off"}}}
START, GET = "StartConfigurationSession", "GetLatestConfiguration"
ENVIRONMENT = Environment.read(VARIABLES)
MINUTE = 60


@pytest.fixture
def worker(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SettingsStore]:
    """Return what starts a worker; the test's clock rules Powertools' cache and AppConfig's intervals, too."""

    class Clock:
        @staticmethod
        def now(*_: Any) -> Any:
            return world.now

    monkeypatch.setattr(base, "datetime", Clock)
    world.configuration.clock = lambda: world.clock().timestamp()

    def start(connect: Callable[[str], Any] = client, start_mode: str = "recommended") -> SettingsStore:
        environment = Environment.read({**VARIABLES, "EVENKEEL_START_MODE": start_mode})
        return SettingsStore(Aws(connect), environment, world.clock)

    return start


def _mode(settings: Settings) -> Mode:
    return settings.of(all_controls()[CONTROL]).mode


def _mark() -> dict[str, Any]:
    answer = client("dynamodb").get_item(TableName=ENVIRONMENT.state_table, Key=wire({"pk": KEY}))
    return unwire(answer.get("Item", {}))


def _missing(world: World, operation: str, kind: str) -> None:
    """Let AppConfig say that a resource is missing; ``kind`` is the type that it names, empty for none."""
    response, parsed = refusal("ResourceNotFoundException", "The requested resource could not be found.", status=404)
    named = parsed | ({"ResourceType": kind} if kind else {})
    world.wire.when("appconfigdata", operation, lambda _: (response, named), times=99)


@pytest.mark.parametrize(("start_mode", "mode"), [("recommended", Mode.ENFORCE), ("notify", Mode.NOTIFY)])
@pytest.mark.parametrize(
    "answer", [None, (START, "Deployment"), (START, "Configuration"), (GET, "Deployment"), (GET, "Configuration"),
               (GET, "")],
)  # fmt: skip
def test_a_stack_to_which_nothing_was_pushed_works_by_its_start_mode(
    world: World, worker: Callable[..., SettingsStore], answer: tuple[str, str] | None, start_mode: str, mode: Mode
) -> None:
    """If this fails, a new stack does nothing until somebody pushes settings, or acts though it should announce."""
    world.configuration.document = b""
    if answer:
        _missing(world, *answer)
    assert _mode(worker(start_mode=start_mode).load()) is mode
    assert _mark() == {}


@pytest.mark.parametrize(
    ("operation", "code", "kind"),
    [
        (START, "ResourceNotFoundException", "Application"),
        (START, "ResourceNotFoundException", "Environment"),
        (START, "ResourceNotFoundException", "ConfigurationProfile"),
        (START, "ResourceNotFoundException", ""),
        (GET, "ResourceNotFoundException", "ConfigurationProfile"),
        (START, "AccessDeniedException", ""),
        (GET, "BadRequestException", ""),
        (GET, "InternalServerException", ""),
        (GET, "ThrottlingException", ""),
    ],
)
def test_other_answers_do_not_mean_that_nothing_was_pushed(
    world: World, worker: Callable[..., SettingsStore], operation: str, code: str, kind: str
) -> None:
    """If this fails, a broken stack or an outage counts as empty settings, and Evenkeel changes what it should not."""
    response, parsed = refusal(code)
    world.wire.when("appconfigdata", operation, lambda _: (response, parsed | {"ResourceType": kind}), times=99)
    with pytest.raises(SettingsUnreadError, match="app-1/env-1/profile-1 cannot be read"):
        worker().load()


def test_an_answer_without_a_next_token_is_not_an_empty_one(world: World, worker: Callable[..., SettingsStore]) -> None:
    """If this fails, an answer that Powertools cannot read counts as empty settings."""
    world.wire.answer("appconfigdata", GET, {"Configuration": io.BytesIO(b"{}")}, times=9)
    with pytest.raises(SettingsUnreadError, match="NextPollConfigurationToken"):
        worker().load()


@pytest.mark.parametrize("answer", [None, (START, "Deployment"), (GET, "Configuration"), (GET, "")])
def test_once_a_document_was_loaded_a_missing_one_stops_all_acting(
    world: World, worker: Callable[..., SettingsStore], answer: tuple[str, str] | None
) -> None:
    """If this fails, whoever deletes a deployment switches everything on that people had switched off."""
    world.settings(OFF)
    assert _mode(worker().load()) is Mode.OFF
    world.configuration.document = b""
    if answer:
        _missing(world, *answer)
    with pytest.raises(SettingsUnreadError, match="no document is deployed there, and this stack has loaded one"):
        worker().load()


def test_what_is_pushed_after_that_is_obeyed(world: World, worker: Callable[..., SettingsStore]) -> None:
    """If this fails, a worker that met missing settings stays idle until it dies."""
    world.settings(OFF)
    worker().load()
    world.configuration.document = b""
    store = worker()
    with pytest.raises(SettingsUnreadError):
        store.load()
    world.settings(OFF)
    world.sleep(16)
    assert _mode(store.load()) is Mode.OFF


def test_a_warm_worker_keeps_the_last_document_for_five_minutes(
    world: World, worker: Callable[..., SettingsStore]
) -> None:
    """If this fails, a document that vanishes under a warm worker counts as empty, or rules for ever."""
    world.settings(OFF)
    store = worker()
    store.load()
    _missing(world, GET, "Deployment")
    world.sleep(4.9 * MINUTE)
    assert _mode(store.load()) is Mode.OFF
    world.sleep(0.2 * MINUTE)
    with pytest.raises(SettingsUnreadError, match="has loaded one before"):
        store.load()


def test_an_empty_document_gives_way_once_another_worker_has_loaded_one(
    world: World, worker: Callable[..., SettingsStore]
) -> None:
    """If this fails, a worker that AppConfig does not serve yet acts for minutes more against the first settings."""
    world.configuration.document = b""
    waits = worker()
    assert _mode(waits.load()) is Mode.ENFORCE
    world.settings(OFF)
    assert _mode(worker().load()) is Mode.OFF
    world.configuration.document = b""
    world.sleep(MINUTE + 1)
    with pytest.raises(SettingsUnreadError, match="has loaded one before"):
        waits.load()
    with pytest.raises(SettingsUnreadError, match="has loaded one before"):
        waits.load()


def test_the_first_push_reaches_a_worker_that_had_none(world: World, worker: Callable[..., SettingsStore]) -> None:
    """If this fails, settings pushed to a running stack are not seen, or leave no mark."""
    world.configuration.document = b""
    store = worker()
    store.load()
    world.settings({"schema_version": 1})  # it says the same, and yet it is people's own
    world.sleep(MINUTE + 1)
    assert store.load().version == _mark()["settings_version"]
    assert store.changes == 2


def test_absence_is_asked_for_once_a_minute(world: World, worker: Callable[..., SettingsStore]) -> None:
    """If this fails, a stack without settings pays for calls with every message."""
    world.configuration.document = b""
    store = worker()
    for _ in range(5):
        store.load()
    once = [f"appconfigdata:{START}", f"appconfigdata:{GET}", "dynamodb:GetItem"]
    assert world.wire.names() == once
    world.sleep(MINUTE + 1)
    store.load()
    assert world.wire.names() == once * 2


def test_the_mark_is_written_once_a_worker_and_keeps_the_first(
    world: World, worker: Callable[..., SettingsStore]
) -> None:
    """If this fails, each load costs a write, or nobody can say since when settings are missed."""
    world.settings(OFF)
    store, began = worker(), int(world.now.timestamp())
    version = store.load().version
    for seconds in (5, 6, 7):
        world.settings({**OFF, "settle_seconds": seconds})
        world.sleep(MINUTE + 1)
        store.load()
    worker().load()
    assert world.wire.names().count("dynamodb:UpdateItem") == 2
    assert _mark() == {"pk": KEY, "loaded_at": began, "settings_version": version}


def test_a_document_whose_mark_is_not_written_is_not_trusted(
    world: World, worker: Callable[..., SettingsStore]
) -> None:
    """If this fails, a stack forgets that it had settings, and an `off` that vanishes later counts for nothing."""
    world.settings(OFF)
    world.wire.fail("dynamodb", "UpdateItem", "AccessDeniedException")
    store = worker()
    for _ in range(5):
        with pytest.raises(SettingsUnreadError, match="the mark that a document was loaded cannot be written"):
            store.load()
    assert world.wire.names().count("dynamodb:UpdateItem") == 1
    world.sleep(16)
    assert _mode(store.load()) is Mode.OFF
    assert _mark()


def test_a_first_document_that_cannot_be_marked_ends_the_empty_one(
    world: World, worker: Callable[..., SettingsStore]
) -> None:
    """If this fails, a worker goes on without settings although AppConfig has handed it some."""
    world.configuration.document = b""
    store = worker()
    store.load()
    world.settings(OFF)
    world.sleep(MINUTE + 1)
    world.wire.fail("dynamodb", "UpdateItem", "InternalServerError", status=500, times=9)
    for _ in range(2):
        with pytest.raises(SettingsUnreadError, match="the mark that a document was loaded cannot be written"):
            store.load()


def test_a_mark_that_cannot_be_read_stops_all_acting(world: World, worker: Callable[..., SettingsStore]) -> None:
    """If this fails, DynamoDB's trouble makes missing settings count as empty."""
    world.configuration.document = b""
    world.wire.fail("dynamodb", "GetItem", "ProvisionedThroughputExceededException", times=9)
    with pytest.raises(SettingsUnreadError, match="the state table does not say whether one ever was"):
        worker().load()


def test_a_document_that_is_refused_leaves_no_mark(world: World, worker: Callable[..., SettingsStore]) -> None:
    """If this fails, a first push that AppConfig takes back leaves the stack idle instead of as it was."""
    world.settings("{}")
    with pytest.raises(SettingsError):
        worker().load()
    assert _mark() == {}


def test_workers_that_load_the_first_document_together_all_trust_it(
    world: World, worker: Callable[..., SettingsStore]
) -> None:
    """If this fails, of the workers that meet the first push at once all but one stop working."""
    world.settings(OFF)
    connect = one_at_a_time(client)
    stores = [worker(connect) for _ in range(4)]
    modes: list[Mode] = []
    threads = [threading.Thread(target=lambda each=each: modes.append(_mode(each.load()))) for each in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert modes == [Mode.OFF] * 4


def test_a_mark_set_between_look_and_write_counts_as_set(world: World) -> None:
    """If this fails, the loser of the race for the mark takes its settings for unread."""
    mark = SettingsMark(Aws(client), ENVIRONMENT.state_table)
    assert not mark.is_set()
    mark.set("one", world.now)
    mark.set("two", world.now)
    assert mark.is_set()
    assert _mark() == {"pk": KEY, "loaded_at": int(world.now.timestamp()), "settings_version": "one"}
