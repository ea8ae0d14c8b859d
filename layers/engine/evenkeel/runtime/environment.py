"""The environment variables of the stack's functions, typed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenkeel import names, system_parts
from evenkeel.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment variables of the stack's functions."""

    stack: str
    audit_table: str
    state_table: str
    settings_name: str
    region: str
    start_mode: str = "recommended"
    scope: tuple[str, ...] = ("*",)
    retention_days: int = 400
    queue_url: str = ""
    dlq_url: str = ""
    groups: tuple[str, ...] = ()
    """The groups that are deployed; only the clerk has this variable."""
    keys: frozenset[str] = frozenset()
    """The ARNs of the stack's keys, which are parts of the stack."""

    @property
    def queues(self) -> dict[str, str]:
        """The URL of each deployed group's queue, by group."""
        return names.queue_urls(self.stack, self.groups, self.dlq_url)

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Read the environment variables.

        Raises:
            SettingsError: a variable is missing or not valid.
        """
        try:
            return cls(
                stack=variables["EVENKEEL_STACK"],
                audit_table=names.audit_table(variables["EVENKEEL_STACK"]),
                state_table=names.state_table(variables["EVENKEEL_STACK"]),
                settings_name=variables["EVENKEEL_SETTINGS"],
                region=variables["AWS_REGION"],
                start_mode=variables.get("EVENKEEL_START_MODE", "recommended"),
                scope=tuple(part.strip() for part in variables.get("EVENKEEL_SCOPE", "*").split(",") if part.strip()),
                retention_days=int(variables.get("EVENKEEL_RETENTION_DAYS", "400")),
                queue_url=variables.get("EVENKEEL_QUEUE_URL", ""),
                dlq_url=variables.get("EVENKEEL_DLQ_URL", ""),
                groups=tuple(filter(None, variables.get("EVENKEEL_GROUPS", "").split(","))),
                keys=system_parts.keys(variables),
            )
        except (KeyError, ValueError) as error:
            raise SettingsError(
                f"environment variable missing or not valid: {error}; deploy the stack again"
            ) from error
