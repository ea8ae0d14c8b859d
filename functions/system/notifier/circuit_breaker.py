"""Calls beside the alert, which must neither lose nor delay it for long."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import BotoCoreError

from evenkeel.errors import EvenkeelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.runtime.aws import Aws

T = TypeVar("T")

QUIET_SECONDS = 60
"""How long an API is left alone after it did not answer, lest a batch of the stream runs out of its minute on it."""


class UnansweredError(EvenkeelError):
    """The API did not answer a moment ago, so it was not asked again."""


class Aside:
    """The way to one API; whoever goes it is told at once where the API does not answer at the moment."""

    def __init__(self, aws: Aws, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep the door; ``clock`` tells seconds that only grow."""
        self._aws = aws
        self._clock = clock
        self._again_at = 0.0

    def __call__(self, work: Callable[[Aws], T]) -> T:
        """Return what ``work`` returns.

        Raises:
            UnansweredError: there was no answer within the last minute; nothing was called.
            BotoCoreError: there is none now.
        """
        if self._clock() < self._again_at:
            raise UnansweredError(f"no answer within the last {QUIET_SECONDS} s")
        try:
            return work(self._aws)
        except BotoCoreError:
            self._again_at = self._clock() + QUIET_SECONDS
            raise
