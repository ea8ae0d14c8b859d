"""The logger and the metrics of every function: one JSON line a thing that happened, one count a thing to alarm on.

What no alarm reads is not counted: each name costs $0.30 for a month in which it is sent, and the log says the same.
"""

from __future__ import annotations

import os
import warnings
from functools import lru_cache

from aws_lambda_powertools import Logger, Metrics, single_metric
from aws_lambda_powertools.metrics import MetricUnit

COUNT = MetricUnit.Count
SECONDS = MetricUnit.Seconds


@lru_cache(maxsize=1)
def telemetry() -> tuple[Logger, Metrics]:
    """Return a function's logger and metrics; metrics carry the dimensions ``service`` and ``stack``."""
    # A batch without anything to count (only PLANNED records, say) is as it should be.
    warnings.filterwarnings("ignore", message="No application metrics to publish")
    metrics = Metrics()
    metrics.set_default_dimensions(stack=_stack())
    return Logger(), metrics


def count_for_stack(topic: str, name: str, number: int = 1) -> None:
    """Count under ``service=topic`` instead of the function's own name, at once: all functions feed one metric.

    So one alarm watches them all, whatever groups are deployed.
    """
    where = {"service": topic, "stack": _stack()}
    with single_metric(name=name, unit=COUNT, value=number, default_dimensions=where):
        pass


def _stack() -> str:
    return os.environ.get("EVENKEEL_STACK", "evenkeel")
