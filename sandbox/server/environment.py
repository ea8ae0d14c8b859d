"""A clean environment for the sandbox process, set before the engine reads it at import.

The engine's Lambda workers inherit the server's environment and run on its interpreter, so nothing of the caller's
shell may remain: no AWS credentials, no profile, no PYTHONPATH.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "LD_LIBRARY_PATH")
"""Variables of the caller that are kept; all others are dropped."""

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Place:
    """Where a sandbox runs: its port, region, account and private folder."""

    port: int
    region: str
    account: str
    folder: Path
    log_level: str = "WARNING"

    @property
    def endpoint(self) -> str:
        """The URL that clients use for every service."""
        return f"http://{LOOPBACK}:{self.port}"


def variables(place: Place, inherited: dict[str, str]) -> dict[str, str]:
    """Return the whole environment of the server, given the one it was started with."""
    private = str(place.folder)
    return {name: inherited[name] for name in KEPT if name in inherited} | {
        "HOME": private,
        "TMPDIR": private,
        "STATE_DIR": f"{private}/state",
        "GATEWAY_PORT": str(place.port),
        "BIND_HOST": LOOPBACK,
        "MINISTACK_HOST": LOOPBACK,
        "MINISTACK_ACCOUNT_ID": place.account,
        "MINISTACK_REGION": place.region,
        "AWS_DEFAULT_REGION": place.region,
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": place.log_level,
        # A socket that does not exist keeps the engine from looking for a container daemon.
        "DOCKER_HOST": f"unix://{private}/no-docker.sock",
    }


def clean(place: Place) -> None:
    """Replace this process's environment and working directory with the sandbox's own."""
    fresh = variables(place, dict(os.environ))
    os.environ.clear()
    os.environ.update(fresh)
    tempfile.tempdir = None  # drop the cached folder of the former environment
    os.chdir(place.folder)
