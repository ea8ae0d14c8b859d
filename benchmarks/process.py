"""The other end of a worker: start it, give it orders, take its answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).resolve().parents[1]
_BYTECODE = ROOT / "build" / "bench" / "bytecode"


def environment(variables: dict[str, str]) -> dict[str, str]:
    """Return the environment of a measured process: the variables, and bytecode that is kept.

    So no process but the first compiles anything, whatever the shell says about bytecode.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "PYTHONPYCACHEPREFIX": str(_BYTECODE), **variables}


class Worker:
    """A process of :mod:`benchmarks.worker`; use it in a ``with`` block."""

    def __init__(self, variables: dict[str, str]) -> None:
        """Start it with the environment that Lambda would give it."""
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=environment(variables),
        )

    def __enter__(self) -> Self:
        """Hand it over."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more answers and end it."""
        self._process.communicate()
        self._errors.close()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Give one order and return its answer.

        Raises:
            RuntimeError: the worker ended instead; says what it wrote.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the worker was started without pipes")
        stdin.write(f"{json.dumps(order)}\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise RuntimeError(f"the worker ended: {self._errors.read()[-4000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer
