"""Workers share one extracted copy of each zip: a layer's hundreds of files are written once, not at every cold start.

The copy is linked into each worker's folder. Handlers must not write beside their code; on AWS they cannot.
"""

from __future__ import annotations

import hashlib
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

from sandbox.patches.hooks import module

_lock = threading.Lock()


def apply() -> None:
    """Patch the engine's way to unpack code and layers."""
    module("core.lambda_runtime").zipfile = SimpleNamespace(
        # LargeFileError is what the engine calls LargeZipFile, by mistake.
        ZipFile=SharedZip,
        BadZipFile=zipfile.BadZipFile,
        LargeFileError=zipfile.LargeZipFile,
    )


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
