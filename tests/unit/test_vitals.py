"""The clerk reads once an hour how the stack's parts are, counts each kind of trouble, and names the part."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from clerk import vitals
from evenkeel.runtime.aws import Aws
from evenkeel.runtime.environment import Environment
from tests.tables import AUDIT, STATE
from tests.world import client, metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.world import World

STACK, GROUPS, RULES = "evenkeel-test", ("kms", "logs"), ("kms-ApiCall", "logs-ApiCall", "stack-calls")
WATCHED = vitals.vitals(STACK, GROUPS, RULES)
START = datetime.now(UTC).replace(second=30, microsecond=0)
MINUTE = timedelta(minutes=1)


def put(metric: str, part: str, moment: datetime, value: float = 1) -> None:
    """Put a datum as AWS itself would."""
    kind = next(kind for kind in vitals.KINDS if kind.metric == metric)
    dimensions = [{"Name": kind.dimension, "Value": part}]
    datum = {"MetricName": metric, "Dimensions": dimensions, "Timestamp": moment, "Value": value}
    client("cloudwatch").put_metric_data(Namespace=kind.namespace, MetricData=[datum])


@pytest.fixture
def look(
    world: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Callable[[datetime], tuple[bool, dict[str, float], set[str]]]:
    """Return what looks at a moment, for: whether all was told, what was counted, which parts the log names."""

    def look(now: datetime) -> tuple[bool, dict[str, float], set[str]]:
        caplog.clear()
        environment = Environment(STACK, AUDIT, STATE, "a/b/c", "eu-west-1")
        told = vitals.VitalsReader(Aws(client), environment, WATCHED, now).read()
        named = {vars(line)["part"] for line in caplog.records if "part" in vars(line)}
        return told, metrics(capsys.readouterr().out), named

    return look


def test_a_sound_stack_is_one_call_an_hour_and_no_count(world: World, look: Callable) -> None:
    """If this fails, a sound stack pays for metrics or rings, or each round asks for hundreds of metrics."""
    put("Errors", f"{STACK}-kms", START - MINUTE, 0)
    put("Errors", "another-kms", START - MINUTE)
    for minutes in range(0, 120, 5):
        assert look(START + minutes * MINUTE) == (True, {}, set())
    asked = world.wire.params("GetMetricData")
    assert [(each["EndTime"] - START, each["EndTime"] - each["StartTime"]) for each in asked] == [
        (0 * MINUTE, 60 * MINUTE + vitals.OVERLAP),
        (60 * MINUTE, 60 * MINUTE + vitals.OVERLAP),
    ]


@pytest.mark.parametrize(
    ("metric", "part", "value", "minutes", "counted"),
    [
        ("InvocationsFailedToBeSentToDlq", f"{STACK}-kms-ApiCall", 1, [40], "EventsLost"),
        ("InvocationsFailedToBeSentToDlq", f"{STACK}-stack-calls", 1, [3], "EventsLost"),
        ("ApproximateAgeOfOldestMessage", f"{STACK}-logs", 3601, [7, 9, 11], "MessagesWaiting"),
        ("ApproximateAgeOfOldestMessage", f"{STACK}-logs", 3601, [7, 9, 12], ""),
        ("ApproximateAgeOfOldestMessage", f"{STACK}-logs", 3600, [7, 8, 9], ""),
        ("Errors", f"{STACK}-kms", 1, [40], "FunctionsFailing"),
        ("Errors", f"{STACK}-undo", 1, [40], "FunctionsFailing"),
        ("Throttles", f"{STACK}-kms", 1, [40, 41, 44], "FunctionsThrottled"),
        ("Throttles", f"{STACK}-kms", 1, [40, 41], ""),
        ("Throttles", f"{STACK}-settings-validator", 1, [40], "FunctionsThrottled"),
    ],
)
def test_each_kind_of_trouble_is_counted_and_named(
    look: Callable, metric: str, part: str, value: float, minutes: Iterable[int], counted: str
) -> None:
    """If this fails, a part of the stack fails and nobody hears of it, or on-call is woken for a hiccup."""
    for ago in minutes:
        put(metric, part, START - ago * MINUTE, value)
    assert look(START) == (True, {counted: 1} if counted else {}, {part} if counted else set())


def test_what_lasts_is_counted_once_a_day_and_named_each_hour(look: Callable) -> None:
    """If this fails, a pause over a weekend rings every hour, or a second group that fails is never heard of."""
    for minute in range(30 * 60):
        if minute % 3 == 0:
            put("Errors", f"{STACK}-kms", START - 20 * MINUTE + minute * MINUTE)
    put("Errors", f"{STACK}-logs", START + 150 * MINUTE)
    found = [look(START + hour * 60 * MINUTE) for hour in range(30)]
    assert [hour for hour, (_, sums, _) in enumerate(found) if sums] == [0, 3, 25]
    assert all(f"{STACK}-kms" in named for _, _, named in found)


def test_what_was_well_for_an_hour_rings_again(look: Callable) -> None:
    """If this fails, the second outage of a day is never heard of."""
    for hour in (0, 3):
        put("Errors", f"{STACK}-kms", START + hour * 60 * MINUTE - 30 * MINUTE)
    found = [look(START + hour * 60 * MINUTE)[1] for hour in range(5)]
    assert found == [{"FunctionsFailing": 1}, {}, {}, {"FunctionsFailing": 1}, {}]


def test_each_lost_event_is_counted_and_none_twice(look: Callable) -> None:
    """If this fails, an event that is lost while another loss is being looked into is not heard of."""
    for ago in (10, -30):
        put("InvocationsFailedToBeSentToDlq", f"{STACK}-kms-ApiCall", START - ago * MINUTE)
    found = [look(START + hour * 60 * MINUTE)[1] for hour in range(3)]
    assert found == [{"EventsLost": 1}, {"EventsLost": 1}, {}]


def test_data_that_come_late_are_seen(look: Callable) -> None:
    """If this fails, a queue's age that CloudWatch publishes a quarter of an hour late falls between two looks."""
    assert look(START)[1] == {}
    for ago in (13, 14, 15):
        put("ApproximateAgeOfOldestMessage", f"{STACK}-kms", START - ago * MINUTE, 4000)
    assert look(START + 60 * MINUTE)[1] == {"MessagesWaiting": 1}


def test_hours_without_a_clerk_are_read_afterwards(world: World, look: Callable) -> None:
    """If this fails, what was lost while the clerk was off is never heard of."""
    look(START)
    put("InvocationsFailedToBeSentToDlq", f"{STACK}-kms-ApiCall", START + 70 * MINUTE)
    later = START + timedelta(days=3)
    assert [look(later + minutes * MINUTE)[1] for minutes in range(0, 60, 5)] == [{"EventsLost": 1}, *11 * [{}]]


def test_a_long_outage_is_read_in_pieces(world: World, look: Callable) -> None:
    """If this fails, two weeks of data take longer than a round may, so each round ends so, and nothing is ever due.

    Nor may it say that all is well before it has read all, or leave a gap between two pieces.
    """
    look(START)
    rounds = [look(START + timedelta(days=40) + minutes * MINUTE) for minutes in range(0, 180, 5)]
    asked = world.wire.params("GetMetricData")[1:]
    assert asked[0]["StartTime"] == START + timedelta(days=40) - vitals.FARTHEST
    assert max(each["EndTime"] - each["StartTime"] for each in asked) == vitals.LONGEST
    assert all(one["EndTime"] - vitals.OVERLAP == another["StartTime"] for one, another in itertools.pairwise(asked))
    caught_up = len(asked) - 1
    assert [told for told, *_ in rounds] == [*caught_up * [False], *(len(rounds) - caught_up) * [True]]


@pytest.mark.parametrize("status", ["PartialData", "InternalError", "Forbidden"])
def test_metrics_that_are_not_told_whole_are_asked_for_again(world: World, look: Callable, status: str) -> None:
    """If this fails, the clerk takes a refusal for good news, or never looks at that hour again."""
    put("Errors", f"{STACK}-kms", START - MINUTE)
    results = [
        {"Id": f"m{number}", "Timestamps": [], "Values": [], "StatusCode": "Complete" if number else status}
        for number in range(len(WATCHED))
    ]
    world.wire.answer("cloudwatch", "GetMetricData", {"MetricDataResults": results})
    assert look(START) == (False, {}, set())
    assert look(START + 5 * MINUTE) == (True, {"FunctionsFailing": 1}, {f"{STACK}-kms"})


def test_a_refusal_is_logged_and_not_raised(world: World, look: Callable) -> None:
    """If this fails, a clerk that may not read metrics does not serve what is due, or says that all is well."""
    world.wire.fail("cloudwatch", "GetMetricData", "AccessDenied", "no", status=403)
    assert look(START) == (False, {}, set())
    assert look(START + 5 * MINUTE)[0]


def test_a_crash_before_it_is_remembered_counts_again(
    world: World, look: Callable, capsys: pytest.CaptureFixture[str]
) -> None:
    """If this fails, a clerk that dies at the wrong moment takes the news with it."""
    put("Errors", f"{STACK}-kms", START - MINUTE)
    world.wire.fail("dynamodb", "UpdateItem", "InternalServerError", "no", times=9)
    with pytest.raises(Exception, match="InternalServerError"):
        look(START)
    assert metrics(capsys.readouterr().out) == {"FunctionsFailing": 1}
    world.wire.clear()
    assert look(START + 5 * MINUTE)[1] == {"FunctionsFailing": 1}


def test_a_big_stack_takes_as_few_calls_as_possible(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """If this fails, a stack of many groups is refused by CloudWatch, which takes 500 metrics at a time."""
    groups = [f"group{number}" for number in range(100)]
    watched = vitals.vitals(STACK, groups, [f"{group}-ApiCall" for group in groups for _ in range(4)])
    assert len(watched) == 100 * (1 + 2 + 4) + 2 * 4
    put("Errors", f"{STACK}-group99", START - MINUTE)
    environment = Environment(STACK, AUDIT, STATE, "a/b/c", "eu-west-1")
    assert vitals.VitalsReader(Aws(client), environment, watched, START).read()
    assert metrics(capsys.readouterr().out) == {"FunctionsFailing": 1}
    assert [len(each["MetricDataQueries"]) for each in world.wire.params("GetMetricData")] == [500, 208]
    assert Counter(world.wire.names())["dynamodb:UpdateItem"] == 1
