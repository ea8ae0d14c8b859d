"""What the clerk watches, on the real stack in a sandbox with IAM enforced: what is off rings, pausing does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from clerk import vitals
from tests.sandbox import inbox
from tests.sandbox.cli_stack import Place, eventually, standing

if TYPE_CHECKING:
    from collections.abc import Iterator


SEEN_BEFORE = {"EventsLost", "FunctionsFailing"}
"""What the vitals of the last hour say in every look, since a test of this file put it there."""


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """The real stack, and a person who may do everything."""
    with standing() as there:
        table = there.stack.outputs["StateTableArn"]  # its own policy would refuse what makes the clerk look again
        there.sandbox.client("dynamodb").delete_resource_policy(ResourceArn=table)
        yield there


@pytest.fixture(scope="module")
def alarms(place: Place) -> str:
    """The URL of a queue that hears the stack's alerts and alarms."""
    return inbox.subscribe(place.sandbox, place.stack)


def _rung(place: Place, url: str, alarm: str) -> list[str]:
    """Take all messages that have come; return the states that an alarm rang for."""
    texts = [json.loads(each["Body"])["Message"] for each in inbox.take(place.sandbox, url)]
    found = [json.loads(text) for text in texts if text.startswith("{")]
    return [each["NewStateValue"] for each in found if each["AlarmName"] == place.stack.resources[alarm]]


def _state(place: Place, alarm: str) -> str:
    found = place.sandbox.client("cloudwatch").describe_alarms(AlarmNames=[place.stack.resources[alarm]])
    return str(found["MetricAlarms"][0]["StateValue"])


def _round(place: Place) -> tuple[float | None, dict[str, str]]:
    """Wake the clerk as its schedule does; return how much is off, and what its errors name with state or reason."""
    function = place.stack.outputs["ClerkFunctionName"]
    before = len(place.sandbox.logs(function))
    answer = place.sandbox.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
    written = eventually(lambda: _whole(place.sandbox.logs(function)[before:]), "the round's log")
    lines = [json.loads(line) for line in written if line.startswith("{")]
    counts = [line["SwitchedOff"][0] for line in lines if "SwitchedOff" in line]
    errors = [line for line in lines if line.get("level") == "ERROR"]
    reasons = {line["what"]: line.get("state") or line.get("part") or line["error"] for line in errors}
    return counts[0] if counts else None, reasons


def _whole(lines: list[str]) -> list[str]:
    """Return the lines of a round's log once its last part is there: it comes after the answer."""
    return lines if any('"requeued"' in line and '"held"' in line for line in lines) else []


def _put(place: Place, namespace: str, metric: str, dimensions: dict[str, str], ago: timedelta, value: float) -> None:
    """Put a datum as AWS itself would."""
    named = [{"Name": name, "Value": its} for name, its in dimensions.items()]
    datum = {"MetricName": metric, "Dimensions": named, "Timestamp": datetime.now(UTC) - ago, "Value": value}
    place.sandbox.client("cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def _an_hour_later(place: Place) -> None:
    """Have the clerk read the vitals in its next round, as it would an hour after it did."""
    place.sandbox.client("dynamodb").delete_item(
        TableName=place.stack.outputs["StateTableName"], Key={"pk": {"S": vitals.ITEM}}
    )


def test_a_new_stack_is_silent_and_a_clerk_that_is_not_woken_any_more_rings(place: Place, alarms: str) -> None:
    """If this fails, on-call is woken by each first deployment, or nobody misses a clerk whose schedule is off."""
    assert _state(place, "SwitchedOffAlarm") == "INSUFFICIENT_DATA"
    dimensions = {"service": "clerk", "stack": place.stack.name}
    _put(place, "Evenkeel", "SwitchedOff", dimensions, timedelta(minutes=14, seconds=50), 0)
    eventually(lambda: _state(place, "SwitchedOffAlarm") == "OK", "the last round's datum")
    assert not _rung(place, alarms, "SwitchedOffAlarm")
    assert eventually(lambda: _rung(place, alarms, "SwitchedOffAlarm"), "the alarm") == ["INSUFFICIENT_DATA"]


def test_what_the_vitals_say_rings_by_name_and_once(place: Place, alarms: str) -> None:
    """If this fails, a function that fails, or an event that no queue took, is never heard of."""
    rule = place.stack.resources["KmsApiCallRule"]
    _an_hour_later(place)
    _put(place, "AWS/Events", "InvocationsFailedToBeSentToDlq", {"RuleName": rule}, timedelta(minutes=30), 1)
    _put(place, "AWS/Lambda", "Errors", {"FunctionName": f"{place.stack.name}-logs"}, timedelta(minutes=30), 2)
    eventually(lambda: _state(place, "EventsLostAlarm") == "OK", "the alarm's first state")
    inbox.take(place.sandbox, alarms)
    assert _round(place) == (0, {"EventsLost": rule, "FunctionsFailing": f"{place.stack.name}-logs"})
    eventually(lambda: _state(place, "EventsLostAlarm") == "ALARM", "the alarm on lost events")
    eventually(lambda: _state(place, "FunctionsFailingAlarm") == "ALARM", "the alarm on functions that fail")
    assert eventually(lambda: _rung(place, alarms, "EventsLostAlarm"), "the alarm") == ["ALARM"]
    assert _state(place, "MessagesWaitingAlarm") == "OK"
    assert _round(place) == (0, {}), "it looks once an hour"


def test_a_disabled_rule_rings_by_name_until_it_is_enabled(place: Place, alarms: str) -> None:
    """If this fails, an administrator can silence a group of controls, and nobody hears of it."""
    assert _round(place) == (0, {})
    eventually(lambda: _state(place, "SwitchedOffAlarm") == "OK", "the alarm's first state")
    rule = place.stack.resources["KmsApiCallRule"]
    administrator: Any = place.sandbox.client("events", place.sandbox.admin())
    administrator.disable_rule(Name=rule)
    assert _round(place) == (1, {f"rule {rule}": "DISABLED"})
    assert eventually(lambda: _rung(place, alarms, "SwitchedOffAlarm"), "the alarm") == ["ALARM"]
    administrator.enable_rule(Name=rule)
    assert _round(place) == (0, {})


def test_a_deleted_rule_rings_by_name(place: Place) -> None:
    """If this fails, an administrator can delete what wakes a group of controls, and nobody hears of it."""
    rule = place.stack.resources["S3ConfigRule"]
    administrator: Any = place.sandbox.client("events", place.sandbox.admin())
    kept = administrator.describe_rule(Name=rule)
    (target,) = administrator.list_targets_by_rule(Rule=rule)["Targets"]
    administrator.remove_targets(Rule=rule, Ids=[target["Id"]])
    administrator.delete_rule(Name=rule)
    assert _round(place) == (1, {f"rule {rule}": "missing"})
    administrator.put_rule(Name=rule, EventPattern=kept["EventPattern"])
    administrator.put_targets(Rule=rule, Targets=[target])
    assert _round(place) == (0, {})


def test_switched_off_alerts_are_seen(place: Place) -> None:
    """If this fails, repairs, holds and tampering are audited and nobody is told, for as long as it lasts."""
    source = place.stack.resources["NotifierSource"]
    client = place.sandbox.client("lambda", place.sandbox.admin())
    client.update_event_source_mapping(UUID=source, Enabled=False)
    eventually(lambda: client.get_event_source_mapping(UUID=source)["State"] == "Disabled", "the source to be off")
    assert _round(place) == (1, {f"event source {source}": "Disabled"})
    client.update_event_source_mapping(UUID=source, Enabled=True)
    eventually(lambda: client.get_event_source_mapping(UUID=source)["State"] == "Enabled", "the source to be on")
    assert _round(place) == (0, {})


def test_pausing_does_not_ring(place: Place) -> None:
    """If this fails, whoever stops all acting with `evenkeel pause` is rung out of bed for it."""
    assert place.ask("pause")["ok"]
    assert _round(place) == (0, {})
    assert place.run("resume", "--yes").exit_code == 0
    assert _round(place) == (0, {})


def test_a_clerk_that_may_not_ask_says_so_and_goes_on(place: Place) -> None:
    """If this fails, the clerk does not need what it is granted, or says that all is on where it cannot know."""
    iam, role = place.sandbox.client("iam"), place.stack.resources["ClerkRole"]
    policy = iam.get_role_policy(RoleName=role, PolicyName="clerk-watch")["PolicyDocument"]
    assert len(policy["Statement"]) == 3
    for taken in policy["Statement"]:
        document = json.dumps({**policy, "Statement": [it for it in policy["Statement"] if it != taken]})
        iam.put_role_policy(RoleName=role, PolicyName="clerk-watch", PolicyDocument=document)
        _an_hour_later(place)
        count, errors = _round(place)
        assert count is None
        assert [taken["Action"] in error for what, error in errors.items() if what not in SEEN_BEFORE] == [True]
    iam.put_role_policy(RoleName=role, PolicyName="clerk-watch", PolicyDocument=json.dumps(policy))
    assert _round(place)[0] == 0
