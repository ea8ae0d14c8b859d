"""One deployed stack for all files of tests that do not change the stack itself; each file brings its own settings.

A file's resources have names of its own, and it leaves no dead letters and no rule or source switched off.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evenkeel_cli.local import local_stack
from sandbox.client import Sandbox
from sandbox.deploy.deployment import Stack, deploy
from sandbox.deploy.settings import push
from tests.sandbox import inbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3

TABLE_SECONDS = 1.0
"""How long a table or database is being made or changed."""


@dataclass
class Shared:
    """A sandbox with the real stack, undo among it, and the settings that are in force."""

    sandbox: Sandbox
    stack: Stack
    _users: dict[str, boto3.Session] = field(default_factory=dict)
    _inboxes: dict[bool, str] = field(default_factory=dict)
    _document: str = ""

    def under(self, document: dict[str, Any]) -> None:
        """Put settings in force, and let no function remember others."""
        text = json.dumps(document, sort_keys=True)
        if text != self._document:
            push(self.sandbox, self.stack, document)
            self.sandbox.recycle()
        self._document = text

    def forget_settings(self) -> None:
        """Say that a file has pushed settings past this: whatever comes next is pushed anew."""
        self._document = ""

    def user(self, name: str) -> boto3.Session:
        """Return the session of an IAM user who may do everything."""
        if name not in self._users:
            self._users[name] = self.sandbox.create_user(name)
        return self._users[name]

    def inbox(self, *, raw: bool) -> str:
        """Return the URL of a queue that hears the alerts: as they are (``raw``), or with their subjects."""
        if raw not in self._inboxes:
            given = {"RawMessageDelivery": "true"} if raw else {}
            self._inboxes[raw] = inbox.subscribe(self.sandbox, self.stack, **given)
        inbox.take(self.sandbox, self._inboxes[raw])
        return self._inboxes[raw]


@contextmanager
def started() -> Iterator[Shared]:
    """Start a sandbox and deploy the stack; two workers a queue do, and more would all start cold."""
    with local_stack.own_environment(), Sandbox(table_seconds=TABLE_SECONDS, quiet_stacks=True) as running:
        stack = deploy(running, parameters=local_stack.PARAMETERS)
        yield Shared(running, stack)
