"""The notifier and the chain: what fits itself and is not in its chain was planted, whoever could put it there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit.records import new_id, seal
from evenkeel.audit.state_item import StateItem
from evenkeel.runtime.dynamodb import wire
from notifier.handler import handler
from tests import factories
from tests.tables import AUDIT
from tests.unit.test_notifier import FINE
from tests.unit.test_notifier import inbox as inbox  # noqa: PLC0414 - pytest finds fixtures by their name here
from tests.world import Context, client, logged, metrics, request

if TYPE_CHECKING:
    from evenkeel.audit.records import Record
    from tests.world import World

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")
CONTROL = "kms-key-rotation"


def _stream(*records: Record) -> dict[str, Any]:
    """Return what the audit table's stream tells of new records."""
    images = [
        {"Keys": wire({key: each[key] for key in ("resource", "record_id")}), "NewImage": wire(each)}
        for each in records
    ]
    return {
        "Records": [
            {"eventName": "INSERT", "dynamodb": {**image, "SequenceNumber": str(number)}}
            for number, image in enumerate(images)
        ]
    }


def _kinds(world: World, url: str) -> list[str]:
    return [message["MessageAttributes"]["kind"]["StringValue"] for message in world.messages(url)]


def _put(record: Record) -> Record:
    client("dynamodb").put_item(TableName=AUDIT, Item=wire(record))
    return record


def _forged(world: World, record: Record, previous: str = "", **changes: Any) -> Record:
    """Return a record like another one, of now, whose own hash is right."""
    kept = {name: value for name, value in record.items() if name not in {"hash", "previous"}}
    return seal({**kept, "record_id": new_id(world.clock()), **changes}, previous)


@pytest.fixture
def repaired(world: World) -> list[Record]:
    """Return the two records of a repair."""
    assert world.run(CONTROL, request(CONTROL, factories.key(), creates=True)).outcome == "REMEDIATED"
    found = world.records()
    world.wire.clear()
    return found


def test_records_of_the_engine_are_known_and_cost_a_read_each(
    world: World, inbox: str, repaired: list[Record], caplog: pytest.LogCaptureFixture
) -> None:
    """If this fails, each repair is a critical alert, for the chain is longer by the time the stream tells of it."""
    assert handler(_stream(*repaired), Context()) == FINE
    assert _kinds(world, inbox) == ["Outcome"]
    assert logged(caplog)["announced"] == 1
    reads = [name for name in world.wire.names() if name.startswith("dynamodb:")]
    assert reads == ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:GetItem"]


def test_record_is_known_however_far_the_chain_has_grown(world: World, inbox: str, repaired: list[Record]) -> None:
    """If this fails, alerts that were late, or told again from a dead letter, are taken for planted ones."""
    arn = repaired[0]["resource"]
    for _ in range(2):
        client("kms").disable_key_rotation(KeyId=arn)
        assert world.run(CONTROL, request(CONTROL, arn)).outcome == "REMEDIATED"
    world.run("tagging-required-tags", request("tagging-required-tags", arn))
    assert handler(_stream(*repaired), Context()) == FINE
    assert _kinds(world, inbox) == ["Outcome"]


def test_record_is_known_where_the_next_workers_clock_is_behind(
    world: World, inbox: str, repaired: list[Record]
) -> None:
    """If this fails, two workers whose clocks differ by seconds make a critical alert."""
    outcome = repaired[-1]
    world.now -= timedelta(seconds=30)
    later = _forged(world, outcome, outcome["hash"])
    item = world.state(CONTROL, outcome["resource"])
    kept = {name: value for name, value in later.items() if name not in {"hash", "previous"}}
    assert world.ledger().announce(kept, StateItem(head=item.head))["record_id"] < outcome["record_id"]
    assert handler(_stream(outcome), Context()) == FINE
    assert _kinds(world, inbox) == ["Outcome"]


@pytest.mark.parametrize("step", ["PLANNED", "OUTCOME"])
@pytest.mark.parametrize("after", ["", "the repair"])
def test_record_that_fits_itself_and_no_chain_is_told_as_planted(
    world: World, inbox: str, repaired: list[Record], step: str, after: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, whoever may put items can have people told that a weak resource was mended."""
    planted = _put(_forged(world, repaired[-1], repaired[-1]["hash"] if after else "", step=step))
    assert handler(_stream(planted), Context()) == FINE
    assert _kinds(world, inbox) == ["Tampering"]
    assert metrics(capsys.readouterr().out) == {"Tampering": 1}


def test_record_of_a_resource_without_a_chain_is_told_as_planted(
    world: World, inbox: str, repaired: list[Record]
) -> None:
    """If this fails, a record of a resource that Evenkeel never looked at passes for its work."""
    elsewhere = f"{repaired[-1]['resource'][:-4]}ffff"
    planted = _put(_forged(world, repaired[-1], resource=elsewhere))
    assert handler(_stream(planted), Context()) == FINE
    assert _kinds(world, inbox) == ["Tampering"]


@pytest.mark.parametrize("claimed", ["head", "own"])
def test_planted_records_do_not_vouch_for_each_other(
    world: World, inbox: str, repaired: list[Record], claimed: str
) -> None:
    """If this fails, a second planted record makes the first one pass."""
    first = _put(_forged(world, repaired[-1], repaired[-1]["hash"]))
    second = _forged(world, first, first["hash"])
    _put({**second, "hash": repaired[-1]["hash"] if claimed == "head" else second["hash"]})
    assert handler(_stream(first), Context()) == FINE
    assert _kinds(world, inbox) == ["Tampering"]


def test_planted_rubbish_does_not_hide_what_is_real(world: World, inbox: str, repaired: list[Record]) -> None:
    """If this fails, one unreadable item among a resource's records blocks its alerts or makes them tampering."""
    resource = repaired[0]["resource"]
    _put({"resource": resource, "record_id": "ffffffffffff-rubbish", "previous": b"x"})
    _put({"resource": resource, "record_id": "ffffffffffff-nothing"})
    assert handler(_stream(repaired[0], repaired[1]), Context()) == FINE
    assert _kinds(world, inbox) == ["Outcome"]


def test_record_id_of_another_form_is_told_as_planted(world: World, inbox: str, repaired: list[Record]) -> None:
    """If this fails, a planted record blocks the stream by its id."""
    planted = _put(_forged(world, repaired[-1], record_id="latest"))
    assert handler(_stream(planted), Context()) == FINE
    assert _kinds(world, inbox) == ["Tampering"]


@pytest.mark.parametrize("operation", ["GetItem", "Query"])
def test_tables_that_do_not_answer_are_asked_again(
    world: World, inbox: str, repaired: list[Record], operation: str
) -> None:
    """If this fails, a throttled table makes a genuine record a critical alert, or a planted one pass."""
    world.wire.fail("dynamodb", operation, "ProvisionedThroughputExceededException", times=99)
    answer = handler(_stream(repaired[0]), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "0"}]}
    assert _kinds(world, inbox) == []
