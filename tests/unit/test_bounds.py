"""What bounds Evenkeel: so many changes a window, so many rounds a day, one change for events that come together."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from evenkeel.audit.counters import CONTROL_HOLD, Counted
from evenkeel.control import Radius
from evenkeel.control.registry import all_controls
from evenkeel.errors import LeaseHeldError
from evenkeel.model import Actor, Cause
from evenkeel.settings import parser
from tests.tables import STATE
from tests.wire import Crash, one_at_a_time
from tests.world import ACCOUNT, QUEUE_URL, client, request

if TYPE_CHECKING:
    from evenkeel.model import Request
    from tests.world import World

CONTROL = "kms-key-rotation"
BOB = f"arn:aws:iam::{ACCOUNT}:user/bob"
TERRAFORM = Actor(f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/run-7", user_agent="HashiCorp Terraform/1.9.0")
pytestmark = pytest.mark.usefixtures("people")


@pytest.fixture(autouse=True)
def _unbroken(world: World) -> Any:
    yield
    world.chains()


def _key() -> str:
    return client("kms").create_key()["KeyMetadata"]["Arn"]


def _rotates(arn: str) -> bool:
    return client("kms").get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


def _limit(limit: int, seconds: int = 3600) -> dict[str, Any]:
    radius = {"limit": limit, "window_seconds": seconds}
    return {"schema_version": 1, "controls": {CONTROL: {"blast_radius": radius}}}


def _in_parallel(world: World, wishes: list[Request], document: dict[str, Any]) -> Counter[str]:
    """Run each request in a thread and worker of its own, all begun together; count the outcomes."""
    connect, loaded = one_at_a_time(client), parser.parse(json.dumps(document))
    ready, found, lock = threading.Barrier(len(wishes)), Counter[str](), threading.Lock()

    def work(number: int, wish: Request) -> None:
        pipeline = world.visits(f"worker-{number}", connect=connect)
        ready.wait()
        outcome = str(pipeline.run(all_controls()[CONTROL], wish, loaded).outcome)
        with lock:
            found[outcome] += 1

    threads = [threading.Thread(target=work, args=each) for each in enumerate(wishes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _held(world: World) -> list[dict[str, Any]]:
    return [record for record in world.records() if record.get("outcome") == "HELD"]


def test_twenty_workers_at_once_change_exactly_as_many_as_allowed(world: World) -> None:
    """If this fails, a wave that many Lambdas serve goes past the blast radius, or wakes on-call twenty times."""
    world.now = world.now.replace(minute=0, second=0)
    keys = [_key() for _ in range(20)]
    found = _in_parallel(world, [request(CONTROL, key, creates=True) for key in keys], _limit(7))
    assert found == {"REMEDIATED": 7, "HELD": 13}
    assert sum(map(_rotates, keys)) == 7
    assert Counter((record["severity"], record["announce"]) for record in _held(world)) == {
        ("CRITICAL", True): 1,
        ("MEDIUM", False): 12,
    }
    assert all(world.kept(CONTROL, key).resource.arn == key for key in keys if not _rotates(key))


@pytest.mark.parametrize("creates", [True, False])
def test_twenty_equal_events_at_once_make_one_change(world: World, creates: bool) -> None:
    """If this fails, a duplicated event changes a resource twice, or forks its chain."""
    key = _key()
    wishes = [request(CONTROL, key, creates=creates) for _ in range(20)]
    found = _in_parallel(world, wishes, {"schema_version": 1})
    assert found["REMEDIATED"] == 1
    assert set(found) <= {"REMEDIATED", "COMPLIANT", "RETURNED"}
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_worker_that_looked_before_another_repaired_looks_again(world: World) -> None:
    """If this fails, a worker that was slow to begin repeats another's change from a state that is past."""
    key = _key()

    def other(_: object) -> None:
        world.wire._plans.clear()
        loaded = parser.parse('{"schema_version": 1}')
        world.visits("worker-2").run(all_controls()[CONTROL], request(CONTROL, key), loaded)

    world.wire.when("dynamodb", "GetItem", other)
    assert world.run(CONTROL, request(CONTROL, key)).outcome == "COMPLIANT"
    assert world.outcomes() == ["PLANNED", "REMEDIATED"]


def test_crash_over_a_full_blast_radius_does_not_silence_it(world: World) -> None:
    """If this fails, a control is held for a day and nobody hears of it, since the worker that found out died."""
    world.now = world.now.replace(minute=0, second=0)
    first, second, third = (request(CONTROL, _key()) for _ in range(3))
    assert world.run(CONTROL, first, document=_limit(1)).outcome == "REMEDIATED"
    world.wire.crash("dynamodb", "TransactWriteItems")
    with pytest.raises(Crash):
        world.run(CONTROL, second, document=_limit(1))
    world.run(CONTROL, third, document=_limit(1), owner="worker-2")
    world.run(CONTROL, second, document=_limit(1), owner="worker-3", redelivered=True)
    held = [(each["resource"], each["announce"]) for each in world.records() if each.get("outcome") == "HELD"]
    assert held == [(third.resource.arn, False), (second.resource.arn, True)]


def test_window_rolls_before_the_limit_is_hit(world: World) -> None:
    """If this fails, changes of yesterday count against today's."""
    counters = world.ledger().counters
    world.now = world.now.replace(minute=59, second=58, microsecond=0)
    for _ in range(3):
        assert [counters.count("x", Radius(2, 3600)) for _ in range(2)] == [Counted(), Counted()]
        world.now += timedelta(hours=1)


def test_whoever_hits_the_limit_is_told_apart_and_all_hear_when_it_ends(world: World) -> None:
    """If this fails, on-call hears of a full blast radius at every event, or never."""
    counters = world.ledger().counters
    world.now = world.now.replace(minute=0, second=0, microsecond=0)
    counters.count("x", Radius(1, 3600))
    first, until = counters.count("x", Radius(1, 3600)), world.now.replace(microsecond=0) + CONTROL_HOLD
    assert first.held_until is not None
    assert (first.held_until.replace(microsecond=0), first.first) == (until, True)
    assert (first.limit, first.changes, first.window_seconds) == (1, 1, 3600)
    assert counters.count("x", Radius(1, 3600)) == replace(first, first=False)
    world.now += timedelta(hours=20)
    assert counters.count("x", Radius(1, 3600)) == replace(first, first=False)
    world.now = until + timedelta(hours=1)
    assert [counters.count("x", Radius(1, 3600)).first for _ in range(3)] == [False, True, False]


def test_limit_above_what_was_counted_ends_the_hold(world: World) -> None:
    """If this fails, who raises the limit has to wait for a day all the same, or a raise lifts the bound for good."""
    counters = world.ledger().counters
    world.now = world.now.replace(minute=0, second=0, microsecond=0)
    for _ in range(4):
        held = counters.count("x", Radius(3, 3600))
    assert (held.held_until is not None, held.limit, held.changes) == (True, 3, 3)
    assert counters.count("x", Radius(3, 3600)).held_until == held.held_until
    assert counters.count("x", Radius(5, 3600), check_only=True) == Counted()
    assert [counters.count("x", Radius(5, 3600)) for _ in range(2)] == [Counted(), Counted()]
    again = counters.count("x", Radius(5, 3600))
    assert (again.first, again.limit, again.changes) == (True, 5, 5)
    assert counters.count("x", Radius(3, 3600)).held_until
    world.now += timedelta(hours=2)
    assert counters.count("x", Radius(6, 3600)) == Counted()
    assert counters.count("x", Radius(5, 3600), check_only=True).held_until


def test_hold_of_an_earlier_version_is_obeyed_and_told(world: World) -> None:
    """If this fails, an update of the stack ends the holds of the day, or crashes over them."""
    until = int((world.now + timedelta(hours=5)).timestamp())
    item = {"pk": {"S": f"radius#{CONTROL}#{ACCOUNT}"}, "held_until": {"N": str(until)}, "count": {"N": "3"}}
    client("dynamodb").put_item(TableName=STATE, Item=item)
    assert world.run(CONTROL, request(CONTROL, _key()), document=_limit(50)).outcome == "HELD"
    [record] = _held(world)
    assert record["detail"].startswith(f"blast radius reached; all of {CONTROL} is held in account {ACCOUNT} until ")


def test_full_blast_radius_says_which_limit_when_and_what_ends_it(world: World) -> None:
    """If this fails, on-call reads a limit that was not reached, or has to guess the command that ends the hold."""
    _, two, _ = _full(world)
    reached = world.now
    world.now += timedelta(hours=1)
    again = world.run(CONTROL, request(CONTROL, _key()), document=_limit(1))
    assert again.outcome == "HELD"
    until = reached + CONTROL_HOLD
    told = (
        f"blast radius reached at {reached:%Y-%m-%d %H:%M} UTC: 1 change in 3600 s, limit 1; all of {CONTROL} is held "
        f"in account {ACCOUNT} until {until:%Y-%m-%d %H:%M} UTC; to end it, run: evenkeel release {CONTROL} "
        "--stack evenkeel-test --region eu-west-1, or raise the limit in the settings"
    )
    assert {record["detail"] for record in _held(world)} == {told}
    assert world.run(CONTROL, request(CONTROL, two), document=_limit(1)).outcome == "SKIPPED"


def test_raised_limit_lets_what_was_held_be_repaired(world: World) -> None:
    """If this fails, a resource that was held stays weak for a day although the limit that held it was raised."""
    one, _, document = _full(world)
    assert world.run(CONTROL, request(CONTROL, one), document=document).outcome == "SKIPPED"
    assert world.run(CONTROL, request(CONTROL, one), document=_limit(10)).outcome == "REMEDIATED"
    assert not world.state(CONTROL, one).held(world.now)


def test_released_counter_begins_anew(world: World) -> None:
    """If this fails, release leaves the control held, or with what was left of its allowance."""
    counters = world.ledger().counters
    world.now = world.now.replace(minute=0, second=0)
    counters.release("never counted")
    for _ in range(3):
        counters.count("x", Radius(2, 3600))
    counters.release("x")
    assert [counters.count("x", Radius(2, 3600)).held_until is None for _ in range(3)] == [True, True, False]


def test_worker_whose_clock_is_behind_does_not_hold_the_control(world: World) -> None:
    """If this fails, two clocks on either side of a window's end stop a control for a day."""
    counters = world.ledger().counters
    world.now = world.now.replace(minute=0, second=0) + timedelta(hours=1)
    counters.count("x", Radius(3, 3600))
    world.now -= timedelta(seconds=5)
    assert counters.count("x", Radius(3, 3600)) == Counted()
    assert counters.count("x", Radius(3, 60)) == Counted()
    assert counters.count("x", Radius(3, 60)).first


def test_counter_that_never_holds_still_is_asked_again_later(world: World) -> None:
    """If this fails, a busy counter is taken for a full or an empty one."""
    world.wire.fail("dynamodb", "UpdateItem", "ConditionalCheckFailedException", times=20)
    assert world.run(CONTROL, request(CONTROL, _key())).outcome == "RETURNED"
    world.wire.clear()
    world.wire.fail("dynamodb", "UpdateItem", "ConditionalCheckFailedException", times=20)
    with pytest.raises(LeaseHeldError, match="its counter is busy"):
        world.ledger().counters.count("x", Radius(3, 60))


def test_counter_that_cannot_be_written_stops_the_change(world: World) -> None:
    """If this fails, a broken counter means no bound."""
    key = _key()
    world.wire.fail("dynamodb", "UpdateItem", "ValidationException", "no")
    with pytest.raises(Exception, match="ValidationException"):
        world.run(CONTROL, request(CONTROL, key))
    assert not _rotates(key)


def _full(world: World) -> tuple[str, str, dict[str, Any]]:
    """Return two held keys of a control that reached its blast radius."""
    world.now, document = world.now.replace(minute=0, second=0), _limit(1)
    held = []
    for _ in range(3):
        key = _key()
        if world.run(CONTROL, request(CONTROL, key, creates=True), document=document).outcome == "HELD":
            held.append(key)
    one, two = held
    return one, two, document


def test_release_of_one_goes_through_a_full_blast_radius(world: World) -> None:
    """If this fails, a person who looked at one resource cannot have it repaired before the day is over."""
    one, two, document = _full(world)
    [result] = world.decide({"release": CONTROL, "resource": one}, BOB, document=document)
    assert (result.outcome, _rotates(one), _rotates(two)) == ("REMEDIATED", True, False)
    assert world.run(CONTROL, request(CONTROL, _key()), document=document).outcome == "HELD"


def test_release_of_all_gives_the_allowance_back_and_no_more(world: World) -> None:
    """If this fails, release lifts the bound for good, or changes nothing."""
    one, two, document = _full(world)
    results = world.decide({"release": CONTROL, "resource": "all"}, BOB, document=document)
    assert {result.request.resource.arn for result in results} == {one, two}
    assert len(world.messages(QUEUE_URL)) == 2
    outcomes = [str(world.run(CONTROL, result.request, document=document).outcome) for result in results]
    assert outcomes == ["REMEDIATED", "HELD"]
    assert [record["severity"] for record in _held(world)] == ["CRITICAL", "MEDIUM", "CRITICAL"]


def test_radius_of_an_override_bounds_its_resources(world: World) -> None:
    """If this fails, a smaller radius for some resources is not obeyed."""
    world.now = world.now.replace(minute=0, second=0)
    document: dict[str, Any] = {
        "schema_version": 1,
        "controls": {CONTROL: {"overrides": [{"accounts": [ACCOUNT], "blast_radius": {"limit": 2}}]}},
    }
    outcomes = [world.run(CONTROL, request(CONTROL, _key(), creates=True), document=document).outcome for _ in range(3)]
    assert outcomes == ["REMEDIATED", "REMEDIATED", "HELD"]


def _set_back(world: World, key: str, actor: Actor = TERRAFORM) -> str:
    """Switch rotation off and let the event come, once its tool had time to finish; return the outcome."""
    client("kms").disable_key_rotation(KeyId=key)
    ago = (world.now - timedelta(minutes=2)).isoformat()
    cause = Cause("cloudtrail", "e", "DisableKeyRotation", ago)
    return str(world.run(CONTROL, request(CONTROL, key, actor=actor, cause=cause)).outcome)


def test_tug_of_war_stops_after_three_repairs_and_names_who(world: World) -> None:
    """If this fails, Evenkeel and a pipeline set each other back for ever, or nobody learns whose pipeline it is."""
    key = _key()
    other = Actor(BOB, user_agent="console")
    outcomes = [_set_back(world, key, actor) for actor in (TERRAFORM, other, TERRAFORM, TERRAFORM)]
    assert outcomes == ["REMEDIATED"] * 3 + ["HELD"]
    assert not _rotates(key)
    [record] = _held(world)
    assert (record["severity"], record["announce"]) == ("CRITICAL", True)
    run = f"{TERRAFORM.principal} with DisableKeyRotation ({TERRAFORM.user_agent[:60]})"
    assert record["detail"] == (
        f"tug of war: repaired 3 times within a day, and set back again by {run}; "
        f"before: {run}; {BOB} with DisableKeyRotation (console); {run}"
    )
    assert _set_back(world, key) == "SKIPPED"
    assert len(_held(world)) == 1


def test_tug_of_war_of_nobody_known_is_told_as_such(world: World) -> None:
    """If this fails, events without a caller crash the worker or are told as an empty name."""
    key = _key()
    outcomes = [_set_back(world, key, Actor()) for _ in range(4)]
    assert outcomes[-1] == "HELD"
    assert "set back again by somebody with DisableKeyRotation; before: somebody with" in _held(world)[0]["detail"]


def test_three_repairs_in_more_than_a_day_are_no_tug_of_war(world: World) -> None:
    """If this fails, a resource that is weakened now and then is left weak."""
    key = _key()
    for _ in range(8):
        assert _set_back(world, key) == "REMEDIATED"
        world.now += timedelta(hours=8, minutes=1)


def test_tug_of_war_ends_after_its_day(world: World) -> None:
    """If this fails, a tug of war leaves a resource weak for ever."""
    key = _key()
    for _ in range(4):
        _set_back(world, key)
    world.now += timedelta(days=1, seconds=1)
    assert world.run(CONTROL, world.kept(CONTROL, key)).outcome == "REMEDIATED"
    assert [_set_back(world, key) for _ in range(3)] == ["REMEDIATED", "REMEDIATED", "HELD"]


@pytest.mark.parametrize("resource", ["one", "all"])
def test_release_ends_a_tug_of_war_and_counts_anew(world: World, resource: str) -> None:
    """If this fails, a released resource is held again at the next event, or release changes nothing."""
    key = _key()
    for _ in range(4):
        _set_back(world, key)
    [result] = world.decide({"release": CONTROL, "resource": key if resource == "one" else "all"}, BOB)
    if resource == "all":
        result = world.run(CONTROL, result.request)
    assert (result.outcome, _rotates(key)) == ("REMEDIATED", True)
    assert [_set_back(world, key) for _ in range(3)] == ["REMEDIATED", "REMEDIATED", "HELD"]


def test_rounds_are_each_resources_own(world: World) -> None:
    """If this fails, three repairs of different resources stop the repair of a fourth."""
    for _ in range(4):
        assert _set_back(world, _key()) == "REMEDIATED"


def test_repair_that_shows_late_counts_as_a_round(world: World) -> None:
    """If this fails, a tug of war over a resource whose changes show late goes on for ever."""
    key = _key()
    stale = {"KeyRotationEnabled": False}
    for _ in range(3):
        world.wire.answer("kms", "GetKeyRotationStatus", stale, times=7)
        client("kms").disable_key_rotation(KeyId=key)
        late = world.run(CONTROL, request(CONTROL, key))
        world.wire._plans.clear()
        world.now += timedelta(minutes=1)
        assert world.run(CONTROL, late.request.again(world.now)).outcome == "COMPLIANT"
    assert _set_back(world, key) == "HELD"
