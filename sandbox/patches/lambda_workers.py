"""Workers share one extracted copy of each zip, and an invocation's log is whole when it has ended.

A layer's hundreds of files are written once, not at every cold start. The copy is linked into each worker's folder.
Handlers must not write beside their code; on AWS they cannot. The engine takes a log for whole when nothing came for
five milliseconds, so that a busy machine lost lines, and the metrics in them; here the worker says where its log ends.
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
"""Where the engine's worker for Python answers."""
_PATIENCE_SECONDS = 5.0


def apply() -> None:
    """Patch the engine's way to unpack code and layers, and to read logs."""
    runtime = module("core.lambda_runtime")
    runtime.zipfile = SimpleNamespace(
        # LargeFileError is what the engine calls LargeZipFile, by mistake.
        ZipFile=SharedZip,
        BadZipFile=zipfile.BadZipFile,
        LargeFileError=zipfile.LargeZipFile,
    )
    if _ANSWERS not in runtime._PYTHON_WORKER_SCRIPT:
        raise MissingHookError("the engine's worker for Python answers elsewhere; look through this patch")
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
        pass  # the worker died with its answer on the way; what came is its log
    return "\n".join(lines)


def end_idle() -> int:
    """End the idle workers of all functions, as Lambda does now and then; return how many are busy and go on."""
    runtime = module("core.lambda_runtime")
    with runtime._lock:
        idle = [worker for pool in runtime._workers.values() for worker in pool if not worker.in_use]
        busy = {key: kept for key, pool in runtime._workers.items() if (kept := [each for each in pool if each.in_use])}
        runtime._workers.clear()
        runtime._workers.update(busy)
    runtime.kill_workers(idle)
    return sum(map(len, busy.values()))


class SharedZip(zipfile.ZipFile):
    """A zip file whose extraction is shared by all who extract the same content."""

    def namelist(self) -> list[str]:
        """Return the names, for the engine's check of paths; an empty list once they have been checked."""
        return [] if self._shared().exists() else super().namelist()

    def extractall(self, path: object = None, members: object = None, pwd: bytes | None = None) -> None:
        """Link the shared copy's entries into ``path``, extracting the copy first if it is not there."""
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
