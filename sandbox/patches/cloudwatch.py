"""CloudWatch's metrics of queues and from logs (EMF), and alarms evaluated every second.

Source: the CloudWatch user guide, "Evaluating an alarm" and "Specification: Embedded metric format".
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EVALUATE_SECONDS = 1.0
PUBLISH_SECONDS = 2.0
LOG = logging.getLogger("sandbox.metrics")

COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": lambda value, threshold: value >= threshold,
    "GreaterThanThreshold": lambda value, threshold: value > threshold,
    "LessThanThreshold": lambda value, threshold: value < threshold,
    "LessThanOrEqualToThreshold": lambda value, threshold: value <= threshold,
}


def apply() -> None:
    """Patch the engine's CloudWatch and start the thread that publishes and evaluates."""
    wrap(module("services.cloudwatch"), "_evaluate_alarm", _evaluate)
    wrap(module("services.lambda_svc"), "_emit_lambda_logs", _emit_logs)
    threading.Thread(target=_run, name="sandbox-metrics", daemon=True).start()


def _run() -> None:
    due = 0.0
    while True:
        time.sleep(EVALUATE_SECONDS)
        try:
            publish = time.monotonic() >= due
            due = time.monotonic() + PUBLISH_SECONDS if publish else due
            for account, region in _places():
                with module("core.responses").request_scope(account, region):
                    if publish:
                        publish_queues()
                    module("services.cloudwatch")._evaluate_all_alarms()
        except Exception:  # nothing is lost: a store may change during the iteration, and the thread tries again
            LOG.exception("metrics could not be published or evaluated")


def _places() -> set[tuple[str, str]]:
    """Return the accounts and regions that have alarms."""
    return {(key[0], key[1]) for key in list(module("services.cloudwatch")._alarms._data)}


def publish_queues() -> None:
    """Publish the depth of every queue of the current account and region, as AWS/SQS does every minute."""
    now = time.time()
    for queue in list(module("services.sqs")._queues.values()):
        messages = list(queue["messages"])
        visible = [each for each in messages if each["visible_at"] <= now]
        name = queue["attributes"]["QueueArn"].rpartition(":")[2]
        waiting = [now - each["sent_at"] for each in messages]
        values = {
            "ApproximateNumberOfMessagesVisible": len(visible),
            "ApproximateNumberOfMessagesNotVisible": len(messages) - len(visible),
            "ApproximateAgeOfOldestMessage": max(waiting, default=0.0),
        }
        for metric, value in values.items():
            record("AWS/SQS", metric, value, {"QueueName": name})


def record(namespace: str, metric: str, value: float, dimensions: dict[str, str]) -> None:
    """Record a datum of a metric with the current time."""
    module("services.cloudwatch").record_metric(namespace, metric, float(value), dimensions=dimensions)


def _emit_logs(
    original: Callable[..., Any], function: Any, request_id: str, text: str, *rest: Any, **named: Any
) -> Any:
    for line in (text or "").splitlines():
        if '"_aws"' in line:
            for namespace, metric, value, dimensions in embedded(line):
                record(namespace, metric, value, dimensions)
    return original(function, request_id, text, *rest, **named)


def embedded(line: str) -> Iterator[tuple[str, str, float, dict[str, str]]]:
    """Yield the metrics of a log line in the embedded metric format: namespace, name, value, dimensions."""
    try:
        document = json.loads(line[line.index("{") :])
    except ValueError:
        return
    for directive in document.get("_aws", {}).get("CloudWatchMetrics", []):
        for names in directive.get("Dimensions", [[]]):
            dimensions = {name: str(document.get(name, "")) for name in names}
            for metric in directive.get("Metrics", []):
                found = document.get(metric["Name"])
                for value in found if isinstance(found, list) else [found]:
                    if isinstance(value, int | float):
                        yield directive["Namespace"], metric["Name"], float(value), dimensions


def _evaluate(_: Callable[..., Any], alarm: dict[str, Any]) -> None:
    """Evaluate an alarm over its dimensions and periods, with its treatment of missing data."""
    state = judge(alarm, time.time())
    old = alarm["StateValue"]
    if state is None or state == old:
        return
    cloudwatch = module("services.cloudwatch")
    reason = f"Threshold Crossed: {alarm.get('MetricName')} {alarm.get('ComparisonOperator')} {alarm.get('Threshold')}"
    alarm |= {"StateValue": state, "StateReason": reason, "StateUpdatedTimestamp": int(time.time())}
    cloudwatch._record_history(alarm["AlarmName"], old, state, reason)
    cloudwatch._dispatch_alarm_actions(alarm, old, state, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def judge(alarm: dict[str, Any], now: float) -> str | None:
    """Return the state that an alarm should have; None if it keeps its state."""
    if "MetricName" not in alarm or not alarm["MetricName"]:
        return None
    periods = int(alarm.get("EvaluationPeriods", 1))
    needed = int(alarm.get("DatapointsToAlarm") or periods)
    breaching = missing = 0
    seconds = int(alarm.get("Period", 60))
    for index in range(periods):
        value = _datum(alarm, now - (index + 1) * seconds, now - index * seconds)
        if value is None:
            missing += 1
        elif COMPARE[alarm["ComparisonOperator"]](value, float(alarm.get("Threshold", 0))):
            breaching += 1
    treatment = alarm.get("TreatMissingData") or "missing"
    if treatment == "breaching":
        breaching += missing
    if breaching >= needed:
        return "ALARM"
    if missing == periods and treatment in ("missing", "ignore"):
        return None if treatment == "ignore" else "INSUFFICIENT_DATA"
    return "OK"


def _datum(alarm: dict[str, Any], start: float, end: float) -> float | None:
    cloudwatch = module("services.cloudwatch")
    dimensions = cloudwatch._dims_key({each["Name"]: each["Value"] for each in alarm.get("Dimensions") or []})
    series = cloudwatch._metrics.get((alarm["Namespace"], alarm["MetricName"], dimensions)) or []
    points = [point for point in list(series) if start < point["Timestamp"] <= end]
    if not points:
        return None
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic", "Average")
    value = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic, points)
    return None if value is None else float(value)
