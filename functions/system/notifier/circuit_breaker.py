"""Circuit breaker for optional calls: an API that does not answer must not delay alerts."""

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
"""How long calls fail fast after one got no answer, so that they do not use up the minute of a batch."""


class UnansweredError(EvenkeelError):
    """The API did not answer within the last minute, so it was not called again."""


class CircuitBreaker:
    """Calls one API; fails fast for a minute after a call got no answer."""

    def __init__(self, aws: Aws, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep the client; ``clock`` returns seconds that never decrease."""
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
