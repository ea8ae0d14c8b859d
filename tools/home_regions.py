"""Groups whose events appear in one region of a partition only: deployed there, or where those events are forwarded to.

A service such as IAM has no regions: EventBridge has its calls in us-east-1 alone (AWS re:Post knowledge center,
"eventbridge-rule-triggers-iam-single-region"). Mapping, parameter and condition are generated only where a group needs
them, since CloudFormation's linter warns of unused ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.cfn import Fn, ref

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenkeel.control import Control

HOME = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}
"""The region of each partition in which the events of global services appear.

In China, CloudFront's events appear in cn-northwest-1 (Getting Started with AWS services in China, "CloudTrail"): its
group would need a mapping of its own.
"""
_HERE, _FORWARDED = "GlobalEventsAppear", "GlobalEventsForwarded"


def is_global(controls: Sequence[Control]) -> bool:
    """Return whether a group is deployed in the home region only.

    Raises:
        ValueError: only some of its controls are global.
    """
    kinds = {control.global_events for control in controls}
    if len(kinds) > 1:
        those = ", ".join(control.id for control in controls if control.global_events)
        raise ValueError(
            f"group {controls[0].group}: the events of {those} appear in one region only; move them to a group"
        )
    return True in kinds


def mappings(groups: Mapping[str, Sequence[Control]]) -> dict[str, Any]:
    """Return the template's section ``Mappings``, or nothing."""
    regions = {partition: {"Name": region} for partition, region in HOME.items()}
    return {"Mappings": {"HomeRegion": regions}} if _any(groups) else {}


def parameters(groups: Mapping[str, Sequence[Control]]) -> dict[str, Any]:
    """Return the parameter that says that the events are forwarded here, or nothing."""
    if not (names := _any(groups)):
        return {}
    return {
        _FORWARDED: {
            "Type": "String",
            "Default": "false",
            "AllowedValues": ["true", "false"],
            "Description": (
                f"true if a rule of yours forwards the events of global services from their home region to this one - "
                f"{', '.join(names)} are deployed in the home region only, or where this is true."
            ),
        }
    }


def conditions(groups: Mapping[str, Sequence[Control]]) -> dict[str, Any]:
    """Return the condition that the events of global services appear here, or nothing."""
    at_home = Fn("Equals", [Fn("FindInMap", ["HomeRegion", ref("AWS::Partition"), "Name"]), ref("AWS::Region")])
    forwarded = Fn("Equals", [ref(_FORWARDED), "true"])
    return {_HERE: Fn("Or", [at_home, forwarded])} if _any(groups) else {}


def only_here(enabled: Fn, controls: Sequence[Control]) -> Fn:
    """Return a group's condition, with that on the region if the group is such."""
    return Fn("And", [Fn("Condition", _HERE), enabled]) if is_global(controls) else enabled


def _any(groups: Mapping[str, Sequence[Control]]) -> list[str]:
    return [group for group, controls in groups.items() if is_global(controls)]
