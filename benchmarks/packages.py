"""The size of what is deployed as code: each function's package, and the layer that all share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox.deploy.deployment import CACHE
from sandbox.deploy.package import Packager
from sandbox.deploy.template import load

ROOT = Path(__file__).resolve().parents[1]
LAYER = "layer"


def packages(root: Path = ROOT, cache: Path = CACHE) -> dict[str, Path]:
    """Build each package as its Makefile does; return the zips by the function's logical id, the layer as ``layer``.

    A zip's name holds a digest of its content.
    """
    packager = Packager(cache, "bucket", "")
    packager.rewrite(load(root / "template.yaml"), root)
    zips = [artifact.path for artifact in packager.artifacts.values() if artifact.path.suffix == ".zip"]
    return {path.stem.rpartition("-")[0]: path for path in zips}


def sizes() -> list[dict[str, Any]]:
    """Return a row for each package, the largest first."""
    rows = [{"package": name, "bytes": path.stat().st_size} for name, path in packages().items()]
    return sorted(rows, key=lambda row: row["bytes"], reverse=True)
