"""The logger and the metrics of every function: JSON log lines, and counts for the alarms.

Only metrics that an alarm reads are sent: each costs $0.30 for a month in which it is sent. The log has the rest.
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
    # A batch without metrics (only PLANNED records, for example) is normal.
    warnings.filterwarnings("ignore", message="No application metrics to publish")
    metrics = Metrics()
    metrics.set_default_dimensions(stack=_stack())
    return Logger(), metrics


def count_for_stack(topic: str, name: str, number: int = 1) -> None:
    """Count under ``service=topic`` instead of the function's name, at once: one metric for all functions.

    So one alarm watches them all, whichever groups are deployed.
    """
    dimensions = {"service": topic, "stack": _stack()}
    with single_metric(name=name, unit=COUNT, value=number, default_dimensions=dimensions):
        pass


def _stack() -> str:
    return os.environ.get("EVENKEEL_STACK", "evenkeel")
