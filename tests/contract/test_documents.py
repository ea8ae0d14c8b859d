"""Documents outlive a deployment: what each release wrote is read today, and a form changes only with its version.

The samples in ``tests/samples/`` are the documents of one small story, stored when a release was made.
"""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime, timedelta
from pydoc import locate
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit import digests
from evenkeel.audit.digests import Part
from evenkeel.audit.state_item import StateItem
from evenkeel.control.registry import all_controls
from evenkeel.events import parsing
from evenkeel.model import Cause, Mode
from evenkeel.operators.runs import Terms
from evenkeel.runtime.dynamodb import wire
from evenkeel.settings import parser
from evenkeel.settings.rules import Subject
from evenkeel.versions import DOCUMENTS
from evenkeel_cli.audit.checkpoint import CHECKPOINT, Checkpoint
from evenkeel_cli.settings.json_schema import schema
from notifier import alert
from tests import factories
from tests.samples import story
from tests.samples.stored import form, forms, load, releases
from tests.samples.story import CONTROL, FULL_REQUEST, PROGRESS, TABLES, arn
from tests.tables import AUDIT, STATE
from tests.unit.deciding import BOB, CAROL
from tests.unit.test_alert import HOME
from tests.world import ACCOUNT, PLACE, REGION, client, request
from tools.rendering import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.world import World

STORY = ("tables", "request", "requests", "settings", "event", "checkpoint")
VERSIONS = {each.name: each for each in (*DOCUMENTS, CHECKPOINT)}
CONTROLS = tuple(all_controls().values())
TO_DO = (
    "What it writes differs from tests/samples/{release}, under the same version. An older or newer release cannot tell"
    " the two apart: raise the document's version in evenkeel/versions.py, let its decoder read this form for two more"
    " versions, and when the release is made store what it writes: python -m tests.samples vX.Y"
)


@pytest.fixture(params=releases())
def release(request: pytest.FixtureRequest) -> str:
    """Each release whose documents are stored."""
    name: str = request.param
    return name


@pytest.fixture
def kept(world: World, release: str) -> Iterator[list[dict[str, Any]]]:
    """Put what a release left in its tables into a world a minute later; in the end, prove every chain."""
    tables = load(release, "tables")
    if not VERSIONS["record"].reads(tables["audit"][0]["schema_version"]):
        pytest.skip("older than what is read")
    for name in TABLES:
        factories.table(name)
    for table, items in ((AUDIT, tables["audit"]), (STATE, tables["state"])):
        for item in items:
            client("dynamodb").put_item(TableName=table, Item=wire(item))
    for name in ("repaired", "approved"):
        client("dynamodb").update_table(TableName=name, DeletionProtectionEnabled=True)
    world.now = datetime.fromisoformat(tables["at"]) + timedelta(minutes=1)
    yield tables["audit"]
    world.chains()


def _protected(name: str) -> bool:
    return bool(client("dynamodb").describe_table(TableName=name)["Table"]["DeletionProtectionEnabled"])


def _of(found: list[dict[str, Any]], name: str, outcome: str) -> dict[str, Any]:
    return next(each for each in found if each["resource"] == arn(name) and each.get("outcome", "PLANNED") == outcome)


def test_repair_of_an_earlier_release_is_undone(world: World, kept: list[dict[str, Any]]) -> None:
    """If this fails, an update takes away the way back for all that was repaired before it."""
    record = _of(kept, "repaired", "REMEDIATED")["record_id"]
    done = story.undoer(world, CAROL).run(all_controls()[CONTROL], arn("repaired"), record)
    assert (done.outcome, _protected("repaired")) == ("UNDONE", False)


def test_what_an_earlier_release_kept_for_approval_is_approved(world: World, kept: list[dict[str, Any]]) -> None:
    """If this fails, whatever waited for approval when the stack was updated can never be approved."""
    waits = _of(kept, "awaiting", "AWAITING")
    payload = {"approve": waits["record_id"], "resource": arn("awaiting")}
    assert story.decide(world, BOB, story.under("approve"), **payload) == "REMEDIATED"
    assert _protected("awaiting")
    assert world.records()[-1]["approver"] == BOB


@pytest.mark.parametrize("name", ["held", "frozen"])
def test_what_an_earlier_release_held_is_released(world: World, kept: list[dict[str, Any]], name: str) -> None:
    """If this fails, what was held or frozen when the stack was updated stays unrepaired."""
    assert world.kept(CONTROL, arn(name)).resource.arn == _of(kept, name, "HELD")["resource"]
    payload = {"release": CONTROL, "resource": arn(name)}
    assert story.decide(world, BOB, story.under("enforce"), **payload) == "REMEDIATED"
    assert _protected(name)


def test_plan_that_an_earlier_release_left_open_is_finished(world: World, kept: list[dict[str, Any]]) -> None:
    """If this fails, a worker that the update ended leaves a plan that nobody finishes, or that is made twice."""
    plan = _of(kept, "planned", "PLANNED")["record_id"]
    world.now += timedelta(minutes=15)
    seen = request(CONTROL, arn("planned"), cause=Cause("verify", event_name="clerk"))
    assert world.run(CONTROL, seen, document=story.under("enforce"), owner="worker-2").outcome == "REMEDIATED"
    ended = [each for each in world.records() if each["resource"] == arn("planned")]
    assert [(each["step"], each.get("plan_id", "")) for each in ended] == [("PLANNED", ""), ("OUTCOME", plan)]


@pytest.mark.usefixtures("kept")
def test_a_persons_hold_and_what_was_announced_are_remembered(world: World) -> None:
    """If this fails, an update repairs what people undid, or tells on-call everything once more."""
    reason = story.look(world, "undone", "enforce").reason
    assert reason.startswith("held until ")
    assert CAROL in reason
    assert _undone(world) in reason
    assert not _protected("undone")
    before = world.outcomes()
    assert story.look(world, "announced", "notify").outcome != "ANNOUNCED"
    assert world.outcomes() == before


def _undone(world: World) -> str:
    return str(next(each["undoes"] for each in world.records() if each.get("outcome") == "UNDONE"))


def test_run_of_an_earlier_release_is_still_open(world: World, kept: list[dict[str, Any]]) -> None:
    """If this fails, a person's run ends without a word when the stack is updated, or covers other resources."""
    record = next(each for each in kept if each.get("outcome") == "OPENED")
    run = story.opened(world).find(record["resource"].rpartition("/")[2])
    assert run.terms == Terms((CONTROL,), (arn("orders"),), dry_run=False, allowance=5, hours=2)


def test_records_of_an_earlier_release_are_told(kept: list[dict[str, Any]]) -> None:
    """If this fails, what was audited just before an update is announced as tampering, or not at all."""
    told = alert.outcome(_of(kept, "repaired", "REMEDIATED"), HOME)
    assert f"{arn('repaired')}" in told.text
    assert told.attributes["outcome"] == "REMEDIATED"


def test_digest_of_an_earlier_release_anchors_its_chains(kept: list[dict[str, Any]]) -> None:
    """If this fails, an update makes all chains from before look as if nobody had anchored them."""
    part = Part.read(next(each for each in kept if each["resource"] == digests.RESOURCE))
    assert part is not None
    assert {head.resource for head in part.heads} > set(map(arn, TABLES))
    assert part.last


@pytest.mark.parametrize(("file", "count"), [("request", 1), ("requests", 2)])
def test_message_of_an_earlier_release_asks_for_the_same(release: str, file: str, count: int) -> None:
    """If this fails, messages that wait while the stack is updated become dead letters, or ask for something else."""
    found = parsing.parse(load(release, file), CONTROLS, PLACE)
    assert len(found.requests) == count
    assert (found.requests[0], found.malformed) == (FULL_REQUEST, ())


def test_settings_of_an_earlier_release_mean_the_same(release: str) -> None:
    """If this fails, an update changes what people switched off, exempted or froze."""
    loaded, control = parser.parse(json.dumps(load(release, "settings"))), all_controls()[CONTROL]
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    subject = Subject(arn("orders"), ACCOUNT, REGION, {})
    special = Subject(arn("special"), ACCOUNT, REGION, {"team": "shop"})
    found = loaded.of(control, subject)
    assert (found.mode, found.radius.limit, found.radius.window_seconds) == (Mode.ENFORCE, 5, 600)
    assert loaded.of(control, special).mode is Mode.OFF
    exemption = loaded.exemption(control, special, noon)
    assert exemption is not None
    assert (exemption.approver, loaded.exemption(control, subject, noon)) == ("alice@example.com", None)
    assert loaded.frozen_until(control, noon) == noon + timedelta(hours=1)
    assert loaded.settle_seconds == 30


def test_interrupted_verification_of_an_earlier_release_goes_on(
    release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If this fails, ``audit verify --resume`` goes on from another place than it came to, and skips records."""
    monkeypatch.setattr("evenkeel_cli.audit.checkpoint.typer.get_app_dir", lambda _: str(tmp_path))
    stored = load(release, "checkpoint")
    begun = datetime.fromisoformat(stored["begun_at"])
    file = Checkpoint(story.AUDIT_TABLE, begun + timedelta(hours=1))
    file.path.write_text(json.dumps(stored), encoding="utf-8")
    assert file.load() == PROGRESS


@pytest.fixture
def today(world: World) -> dict[str, Any]:
    """What this code writes."""
    return story.documents(world)


def test_form_changes_only_with_its_version(today: dict[str, Any]) -> None:
    """If this fails, an update or a rollback takes a document for what it is not."""
    release = releases()[-1]
    stored = {name: load(release, name) for name in STORY}
    was = forms(stored)
    for name, written in forms(today).items():
        if VERSIONS[name].version == _version(stored, name):
            assert written == was[name], f"{name}: {TO_DO.format(release=release)}"


def test_version_that_was_raised_has_a_sample_once_it_is_released(today: dict[str, Any]) -> None:
    """If this fails, code writes another version than its table says, or a version was skipped or lowered."""
    release = releases()[-1]
    stored = {name: load(release, name) for name in STORY}
    for name in forms(today):
        assert _version(today, name) == VERSIONS[name].version
        assert VERSIONS[name].version - _version(stored, name) in {0, 1}, f"{name}: one version a release"


def _version(documents: dict[str, Any], name: str) -> int:
    """Return the version of a kind of document in a story."""
    audit, state = documents["tables"]["audit"], documents["tables"]["state"]
    where = {
        "record": next(each for each in audit if "step" in each),
        "digest": next(each for each in audit if "heads" in each),
        "state": next(each for each in state if "head" in each),
    }
    return int({**documents, **where}[name]["schema_version"])


def test_settings_sample_has_every_key_that_people_may_write() -> None:
    """If this fails, a key was added to, or taken from, the settings without a new version."""
    release = releases()[-1]
    stored = load(release, "settings")
    if stored["schema_version"] == VERSIONS["settings"].version:
        assert _keys(schema([all_controls()[CONTROL]])) == _paths(form(stored)), TO_DO.format(release=release)


def _keys(part: dict[str, Any], path: str = "") -> set[str]:
    """Return the paths of all keys that a schema allows."""
    found = {path} if path else set()
    if path.endswith(("/parameters", "/tags")):
        return found
    for name, each in part.get("properties", {}).items():
        found |= _keys(each, f"{path}/{name}")
    items = part.get("items")
    return found | _keys(items, path) if isinstance(items, dict) else found


def _paths(part: Any, path: str = "") -> set[str]:
    """Return the paths of all keys in a form."""
    found = {path} if path else set()
    for each in part if isinstance(part, list) else []:
        found |= _paths(each, path)
    for name, each in part.items() if isinstance(part, dict) else []:
        found |= _paths(each, f"{path}/{name}")
    return found


def test_each_decoder_is_where_the_table_says() -> None:
    """If this fails, whoever raises a version looks for the decoder in vain."""
    for document in VERSIONS.values():
        assert not document.decoder or locate(document.decoder), document.decoder


def test_version_of_the_package_has_samples() -> None:
    """If this fails, a release is made without its documents: no later one is tried on them."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"v{version.rpartition('.')[0]}" in releases()


def test_readers_take_two_versions_back_and_none_to_come() -> None:
    """If this fails, an update cannot read what is there, or a rollback acts on what it does not understand."""
    for document in VERSIONS.values():
        now = document.version
        assert [document.reads(each) for each in (now, now + 1, str(now), True, None)] == [True, *[False] * 4]
        assert [document.is_newer(each) for each in (now, now + 1, "2", None)] == [False, True, False, False]
    later = type(VERSIONS["record"])("", 5, "", "", "")
    assert [number for number in range(8) if later.reads(number)] == [3, 4, 5]


def test_state_of_a_later_release_is_not_acted_on(world: World) -> None:
    """If this fails, a rollback repairs what a later release holds in a form that this one does not know."""
    factories.table("orders")
    item = {"pk": f"{CONTROL}#{arn('orders')}", "head": "f" * 64, "schema_version": 2}
    client("dynamodb").put_item(TableName=STATE, Item=wire(item))
    with pytest.raises(Exception, match="schema version 2; update the stack"):
        story.look(world, "orders", "enforce")
    assert not _protected("orders")
    assert StateItem.of(wire({**item, "schema_version": 1})).head == "f" * 64


def test_record_of_a_later_release_is_not_acted_on(world: World, kept: list[dict[str, Any]]) -> None:
    """If this fails, a rollback approves, or takes up, a plan whose meaning it does not know."""
    waits = _of(kept, "awaiting", "AWAITING")
    client("dynamodb").put_item(TableName=AUDIT, Item=wire({**waits, "schema_version": 2}))
    payload = {"approve": waits["record_id"], "resource": arn("awaiting")}
    with pytest.raises(Exception, match="schema version 2; update the stack"):
        story.decide(world, BOB, story.under("approve"), **payload)
    assert not _protected("awaiting")
    client("dynamodb").put_item(TableName=AUDIT, Item=wire(waits))
