"""Apply every patch, after checking that the engine is the version they were written for."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from sandbox.patches import (
    appconfig,
    authorization,
    cloudformation,
    dynamodb,
    kms,
    logs,
    metrics,
    sources,
    streams,
    tagging,
    targets,
    workers,
)

if TYPE_CHECKING:
    from sandbox.server import Options

ENGINE_VERSION = "1.5.33"


class EngineVersionError(RuntimeError):
    """The installed engine is not the one that the patches were written for."""


def apply(options: Options) -> None:
    """Patch the imported engine; raise EngineVersionError when it is another version."""
    found = version("ministack")
    if found != ENGINE_VERSION:
        message = (
            f"the sandbox's patches are for ministack {ENGINE_VERSION}, but {found} is installed: pin it, or look "
            "through sandbox/patches and its tests and raise ENGINE_VERSION"
        )
        raise EngineVersionError(message)
    authorization.apply()
    appconfig.apply()
    kms.apply()
    logs.apply()
    dynamodb.apply(options.table_seconds)
    tagging.apply()
    cloudformation.apply()
    workers.apply()
    sources.apply()
    streams.apply()
    targets.apply()
    metrics.apply()
