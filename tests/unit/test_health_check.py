"""The clerk sees what is switched off and tells it by name; it goes on with its work where AWS does not answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ConnectTimeoutError

from clerk import health_check, stack_calls
from clerk.handler import handler
from clerk.health_check import READING
from tests.factories.awslambda import function
from tests.world import QUEUE_URL, Context, client, metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.world import World

    Told = Callable[[], tuple[float | None, dict[str, str]]]

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")
STACK = "evenkeel-test"
RULES = tuple(health_check.rules_of(["kms"]))
QUESTIONS = [("events", "ListRules"), ("lambda", "GetEventSourceMapping")]


def put(*names: str) -> None:
    """Make rules that are on."""
    for name in names:
        client("events").put_rule(Name=name, EventPattern='{"source": ["aws.kms"]}')


@pytest.fixture
def source(world: World, variables: pytest.MonkeyPatch, digest_key: str) -> str:
    """Make all that the clerk watches, and rules of others; return the UUID of the alerts' event source."""
    put(
        *(f"{STACK}-{rule}" for rule in (*RULES, stack_calls.RULE)),
        f"{STACK}-2-kms-ApiCall",
        f"{STACK}-rds-ApiCall",
        f"{STACK}-clerk",
    )
    client("events").disable_rule(Name=f"{STACK}-2-kms-ApiCall")
    client("events").disable_rule(Name=f"{STACK}-rds-ApiCall")
    queue = client("sqs").get_queue_attributes(QueueUrl=QUEUE_URL, AttributeNames=["QueueArn"])["Attributes"]
    made = client("lambda").create_event_source_mapping(FunctionName=function(), EventSourceArn=queue["QueueArn"])
    variables.setenv("EVENKEEL_GROUPS", "kms")
    variables.setenv("EVENKEEL_NOTIFIER_SOURCE", made["UUID"])
    world.wire.clear()
    return str(made["UUID"])


@pytest.fixture
def told(
    source: str,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Told:
    """Return what makes a round of the clerk, for the metric and what its errors name: state, or why none is known."""

    def look() -> tuple[float | None, dict[str, str]]:
        caplog.clear()
        assert handler({"source": "aws.events"}, Context()) == {"due": 0, "stuck": 0}
        sums = metrics(capsys.readouterr().out)
        assert [line.kind for line in caplog.records if line.message == "requeued"] == ["plan", "held"], "to its end"
        errors = [vars(line) for line in caplog.records if line.levelname == "ERROR"]
        return sums.get("SwitchedOff"), {line["what"]: line.get("state") or line["error"] for line in errors}

    return look


def test_all_on_is_counted_as_nothing_with_two_calls(world: World, source: str, told: Told) -> None:
    """If this fails, a sound stack rings, a group that is not enabled is missed, or the clerk asks too much."""
    assert told() == (0, {})
    asked = [(made.service, made.operation) for made in world.wire.calls if made.service in {"events", "lambda"}]
    assert asked == QUESTIONS
    assert world.wire.params("ListRules") == [{"NamePrefix": f"{STACK}-"}]
    assert world.wire.params("GetEventSourceMapping") == [{"UUID": source}]


def test_rules_that_are_disabled_or_gone_are_named_each_round(told: Told) -> None:
    """If this fails, nothing wakes a group's controls any more and nobody hears of it, or on-call cannot say which."""
    client("events").disable_rule(Name=f"{STACK}-kms-ApiCall")
    client("events").delete_rule(Name=f"{STACK}-kms-Config")
    expected = (
        2,
        {
            f"rule {STACK}-kms-ApiCall": "DISABLED",
            f"rule {STACK}-kms-Config": "missing",
        },
    )
    assert told() == expected
    assert told() == expected
    client("events").enable_rule(Name=f"{STACK}-kms-ApiCall")
    put(f"{STACK}-kms-Config")
    assert told() == (0, {})


def test_rules_on_later_pages_are_seen(world: World, told: Told) -> None:
    """If this fails, a stack with many rules or neighbours rings without a cause."""
    pages = [
        {"Rules": [{"Name": f"{STACK}-{RULES[0]}", "State": "ENABLED"}], "NextToken": "next"},
        {"Rules": [{"Name": f"{STACK}-{RULES[1]}", "State": "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"}],
         "NextToken": "last"},
        {"Rules": [{"Name": f"{STACK}-{RULES[2]}", "State": "DISABLED"},
                   {"Name": f"{STACK}-{stack_calls.RULE}", "State": "ENABLED"}]},
    ]  # fmt: skip
    for page in pages:
        world.wire.answer("events", "ListRules", page)
    assert told() == (1, {f"rule {STACK}-{RULES[2]}": "DISABLED"})
    assert [params.get("NextToken") for params in world.wire.params("ListRules")] == [None, "next", "last"]


def test_alerts_that_are_switched_off_are_told(source: str, told: Told) -> None:
    """If this fails, people hear of no repair, hold or tampering any more, and take it for a quiet day."""
    client("lambda").update_event_source_mapping(UUID=source, Enabled=False)
    assert told() == (1, {f"event source {source}": "Disabled"})
    client("lambda").delete_event_source_mapping(UUID=source)
    assert told() == (1, {f"event source {source}": "missing"})


@pytest.mark.parametrize(
    "state", ["Creating", "Enabling", "Enabled", "Disabling", "Disabled", "Updating", "Deleting", "Paused"]
)
def test_states_of_the_alerts_event_source(world: World, state: str, told: Told) -> None:
    """If this fails, a deployment that changes the event source rings, or one that is being removed does not."""
    world.wire.answer("lambda", "GetEventSourceMapping", {"State": state})
    assert told()[0] == (state not in {"Creating", "Enabling", "Enabled", "Updating"})
    assert {"Disabling", "Disabled", "Deleting"}.isdisjoint(READING)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
@pytest.mark.parametrize("refused", [QUESTIONS[:1], QUESTIONS[1:], QUESTIONS])
def test_refused_question_is_logged_sends_no_count_and_stops_nothing(
    world: World, refused: list[tuple[str, str]], code: str, told: Told
) -> None:
    """If this fails, a clerk that may not ask says that all is on, or forgets its other work over it."""
    for service, operation in refused:
        world.wire.fail(service, operation, code, "no", times=9)
    count, errors = told()
    assert count is None
    assert len(errors) == len(refused)
    assert all(code in error for error in errors.values())


def test_what_is_seen_to_be_off_counts_although_the_other_question_failed(
    world: World, source: str, told: Told
) -> None:
    """If this fails, whoever takes one permission from the clerk can also switch off what the other one shows."""
    client("events").disable_rule(Name=f"{STACK}-kms-ApiCall")
    world.wire.fail("lambda", "GetEventSourceMapping", "AccessDeniedException", "no")
    count, errors = told()
    assert (count, errors[f"rule {STACK}-kms-ApiCall"]) == (1, "DISABLED")
    assert "AccessDeniedException" in errors[f"event source {source}"]


def test_no_answer_at_all_is_no_answer(world: World, told: Told) -> None:
    """If this fails, a network that is down takes the clerk down before it has looked at what is due."""

    def lost(_: object) -> None:
        raise ConnectTimeoutError(endpoint_url="https://events")

    world.wire.when("events", "ListRules", lost)
    count, errors = told()
    assert (count, list(errors)) == (None, ["rules"])
    assert told() == (0, {})


def test_a_zero_is_sent_only_where_the_vitals_were_told(world: World, told: Told) -> None:
    """If this fails, a clerk that may not read metrics says every five minutes that all is well."""
    world.wire.fail("cloudwatch", "GetMetricData", "AccessDenied", "no", status=403)
    count, errors = told()
    assert (count, list(errors)) == (None, ["metrics"])
    client("events").disable_rule(Name=f"{STACK}-{RULES[0]}")
    world.wire.fail("cloudwatch", "GetMetricData", "AccessDenied", "no", status=403)
    assert told()[0] == 1, "what is off counts although the other question failed"
    client("events").enable_rule(Name=f"{STACK}-{RULES[0]}")
    assert told() == (0, {})
