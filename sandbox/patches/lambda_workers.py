"""Lambda's workers, which share one extracted copy of each zip, and the complete log of each invocation.

A layer's hundreds of files are written once, not at every cold start, and linked into each worker's folder. Handlers
must not write into their code's folder; on AWS they cannot. The engine ends a log after five milliseconds of silence,
so that a busy machine lost lines, and the metrics in them; here the worker marks the end of its log.
"""

from __future__ import annotations

import hashlib
import queue
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import MissingHookError, module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

_lock = threading.Lock()


_LOG_ENDS = "-- the log of this invocation ends here --"
_ANSWERS = "        _real_stdout.flush()\n\nrun()"
"""The place in the engine's Python worker where it answers."""
_PATIENCE_SECONDS = 5.0


def apply() -> None:
    """Patch how the engine unpacks code and layers, and reads logs."""
    runtime = module("core.lambda_runtime")
    runtime.zipfile = SimpleNamespace(
        # The engine calls LargeZipFile by a wrong name.
        ZipFile=SharedZip,
        BadZipFile=zipfile.BadZipFile,
        LargeFileError=zipfile.LargeZipFile,
    )
    if _ANSWERS not in runtime._PYTHON_WORKER_SCRIPT:
        raise MissingHookError("the engine's Python worker has changed; review sandbox/patches/lambda_workers.py")
    end = f"        print({_LOG_ENDS!r}, file=sys.stderr, flush=True)\n"
    runtime._PYTHON_WORKER_SCRIPT = runtime._PYTHON_WORKER_SCRIPT.replace(_ANSWERS, end + _ANSWERS)
    wrap(runtime.Worker, "_drain_stderr_bounded", _whole_log)


def _whole_log(original: Callable[..., str], worker: Any, **named: float) -> str:
    """Return the log of the invocation that has just been answered."""
    if not worker.config.get("Runtime", "").startswith("python"):
        return original(worker, **named)
    lines: list[str] = []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    try:
        while (line := worker._stderr_queue.get(timeout=max(0.0, deadline - time.monotonic()))) != _LOG_ENDS:
            lines.append(line)
    except queue.Empty:
        pass  # the worker died while it answered: the log ends here
    return "\n".join(lines)


def end_idle() -> int:
    """End the idle workers of all functions, as Lambda does now and then; return how many workers are busy."""
    runtime = module("core.lambda_runtime")
    with runtime._lock:
        idle = [worker for pool in runtime._workers.values() for worker in pool if not worker.in_use]
        busy = {key: kept for key, pool in runtime._workers.items() if (kept := [each for each in pool if each.in_use])}
        runtime._workers.clear()
        runtime._workers.update(busy)
    runtime.kill_workers(idle)
    return sum(map(len, busy.values()))


class SharedZip(zipfile.ZipFile):
    """A zip file that is extracted once for all users of the same content."""

    def namelist(self) -> list[str]:
        """Return the names, for the engine's check of paths; an empty list if they have been checked before."""
        return [] if self._shared().exists() else super().namelist()

    def extractall(self, path: object = None, members: object = None, pwd: bytes | None = None) -> None:
        """Link the entries of the shared copy into ``path``; extract the copy first if it is missing."""
        del members, pwd  # the engine gives neither
        shared, target = self._shared(), Path(str(path))
        with _lock:
            if not shared.exists():
                fresh = shared.with_suffix(".new")
                super().extractall(fresh)
                fresh.rename(shared)
        for entry in shared.iterdir():
            (target / entry.name).symlink_to(entry)

    def _shared(self) -> Path:
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()[:20]
        return Path(tempfile.gettempdir()) / "extracted" / digest
