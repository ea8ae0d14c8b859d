"""CloudWatch's metrics of the stack's functions, queues and rules, read once an hour.

An alarm on each of these metrics would cost $0.10 a month, and thirty groups have 200 of them. So each kind of trouble
has one metric and one alarm here, and the log names the function, the queue or the rule.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from evenkeel import names
from evenkeel.errors import AwsError
from evenkeel.runtime.dynamodb import unwire, wire
from evenkeel.runtime.telemetry import count_for_stack, telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from evenkeel.runtime.aws import Aws
    from evenkeel.runtime.environment import Environment

logger, _ = telemetry()

EVERY = timedelta(hours=1)
OVERLAP = timedelta(minutes=20)
"""How far a read reaches back before the last one. Metrics of a queue that was idle come up to 15 minutes late (SQS
developer guide, "Available CloudWatch metrics for Amazon SQS")."""
FARTHEST = timedelta(days=14)
"""How far a read reaches back after a long outage: data of one minute last 15 days (CloudWatch API, GetMetricData)."""
LONGEST = timedelta(hours=12)
"""How much one round reads. After an outage the next rounds read on: an answer has 100,800 values at most, which take a
Lambda function of this size some seconds, and two weeks of thirty groups are two million."""
AT_ONCE = 500
"""Metrics of one call (CloudWatch API reference, GetMetricData)."""
ITEM = "clerk#vitals"
"""The key of the state item that says how far CloudWatch was read, and which trouble was counted when."""
_MINUTE, _OF_MINUTES = 60, 5


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of trouble: minutes of one of AWS's metrics above a threshold."""

    counted: str
    """The name of our own metric, which the alarm reads."""
    namespace: str
    metric: str
    dimension: str
    statistic: str
    above: int = 0
    minutes: int = 1
    """So many of five minutes must be above the threshold."""
    quiet: timedelta = timedelta(days=1)
    """How long the same trouble of the same part is not counted again while it lasts."""


LOST = Kind("EventsLost", "AWS/Events", "InvocationsFailedToBeSentToDlq", "RuleName", "Sum", quiet=timedelta(0))
WAITING = Kind(
    "MessagesWaiting", "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "Maximum", above=3600, minutes=3
)
FAILING = Kind("FunctionsFailing", "AWS/Lambda", "Errors", "FunctionName", "Sum")
THROTTLED = Kind("FunctionsThrottled", "AWS/Lambda", "Throttles", "FunctionName", "Sum")
OFTEN_THROTTLED = replace(THROTTLED, minutes=3)
"""Of functions that read a queue or a stream: a throttled batch comes again by itself."""
KINDS = (LOST, WAITING, FAILING, THROTTLED, OFTEN_THROTTLED)


@dataclass(frozen=True, slots=True)
class Vital:
    """One metric of one part of the stack."""

    kind: Kind
    part: str
    """The physical name of the function, queue or rule."""

    @property
    def key(self) -> str:
        """Its name in the state item."""
        return f"{self.kind.counted}/{self.part}"

    def query(self, number: int) -> dict[str, Any]:
        """Return the question for CloudWatch; ``number`` identifies its answer."""
        metric = {
            "Namespace": self.kind.namespace,
            "MetricName": self.kind.metric,
            "Dimensions": [{"Name": self.kind.dimension, "Value": self.part}],
        }
        return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": _MINUTE, "Stat": self.kind.statistic}}

    def last(self, minutes: Mapping[int, float]) -> int | None:
        """Return the last minute (seconds since 1970) in which this was in trouble; None for never."""
        bad = sorted(minute for minute, value in minutes.items() if value > self.kind.above)
        needed = self.kind.minutes
        ends = [
            last for first, last in zip(bad, bad[needed - 1 :], strict=False) if last - first < _OF_MINUTES * _MINUTE
        ]
        return max(ends, default=None)


def vitals(stack: str, groups: Iterable[str], rules: Iterable[str]) -> list[Vital]:
    """Return all that is read; ``rules`` are names after ``<stack>-``.

    Undo is among the functions although not every stack has it: a metric that does not exist has no data.
    """
    groups = list(groups)
    readers, others = [*groups, names.NOTIFIER], [name for name in names.SYSTEM if name != names.NOTIFIER]
    return [
        *(Vital(LOST, f"{stack}-{rule}") for rule in rules),
        *(Vital(WAITING, names.queue(stack, group)) for group in groups),
        *(Vital(FAILING, names.function(stack, name)) for name in (*readers, *others)),
        *(Vital(OFTEN_THROTTLED, names.function(stack, name)) for name in readers),
        *(Vital(THROTTLED, names.function(stack, name)) for name in others),
    ]


class Rounds:
    """The hourly read of one stack's vitals."""

    def __init__(self, aws: Aws, environment: Environment, watched: Sequence[Vital], now: datetime) -> None:
        """Keep the parts."""
        self._aws = aws
        self._table = environment.state_table
        self._watched = watched
        self._now = now

    def look(self) -> bool:
        """Read, log and count what is in trouble where an hour has passed; return whether all was read.

        What CloudWatch does not return is asked again in the next round, from the same minute on; what is more than
        :data:`LONGEST` is left to it, too. The count is sent before it is remembered, so that a crash between the two
        sends it twice.

        Raises:
            ClientError: the state table refused.
        """
        item = self._remembered()
        read_to = datetime.fromtimestamp(int(item["read_to"]), UTC) if item else self._now - EVERY
        if self._now - read_to < EVERY:
            return True
        since = max(read_to - OVERLAP, self._now - FARTHEST)
        until = min(since + LONGEST, self._now)
        try:
            found = self._troubles(since, until)
        except (*AwsError, IncompleteMetricsError) as error:
            logger.error("no answer how the parts are", what="metrics", error=str(error))  # noqa: TRY400 - it says all
            return False
        counted = {key: int(minute) for key, minute in item.get("counted", {}).items()}
        new = [vital for vital, minute in found.items() if minute > counted.get(vital.key, 0) + _seconds(vital)]
        for name, number in Counter(vital.kind.counted for vital in new).items():
            count_for_stack(names.CLERK, name, number)
        lasting = {vital.key: counted[vital.key] for vital in found if vital not in new}
        self._remember(lasting | {vital.key: found[vital] for vital in new}, until)
        read = f"{since:%FT%TZ} to {until:%FT%TZ}"
        logger.info("read", metrics=len(self._watched), span=read, troubles=len(found), new=len(new))
        return until == self._now

    def _troubles(self, since: datetime, until: datetime) -> dict[Vital, int]:
        """Return what was in trouble in that time, with the last minute of each; log it by name."""
        found = {}
        for vital, minutes in self._data(since, until):
            last = vital.last(minutes)
            if last is not None:
                found[vital] = last
                at = f"{datetime.fromtimestamp(last, UTC):%FT%TZ}"
                logger.error("in trouble", what=vital.kind.counted, part=vital.part, at=at)
        return found

    def _data(self, since: datetime, until: datetime) -> Iterator[tuple[Vital, dict[int, float]]]:
        """Yield each metric's values by minute.

        Raises:
            IncompleteMetricsError: CloudWatch did not return all of some metric.
        """
        for start in range(0, len(self._watched), AT_ONCE):
            watched = self._watched[start : start + AT_ONCE]
            values = defaultdict[str, dict[int, float]](dict)
            complete: set[str] = set()
            queries = [vital.query(number) for number, vital in enumerate(watched)]
            for page in self._aws.pages(
                "cloudwatch", "get_metric_data", MetricDataQueries=queries, StartTime=since, EndTime=until
            ):
                for result in page["MetricDataResults"]:
                    moments = (int(moment.timestamp()) for moment in result["Timestamps"])
                    values[result["Id"]] |= dict(zip(moments, result["Values"], strict=True))
                    complete |= {result["Id"]} if result["StatusCode"] == "Complete" else set()
            if missing := {query["Id"] for query in queries} - complete:
                raise IncompleteMetricsError(f"{len(missing)} of {len(queries)} metrics were not read whole")
            yield from ((vital, values[query["Id"]]) for vital, query in zip(watched, queries, strict=True))

    def _remembered(self) -> dict[str, Any]:
        answer = self._aws("dynamodb", "get_item", TableName=self._table, Key=wire({"pk": ITEM}))
        return unwire(answer.get("Item", {}))

    def _remember(self, counted: Mapping[str, int], until: datetime) -> None:
        self._aws(
            "dynamodb",
            "update_item",
            TableName=self._table,
            Key=wire({"pk": ITEM}),
            UpdateExpression="SET read_to = :until, counted = :counted",
            ExpressionAttributeValues=wire({":until": int(until.timestamp()), ":counted": dict(counted)}),
        )


class IncompleteMetricsError(Exception):
    """CloudWatch answered, and not with all that was asked."""


def _seconds(vital: Vital) -> int:
    return int(vital.kind.quiet.total_seconds())
