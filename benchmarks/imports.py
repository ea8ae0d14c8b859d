"""What importing a handler costs beside importing boto3, each in processes of their own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 5
_MEASURE = "import resource,sys; sys.path[:0]=[{path!r}]; b=resource.getrusage(0); import {module}; a=resource.getrusage(0); print((a.ru_utime-b.ru_utime+a.ru_stime-b.ru_stime)*1000)"  # noqa: E501 - one line for -c


def import_milliseconds(modules: list[str]) -> dict[str, float]:
    """Return the median CPU milliseconds of importing each module in a new process; they take turns."""
    found: dict[str, list[float]] = {module: [] for module in modules}
    environment = {**os.environ, "POWERTOOLS_SERVICE_NAME": "benchmark", "POWERTOOLS_METRICS_NAMESPACE": "Evenkeel"}
    for _ in range(ROUNDS):
        for module, times in found.items():
            code = _MEASURE.format(path=str(ROOT / "functions"), module=module)
            ran = subprocess.run(  # noqa: S603 - our own line of code
                [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment, cwd=ROOT
            )
            times.append(float(ran.stdout))
    return {module: statistics.median(times) for module, times in found.items()}
