"""The cost of importing a function's code, compared with importing boto3, which every function needs.

Each process is new, imports boto3 and then the handler, so both times of a ratio come from the same moment: other work
on the machine slows both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from benchmarks.process import ROOT, environment

FUNCTIONS = ROOT / "functions"
PATH = [str(FUNCTIONS / "controls"), str(FUNCTIONS / "system")]
ROUNDS = 5
_MEASURE = """
import sys, time
sys.path[:0] = {functions!r}
start = time.process_time()
import boto3
between = time.process_time()
import {module}
print(between - start, time.process_time() - between)
"""


def handlers() -> list[str]:
    """Return the module of each function's handler."""
    return sorted(f"{path.parent.name}.handler" for path in FUNCTIONS.glob("*/*/handler.py"))


def cost(modules: list[str]) -> list[dict[str, Any]]:
    """Measure the import of each module in new processes; the modules take turns."""
    found: dict[str, list[tuple[float, float]]] = {module: [] for module in modules}
    for _ in range(ROUNDS):
        for module, rounds in found.items():
            rounds.append(_once(module))
    return [summary(module, rounds) for module, rounds in found.items()]


def summary(module: str, rounds: list[tuple[float, float]]) -> dict[str, Any]:
    """Return the row of a module, from the CPU milliseconds of boto3 and of the module in each round.

    ``ratio`` is what both cost together, in multiples of boto3: the median of the rounds' ratios.
    """
    return {
        "module": module,
        "boto3_ms": statistics.median(boto3 for boto3, _ in rounds),
        "own_ms": statistics.median(own for _, own in rounds),
        "ratio": statistics.median(1 + own / boto3 for boto3, own in rounds),
    }


def _once(module: str) -> tuple[float, float]:
    code = _MEASURE.format(functions=PATH, module=module)
    variables = environment({"POWERTOOLS_SERVICE_NAME": "benchmark", "POWERTOOLS_METRICS_NAMESPACE": "Evenkeel"})
    ran = subprocess.run(  # noqa: S603 - our own line of code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables, cwd=ROOT
    )
    boto3, own = (float(seconds) * 1000 for seconds in ran.stdout.split())
    return boto3, own
