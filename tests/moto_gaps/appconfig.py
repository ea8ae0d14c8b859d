"""AppConfig's data plane, which moto lacks: tokens that serve once and in time."""

from __future__ import annotations

import io
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = 86_400


@dataclass(frozen=True)
class _Session:
    """What a token stands for: the document its client has, from when to when it serves, and the interval agreed."""

    seen: bytes
    opens: float
    closes: float
    interval: float


class Configuration:
    """AppConfig's data plane for one document (AppConfig Data API reference).

    A token serves one poll, within a day and not before its session's interval has passed; the poll hands out the next
    token. A poll that finds nothing new has an empty body.
    """

    def __init__(self) -> None:
        """Start without a document deployed."""
        self.document = b""
        self.clock: Callable[[], float] = time.time
        self._sessions: dict[str, _Session] = {}

    def answers(self) -> dict[tuple[str, str], Callable[[dict[str, Any]], dict[str, Any]]]:
        """Return the two operations for :attr:`tests.wire.Wire.stand_ins`."""
        service = "appconfigdata"
        return {(service, "StartConfigurationSession"): self._start, (service, "GetLatestConfiguration"): self._poll}

    def _start(self, params: dict[str, Any]) -> dict[str, Any]:
        interval = params.get("RequiredMinimumPollIntervalInSeconds", 60)
        if not 15 <= interval <= _DAY:
            return _bad_request("RequiredMinimumPollIntervalInSeconds must be between 15 and 86400")
        return {"InitialConfigurationToken": self._token(b"", interval, wait=0)}

    def _poll(self, params: dict[str, Any]) -> dict[str, Any]:
        session, now = self._sessions.get(params["ConfigurationToken"]), self.clock()
        if session is None:
            return _bad_request("the token is Corrupted")
        if not session.opens <= now < session.closes:
            return _bad_request("PollIntervalNotSatisfied" if now < session.opens else "the token is Expired")
        del self._sessions[params["ConfigurationToken"]]
        body = b"" if session.seen == self.document else self.document
        return {
            "NextPollConfigurationToken": self._token(self.document, session.interval, wait=session.interval),
            "NextPollIntervalInSeconds": session.interval,
            "ContentType": "application/json",
            "Configuration": io.BytesIO(body),
        }

    def _token(self, seen: bytes, interval: float, *, wait: float) -> str:
        token, now = str(uuid.uuid4()), self.clock()
        self._sessions[token] = _Session(seen, now + wait, now + _DAY, interval)
        return token


def _bad_request(message: str) -> dict[str, Any]:
    return {"Error": {"Code": "BadRequestException", "Message": message}}
