"""What the command line may choose of a sandbox."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """What the command line may choose."""

    port: int = 4566
    region: str = "eu-west-1"
    account: str = "123456789012"
    table_seconds: float = 1.5
    minute_seconds: float = 0.0
    log_level: str = "WARNING"
    record: tuple[str, ...] = ()
    quiet_stacks: bool = False
    """Emit no events of what Evenkeel's own stacks deploy."""
    exit_with_parent: bool = False
