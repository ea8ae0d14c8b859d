"""CloudWatch's metrics of the stack's functions, queues and rules, read once an hour.

An alarm on each of these metrics would cost $0.10 a month, and thirty groups have 200 of them. So each kind of problem
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
"""Each read overlaps the last one by this. Metrics of a queue that was idle can be up to 15 minutes late (SQS developer
guide, "Available CloudWatch metrics for Amazon SQS")."""
FARTHEST = timedelta(days=14)
"""How far back a read goes after a long outage: one-minute data last 15 days (CloudWatch API, GetMetricData)."""
LONGEST = timedelta(hours=12)
"""The longest span of one read. After an outage the next rounds continue: an answer has at most 100,800 values, which
take a Lambda function of this size some seconds, and two weeks of thirty groups are two million."""
AT_ONCE = 500
"""Metrics of one call (CloudWatch API reference, GetMetricData)."""
ITEM = "clerk#vitals"
"""The key of the state item with the time up to which CloudWatch was read, and when each problem was counted."""
_MINUTE, _OF_MINUTES = 60, 5


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: minutes in which one of AWS's metrics is above a threshold."""

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
    """A problem that lasts is counted again after this time."""


LOST = Kind("EventsLost", "AWS/Events", "InvocationsFailedToBeSentToDlq", "RuleName", "Sum", quiet=timedelta(0))
WAITING = Kind(
    "MessagesWaiting", "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", "Maximum", above=3600, minutes=3
)
FAILING = Kind("FunctionsFailing", "AWS/Lambda", "Errors", "FunctionName", "Sum")
THROTTLED = Kind("FunctionsThrottled", "AWS/Lambda", "Throttles", "FunctionName", "Sum")
OFTEN_THROTTLED = replace(THROTTLED, minutes=3)
"""For functions that read a queue or a stream: a throttled batch is delivered again by itself."""
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
        """Return the query for CloudWatch; ``number`` identifies its result."""
        metric = {
            "Namespace": self.kind.namespace,
            "MetricName": self.kind.metric,
            "Dimensions": [{"Name": self.kind.dimension, "Value": self.part}],
        }
        return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": _MINUTE, "Stat": self.kind.statistic}}

    def last(self, minutes: Mapping[int, float]) -> int | None:
        """Return the last minute (seconds since 1970) in which the part was unhealthy, or None."""
        bad = sorted(minute for minute, value in minutes.items() if value > self.kind.above)
        needed = self.kind.minutes
        ends = [
            last for first, last in zip(bad, bad[needed - 1 :], strict=False) if last - first < _OF_MINUTES * _MINUTE
        ]
        return max(ends, default=None)


def vitals(stack: str, groups: Iterable[str], rules: Iterable[str]) -> list[Vital]:
    """Return all metrics to read; ``rules`` are names without the prefix ``<stack>-``.

    The undo function is included although not every stack has it: a metric that does not exist has no data.
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


class VitalsReader:
    """Reads one stack's vitals every hour."""

    def __init__(self, aws: Aws, environment: Environment, watched: Sequence[Vital], now: datetime) -> None:
        """Keep the parts."""
        self._aws = aws
        self._table = environment.state_table
        self._watched = watched
        self._now = now

    def read(self) -> bool:
        """Read the metrics if an hour has passed, log and count the problems; return whether everything was read.

        If CloudWatch does not return everything, the next round reads from the same minute again; it also continues
        after :data:`LONGEST`. Counts are sent before they are stored, so a crash between the two sends them twice.

        Raises:
            ClientError: the state table refused a call.
        """
        item = self._stored()
        read_to = datetime.fromtimestamp(int(item["read_to"]), UTC) if item else self._now - EVERY
        if self._now - read_to < EVERY:
            return True
        since = max(read_to - OVERLAP, self._now - FARTHEST)
        until = min(since + LONGEST, self._now)
        try:
            found = self._problems(since, until)
        except (*AwsError, IncompleteMetricsError) as error:
            logger.error("cannot read metrics", what="metrics", error=str(error))  # noqa: TRY400 - it is enough
            return False
        counted = {key: int(minute) for key, minute in item.get("counted", {}).items()}
        new = [vital for vital, minute in found.items() if minute > counted.get(vital.key, 0) + _seconds(vital)]
        for name, number in Counter(vital.kind.counted for vital in new).items():
            count_for_stack(names.CLERK, name, number)
        lasting = {vital.key: counted[vital.key] for vital in found if vital not in new}
        self._store(lasting | {vital.key: found[vital] for vital in new}, until)
        read = f"{since:%FT%TZ} to {until:%FT%TZ}"
        logger.info("read", metrics=len(self._watched), span=read, problems=len(found), new=len(new))
        return until == self._now

    def _problems(self, since: datetime, until: datetime) -> dict[Vital, int]:
        """Return the vitals that were unhealthy in that time, with the last minute of each, and log each by name."""
        found = {}
        for vital, minutes in self._data(since, until):
            last = vital.last(minutes)
            if last is not None:
                found[vital] = last
                at = f"{datetime.fromtimestamp(last, UTC):%FT%TZ}"
                logger.error("unhealthy", what=vital.kind.counted, part=vital.part, at=at)
        return found

    def _data(self, since: datetime, until: datetime) -> Iterator[tuple[Vital, dict[int, float]]]:
        """Yield each metric's values by minute.

        Raises:
            IncompleteMetricsError: CloudWatch did not return all values of a metric.
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
                raise IncompleteMetricsError(f"{len(missing)} of {len(queries)} metrics are incomplete")
            yield from ((vital, values[query["Id"]]) for vital, query in zip(watched, queries, strict=True))

    def _stored(self) -> dict[str, Any]:
        answer = self._aws("dynamodb", "get_item", TableName=self._table, Key=wire({"pk": ITEM}))
        return unwire(answer.get("Item", {}))

    def _store(self, counted: Mapping[str, int], until: datetime) -> None:
        self._aws(
            "dynamodb",
            "update_item",
            TableName=self._table,
            Key=wire({"pk": ITEM}),
            UpdateExpression="SET read_to = :until, counted = :counted",
            ExpressionAttributeValues=wire({":until": int(until.timestamp()), ":counted": dict(counted)}),
        )


class IncompleteMetricsError(Exception):
    """CloudWatch's answer does not have everything that was requested."""


def _seconds(vital: Vital) -> int:
    return int(vital.kind.quiet.total_seconds())
