"""What the clerk watches is what the stack has, it may ask for just that, and its own silence rings."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from clerk import health_check, stack_calls
from tests.stack.test_iam import attached, listed
from tools.names import nested_stack
from tools.rendering import ACCOUNT, Stack, source

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_NAME = 40  # characters of a stack's name, as the template's head says
MAX_ENVIRONMENT = 4096
"""Bytes of all variables of a function (Lambda developer guide, "Lambda quotas")."""
LEFT_FOR_SCOPE = 600


def variables(stack: Stack) -> dict[str, Any]:
    """Return the environment of the clerk."""
    found: dict[str, Any] = stack.resources["ClerkFunction"]["Properties"]["Environment"]["Variables"]
    return found


@pytest.mark.parametrize("chosen", ["all", "kms", "tagging,s3"])
def test_every_rule_of_the_enabled_groups_is_watched(chosen: str) -> None:
    """If this fails, a rule that is switched off is not missed, or the clerk misses the rule of a group that is off."""
    stack = Stack(parameters={"EnabledGroups": chosen})
    rules = {rule["Name"] for name, rule in stack.of_type("AWS::Events::Rule").items() if name != "ClerkSchedule"}
    watched = [
        f"evenkeel-{name}"
        for name in (*health_check.rules_of(variables(stack)["EVENKEEL_GROUPS"].split(",")), stack_calls.RULE)
    ]
    assert len(watched) == len(set(watched))
    assert set(watched) == rules


def test_the_clerk_looks_for_a_rule_only_once_it_is_there(group_names: list[str]) -> None:
    """If this fails, the alarm rings at each deployment that adds a rule, until CloudFormation has made it."""
    template = source()["Resources"]
    variable = template["ClerkFunction"]["Properties"]["Environment"]["Variables"]["EVENKEEL_GROUPS"]
    assert {nested_stack(group) for group in group_names} <= set(_references(variable))


def _references(value: Any) -> Iterator[str]:
    """Yield the logical ids that a value refers to."""
    if isinstance(value, list):
        for member in value:
            yield from _references(member)
    elif isinstance(value, dict):
        for key, member in value.items():
            if key == "Ref":
                yield member
            elif key == "Fn::GetAtt":
                yield member.split(".")[0] if isinstance(member, str) else member[0]
            else:
                yield from _references(member)


def test_the_clerks_environment_fits_with_the_longest_name() -> None:
    """If this fails, Lambda refuses the clerk of a stack with a long name, or leaves no room for a scope."""
    found = variables(Stack(name="s" * LONGEST_NAME))
    url = f"https://sqs.us-gov-west-1.amazonaws.com/{ACCOUNT}/" + "q" * 80
    text = "".join(name + re.sub("<.*?>", url, str(value)) for name, value in found.items())
    assert len(text) <= MAX_ENVIRONMENT - LEFT_FOR_SCOPE


def test_the_clerk_may_ask_for_that_and_no_more(anywhere: Stack) -> None:
    """If this fails, the clerk is refused when it asks, or whoever takes it over may look at other event sources."""
    (policy,) = attached(anywhere, "ClerkRole")
    place = anywhere.place
    mapping = f"arn:{place.partition}:lambda:{place.region}:{ACCOUNT}:event-source-mapping:<NotifierSource>"
    held = [(listed(it["Action"]), it["Resource"]) for it in policy["PolicyDocument"]["Statement"]]
    assert held == [
        (["events:ListRules"], "*"),
        (["cloudwatch:GetMetricData"], "*"),
        (["lambda:GetEventSourceMapping"], mapping),
    ]
    assert variables(anywhere)["EVENKEEL_NOTIFIER_SOURCE"] == "<NotifierSource>"


def test_a_quarter_of_an_hour_of_silence_rings_and_is_more_than_two_rounds(stack: Stack) -> None:
    """If this fails, one late round rings, or the clerk can be silent for long before anybody hears of it."""
    assert stack.resources["ClerkSchedule"]["Properties"]["ScheduleExpression"] == "rate(5 minutes)"
    alarm = stack.of_type("AWS::CloudWatch::Alarm")["SwitchedOffAlarm"]
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 15 * 60
    assert alarm["Period"] == 60, "CloudWatch looks at some periods more, which would be long ones"
    assert alarm["DatapointsToAlarm"] == 1, "what is off rings in the first round that sees it"
