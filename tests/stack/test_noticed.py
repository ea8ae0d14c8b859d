"""Whatever an alarm of its own once noticed is noticed by an alarm, or by the clerk's hourly look at the vitals."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from clerk import health_check, stack_calls, vitals
from evenkeel import names
from tools.rendering import ROOT, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

ALARMS = {
    "SettingsRefusedAlarm": ("Evenkeel", "SettingsRefused"),
    "SettingsUnreadAlarm": ("Evenkeel", "SettingsUnread"),
    "DeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible"),
    "NotifierLagAlarm": ("AWS/Lambda", "IteratorAge"),
    "TamperingAlarm": ("Evenkeel", "Tampering"),
    "StuckPlansAlarm": ("Evenkeel", "StuckPlans"),
    "DigestAlarm": ("Evenkeel", "DigestAge"),
    "SwitchedOffAlarm": ("Evenkeel", "SwitchedOff"),
    "EventsLostAlarm": ("Evenkeel", "EventsLost"),
    "MessagesWaitingAlarm": ("Evenkeel", "MessagesWaiting"),
    "FunctionsFailingAlarm": ("Evenkeel", "FunctionsFailing"),
    "FunctionsThrottledAlarm": ("Evenkeel", "FunctionsThrottled"),
}


def read(stack: Stack) -> set[tuple[str, str]]:
    """Return what the clerk of a stack reads: our metric's name, and the physical name of the part."""
    environment = stack.resources["ClerkFunction"]["Properties"]["Environment"]["Variables"]
    groups = environment["EVENKEEL_GROUPS"].split(",")
    found = vitals.vitals(stack.name, groups, [*health_check.rules_of(groups), stack_calls.RULE])
    return {(vital.kind.counted, vital.part) for vital in found}


def test_the_alarms_are_these(stack: Stack) -> None:
    """If this fails, an alarm is gone without a word on what notices the same, or one was added that costs money."""
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    assert {name: (alarm["Namespace"], alarm["MetricName"]) for name, alarm in alarms.items()} == ALARMS


@pytest.mark.parametrize("chosen", ["all", "kms", "tagging,s3"])
@pytest.mark.parametrize("undo", ["true", "false"])
def test_every_function_queue_and_rule_is_read(chosen: str, undo: str) -> None:
    """If this fails, a function fails or is throttled, messages wait or events are lost, and nobody hears of it."""
    stack = Stack(parameters={"EnabledGroups": chosen, "EnableUndo": undo})
    functions = {body["FunctionName"] for body in stack.of_type("AWS::Lambda::Function").values()}
    queues = {body["QueueName"] for body in stack.of_type("AWS::SQS::Queue").values()} - {"evenkeel-dead-letters"}
    # What the schedule could not deliver is a round that is missing, which SwitchedOff notices.
    rules = {body["Name"] for body in stack.of_type("AWS::Events::Rule").values()} - {"evenkeel-clerk"}
    wanted = {
        *((kind, function) for kind in ("FunctionsFailing", "FunctionsThrottled") for function in functions),
        *(("MessagesWaiting", queue) for queue in queues),
        *(("EventsLost", rule) for rule in rules),
    }
    found = read(stack)
    assert wanted <= found
    assert found - wanted <= {(kind, "evenkeel-undo") for kind in ("FunctionsFailing", "FunctionsThrottled")}


def test_what_seventy_one_alarms_would_notice_is_noticed() -> None:
    """If this fails, the table in docs/cost.md says that something is noticed which is not."""
    nine = "lambda,cloudtrail,dynamodb,ec2,kms,logs,rds,s3,tagging"  # those that the table counts
    stack = Stack(parameters={"EnableUndo": "true", "EnabledGroups": nine})
    counts = Counter(kind for kind, _ in read(stack))
    assert counts == {"EventsLost": 27, "MessagesWaiting": 9, "FunctionsFailing": 13, "FunctionsThrottled": 13}
    kept = set(ALARMS) - {f"{kind.counted}Alarm" for kind in vitals.KINDS}
    silent = 1  # the clerk is silent: SwitchedOff is sent in every round
    assert counts.total() + len(kept) + silent == 71


def test_the_metrics_that_are_sent_are_those_that_alarms_read(stack: Stack) -> None:
    """If this fails, a metric costs $0.30 a month for nobody, or an alarm reads one that no function sends."""
    alarms = stack.of_type("AWS::CloudWatch::Alarm").values()
    own = [alarm for alarm in alarms if alarm["Namespace"] == "Evenkeel"]
    for alarm in own:
        assert alarm["Dimensions"][1] == {"Name": "stack", "Value": "evenkeel"}
    read = {(alarm["Dimensions"][0]["Value"], alarm["MetricName"]) for alarm in own}
    assert read == set(_sent())


def _sent() -> Iterator[tuple[str, str]]:
    """Yield each metric that the code sends: service and name. A name that is no text is one of the vitals' kinds."""
    for folder in (ROOT / "layers" / "engine" / "evenkeel", ROOT / "functions"):
        for path in folder.rglob("*.py"):
            for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(call, ast.Call):
                    continue
                called = getattr(call.func, "attr", getattr(call.func, "id", ""))
                if called == "add_metric":
                    assert path.name == "handler.py", path
                    yield path.parent.name, ast.literal_eval(call.args[0])
                elif called == "count_for_stack" and isinstance(call.args[1], ast.Constant):
                    yield ast.literal_eval(call.args[0]), ast.literal_eval(call.args[1])
                elif called == "count_for_stack":
                    assert (path.stem, ast.unparse(call.args[0])) == ("vitals", "names.CLERK")
                    yield from ((names.CLERK, kind.counted) for kind in vitals.KINDS)
