"""Creates and deletes a self-test's resources with the operator's own credentials."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jmespath
from botocore.exceptions import BotoCoreError, ClientError

from evenkeel.errors import ErrorKind, classify, code
from evenkeel_cli.aws.session import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evenkeel.model import Call
    from evenkeel_cli.selftest.kinds import Kind, Target

PATIENCE_SECONDS = 90.0
"""Time to retry a call that AWS does not accept yet: a role is not visible everywhere, a table is being created."""
PAUSE_SECONDS = 2.0
# IAM's and EC2's own codes, and KMS's for a key whose deletion is pending (their API references, "Errors").
_GONE = frozenset({
    "InvalidGroup.NotFound", "InvalidVpcID.NotFound", "KMSInvalidStateException", "NoSuchEntity",
})  # fmt: skip
_IN_USE = frozenset({"DeleteConflict", "DependencyViolation"})


class StoppedError(Exception):
    """The person stopped the self-test."""


class Stop:
    """Signals all workers that the person stopped: once to clean up, twice to leave at once."""

    def __init__(self) -> None:
        """Begin not stopped."""
        self.asked = threading.Event()
        self.abandoned = threading.Event()

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            StoppedError: the person stopped the self-test.
        """
        if self.asked.wait(seconds):
            raise StoppedError

    def poll(self, find: Callable[[], Any], seconds: float, every: float) -> Any:
        """Call ``find`` every ``every`` seconds until it finds something or ``seconds`` have passed; return its answer.

        Raises:
            StoppedError: as above.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = find()
            if found or time.monotonic() >= deadline:
                return found
            self.pause(every)


class Provisioner:
    """Creates and deletes resources. ``cloud`` returns a client by the service's name."""

    def __init__(self, cloud: Callable[[str], Any], stop: Stop, pause_seconds: float = PAUSE_SECONDS) -> None:
        """Keep the clients."""
        self.cloud = cloud
        self.stop = stop
        self._pause_seconds = pause_seconds

    def make(self, kind: Kind, target: Target, keep: Callable[[Target], None]) -> Target:
        """Create a resource and return it with its id; ``keep`` gets it as soon as it exists.

        Raises:
            CommandError: AWS refused.
            StoppedError: the person stopped the self-test.
        """
        first, *others = kind.make(target)
        answer = self._patiently(first, lambda error: code(error) in kind.not_yet)
        made = replace(target, id=str(jmespath.search(kind.id, answer)) if kind.id else target.name)
        keep(made)
        self.run(others)
        return made

    def run(self, calls: Sequence[Call]) -> None:
        """Make calls about a resource that was just created; they are retried if AWS does not show it yet.

        Raises:
            CommandError, StoppedError: as above.
        """
        for call in calls:
            self._patiently(call, is_gone)

    def _patiently(self, call: Call, not_yet: Callable[[ClientError], bool]) -> Mapping[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return self._call(call)
            except (ClientError, BotoCoreError) as error:
                again = isinstance(error, ClientError) and not_yet(error)
                if not again or time.monotonic() >= deadline:
                    raise explained(_words(call), error) from error
            self.stop.pause(self._pause_seconds)

    def remove(self, kind: Kind, target: Target) -> bool:
        """Delete a resource; return False if it no longer existed.

        Retries while AWS says that it is busy or in use, also after the person stopped the self-test.

        Raises:
            CommandError: AWS refuses, or still does after :data:`PATIENCE_SECONDS`.
        """
        try:
            if not kind.removable(self.cloud, target):
                return False
        except (ClientError, BotoCoreError) as error:
            if is_gone(error):
                return False
            raise explained(f"delete {kind.arn_of(target)}", error) from error
        return [self._remove(call, kind.unprotect(target)) for call in kind.remove(target)][-1]

    def _remove(self, call: Call, unprotect: Sequence[Call]) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._call(call)
            except (ClientError, BotoCoreError) as error:
                if is_gone(error):
                    return False
                if self.stop.abandoned.is_set() or time.monotonic() >= deadline:
                    raise explained(_words(call), error) from error
                if _protects(error) and unprotect:
                    self._unprotect(unprotect)
                elif not _may_pass(error):
                    raise explained(_words(call), error) from error
            else:
                return True
            self.stop.abandoned.wait(self._pause_seconds)

    def _unprotect(self, calls: Sequence[Call]) -> None:
        """Remove a deletion protection; a busy resource is retried with the deletion."""
        for call in calls:
            try:
                self._call(call)
            except (ClientError, BotoCoreError) as error:
                if not (_may_pass(error) or is_gone(error)):
                    raise explained(_words(call), error) from error

    def _call(self, call: Call) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = getattr(self.cloud(call.service), call.operation)(**call.params)
        return answer


def _words(call: Call) -> str:
    return f"{call.operation.replace('_', ' ')} ({call.service})"


def is_gone(error: ClientError | BotoCoreError) -> bool:
    """Return whether AWS says that a resource does not exist, or is being deleted."""
    return classify(error) is ErrorKind.NOT_FOUND or (isinstance(error, ClientError) and code(error) in _GONE)


def _may_pass(error: ClientError | BotoCoreError) -> bool:
    return classify(error) is ErrorKind.TRANSIENT or (isinstance(error, ClientError) and code(error) in _IN_USE)


def _protects(error: ClientError | BotoCoreError) -> bool:
    return classify(error) is ErrorKind.REFUSED and "protect" in str(error).lower()
