"""The alarms of one group; all reach the on-call topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.cfn import Fn, ref
from tools.names import TAGS

if TYPE_CHECKING:
    from collections.abc import Sequence

ONE_HOUR = 3600


def alarms(name: str, group: str, rules: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the alarms of a group by logical id: errors, throttles, waiting messages, lost events."""
    function = [{"Name": "FunctionName", "Value": ref(f"{name}Function")}]
    queue = [{"Name": "QueueName", "Value": Fn("GetAtt", f"{name}Queue.QueueName")}]
    return {
        f"{name}ErrorsAlarm": _alarm(
            f"The {group} function fails as a whole. Its log group says why.",
            {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Dimensions": function, "Statistic": "Sum"},
        ),
        f"{name}ThrottlesAlarm": _alarm(
            f"The {group} function is throttled; the account's Lambda concurrency is used up.",
            {"Namespace": "AWS/Lambda", "MetricName": "Throttles", "Dimensions": function, "Statistic": "Sum"},
            periods=5,
            of_them=3,
        ),
        f"{name}WaitingAlarm": _alarm(
            f"A message to the {group} controls has waited for an hour - paused, or its event source is off.",
            {
                "Namespace": "AWS/SQS",
                "MetricName": "ApproximateAgeOfOldestMessage",
                "Dimensions": queue,
                "Statistic": "Maximum",
            },
            periods=5,
            of_them=3,
            threshold=ONE_HOUR,
        ),
        **{f"{rule.removesuffix('Rule')}LostAlarm": _lost(group, rule) for rule in rules},
    }


def _lost(group: str, rule: str) -> dict[str, Any]:
    """Return the alarm on events that a rule could deliver neither to its queue nor to the dead letters."""
    return _alarm(
        f"An event for the {group} controls is lost; neither queue nor dead letters took it. Check their policies.",
        {
            "Namespace": "AWS/Events",
            "MetricName": "InvocationsFailedToBeSentToDlq",
            "Dimensions": [{"Name": "RuleName", "Value": ref(rule)}],
            "Statistic": "Sum",
        },
    )


def _alarm(
    description: str,
    metric: dict[str, Any],
    *,
    periods: int = 1,
    of_them: int = 1,
    threshold: int = 0,
) -> dict[str, Any]:
    """Return an alarm on a metric above a threshold in so many of the last minutes."""
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmDescription": description,
            **metric,
            "Period": 60,
            "EvaluationPeriods": periods,
            **({} if of_them == periods else {"DatapointsToAlarm": of_them}),
            "Threshold": threshold,
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            "AlarmActions": [ref("Alerts")],
            "Tags": TAGS,
        },
    }
