"""The options of a sandbox's command line."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """The options of the command line, with their defaults."""

    port: int = 4566
    region: str = "eu-west-1"
    account: str = "123456789012"
    table_seconds: float = 1.5
    minute_seconds: float = 0.0
    log_level: str = "WARNING"
    record: tuple[str, ...] = ()
    quiet_stacks: bool = False
    """Emit no events for resources of Evenkeel's own stacks."""
    exit_with_parent: bool = False
