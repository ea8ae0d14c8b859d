"""Rules: what their patterns refuse by their structure (what they match is tested on an engine)."""

from __future__ import annotations

import json
from typing import Any

from evenkeel.events.eventbridge import MAX_PATTERN_CHARACTERS
from tools.rendering import ACCOUNT, Stack

CALLS = "AWS API Call via CloudTrail"


def api_call_patterns(stack: Stack) -> dict[str, Any]:
    """Return the patterns over CloudTrail's events by rule."""
    rules = stack.of_type("AWS::Events::Rule")
    found = {name: rule["EventPattern"] for name, rule in rules.items() if "EventPattern" in rule}
    return {name: pattern for name, pattern in found.items() if pattern["detail-type"] == [CALLS]}


def test_every_group_has_a_rule_on_api_calls(anywhere: Stack, group_names: list[str]) -> None:
    """Fails when a group would hear of a weakening only from AWS Config, hours later."""
    assert len(api_call_patterns(anywhere)) >= len(group_names)


def test_patterns_refuse_failed_calls_and_our_own_roles(anywhere: Stack) -> None:
    """Fails when a refused call or Evenkeel's own change would wake a control, or root's and IAM users' would not."""
    prefix = f"arn:{anywhere.place.partition}:iam::{ACCOUNT}:role/evenkeel/"
    others, nobody = ({"anything-but": {"prefix": prefix}}, {"exists": False})
    for name, pattern in api_call_patterns(anywhere).items():
        detail = pattern["detail"]
        assert detail["errorCode"] == [{"exists": False}], name
        if name == "StackCallsRule":
            continue  # it changes nothing, and no role of ours may make such a call
        issuers = [choice["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] for choice in detail["$or"]]
        assert issuers == [[others], [nobody]], name


def test_patterns_name_the_service(anywhere: Stack) -> None:
    """Fails when another service's call of the same name (CreateTable, TagResource) would wake a control."""
    for name, pattern in api_call_patterns(anywhere).items():
        sources = pattern["detail"]["eventSource"]
        assert sources, name
        assert pattern["source"] == [f"aws.{source.partition('.')[0]}" for source in sources], name


def test_patterns_fit(anywhere: Stack) -> None:
    """Fails when EventBridge would refuse a pattern as too long."""
    for name, rule in anywhere.of_type("AWS::Events::Rule").items():
        assert len(json.dumps(rule.get("EventPattern", {}), separators=(",", ":"))) <= MAX_PATTERN_CHARACTERS, name


def test_rules_listen_on_the_default_bus(stack: Stack) -> None:
    """Fails when a rule would sit on a custom bus, to which AWS's own events never come."""
    assert not [name for name, rule in stack.of_type("AWS::Events::Rule").items() if "EventBusName" in rule]
