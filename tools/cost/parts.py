"""The parts of a stack that cost money while it is idle, counted in its rendered templates."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clerk import health_check, stack_calls, vitals

if TYPE_CHECKING:
    from tools.rendering import Stack

ALARM, FUNCTION, QUEUE = "AWS::CloudWatch::Alarm", "AWS::Lambda::Function", "AWS::SQS::Queue"
_RATE = re.compile(r"rate\((\d+) minutes?\)")


@dataclass(frozen=True, slots=True)
class Parts:
    """Numbers of a stack's parts."""

    groups: int
    keys: int
    alarms: int
    metrics: int
    """Of our own that are sent in every round: those whose alarm goes off without data."""
    queues: int
    """That Lambda polls."""
    vitals: int
    """Metrics that the clerk reads each hour."""
    rounds_an_hour: float
    memory_gb: float
    reuse_seconds: int
    """Time that SQS reuses a data key of an encrypted queue before it calls KMS again."""

    @classmethod
    def of(cls, stack: Stack) -> Parts:
        """Return the numbers of a stack's parts."""
        alarms = stack.of_type(ALARM).values()
        clerk = stack.resources["ClerkFunction"]["Properties"]
        groups = clerk["Environment"]["Variables"]["EVENKEEL_GROUPS"].split(",")
        rules = [*health_check.rules_of(groups), stack_calls.RULE]
        polled = [body for body in stack.of_type("AWS::Lambda::EventSourceMapping").values() if "ScalingConfig" in body]
        schedule = _RATE.fullmatch(stack.resources["ClerkSchedule"]["Properties"]["ScheduleExpression"])
        if schedule is None:
            raise ValueError("the clerk's schedule is not a rate in minutes; extend tools/cost/parts.py")
        return cls(
            groups=len(groups),
            keys=len(stack.of_type("AWS::KMS::Key")),
            alarms=len(alarms),
            metrics=sum(
                alarm["Namespace"] == "Evenkeel" and alarm["TreatMissingData"] == "missing" for alarm in alarms
            ),
            queues=len(polled),
            vitals=len(vitals.vitals(stack.name, groups, rules)),
            rounds_an_hour=60 / int(schedule[1]),
            memory_gb=clerk["MemorySize"] / 1024,
            reuse_seconds=min(body["KmsDataKeyReusePeriodSeconds"] for body in stack.of_type(QUEUE).values()),
        )

    def grown(self, groups: int) -> Parts:
        """Return the parts of a stack with so many groups, each of which adds what its template and the clerk have.

        A group has a queue and three rules, no key and no alarm; a test checks this.
        """
        names = [f"group{number}" for number in range(groups)]
        rules = [f"{name}-{suffix}" for name in names for suffix in ("ApiCall", "Config", "SecurityHub")]
        read = vitals.vitals("evenkeel", names, [*rules, stack_calls.RULE])
        return replace(self, groups=groups, queues=groups, vitals=len(read))
