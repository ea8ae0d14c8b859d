"""The rule on the stack's own switches: it brings each pause and push to the clerk, and nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.switches import deployed, switched

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.rendering import Stack

APPLICATION = "<SettingsApplication>"
DENIED = {"errorCode": "AccessDenied"}


@pytest.fixture
def passes(stack: Stack) -> Callable[[dict[str, Any]], bool]:
    """Return what says whether the rule would deliver an event, by MiniStack's matcher."""
    from ministack.services.eventbridge import _matches_pattern  # noqa: PLC0415 - an engine, only where it is asked

    text = json.dumps(stack.resources["StackCallsRule"]["Properties"]["EventPattern"])

    def matches(event: dict[str, Any]) -> bool:
        put = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
        return bool(
            _matches_pattern(text, {**put, "Resources": [], "Account": event["account"], "Region": "eu-west-1"})
        )

    return matches


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (switched("evenkeel-kms", enabled=False), True),
        (switched("evenkeel-notifier", enabled=True), True),
        (switched("evenkeel-kms", enabled=None), False),
        (switched("shop-orders", enabled=False), False),
        (switched("evenkeel-kms", enabled=False, **DENIED), False),
        (switched("evenkeel-kms", enabled=False, eventName="UpdateFunctionCode20150331v2"), False),
        (deployed(APPLICATION), True),
        (deployed(APPLICATION, "StopDeployment"), True),
        (deployed("other12"), False),
        (deployed(APPLICATION, **DENIED), False),
        (deployed(APPLICATION, "GetDeployment"), False),
    ],
)
def test_it_hears_the_stacks_own_switches_only(
    passes: Callable[[dict[str, Any]], bool], event: dict[str, Any], wanted: bool
) -> None:
    """Fails when a pause or a push of settings is silent, or the clerk is woken by other people's functions."""
    assert passes(event) == wanted


def test_only_that_rule_and_the_schedule_may_wake_the_clerk(anywhere: Stack) -> None:
    """Fails when the rule's events are refused by the function, or any other rule may send some."""
    found = {
        permission["SourceArn"]: permission["Principal"]
        for permission in anywhere.of_type("AWS::Lambda::Permission").values()
        if permission["FunctionName"] == "<ClerkFunction>"
    }
    assert found == dict.fromkeys(("<StackCallsRule.Arn>", "<ClerkSchedule.Arn>"), "events.amazonaws.com")
