"""The one door to AWS: cached clients, retries, and a record of the calls that went through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.config import Config as BotoConfig

from evenkeel import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenkeel.model import Call

CLIENT_CONFIG = BotoConfig(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=3,
    read_timeout=5,
    user_agent_extra=f"evenkeel/{__version__}",
)
"""Three attempts ride out a brief throttle; a longer one is for the queue, which waits without paying for it."""


class Aws:
    """Calls of AWS by service and operation, as boto3 names them.

    ``connect`` makes a client for a service's name; clients live as long as this object. ``made`` lists the calls that
    AWS answered or refused, as ``(service, operation)``, since the last :meth:`forget`.
    """

    def __init__(self, connect: Callable[[str], Any]) -> None:
        """Keep ``connect`` for the first call of each service."""
        self._connect = connect
        self._clients: dict[str, Any] = {}
        self.made: list[tuple[str, str]] = []

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service."""
        if service not in self._clients:
            self._clients[service] = self._connect(service)
        return self._clients[service]

    def __call__(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """Call an operation and return AWS's answer without its metadata.

        Raises:
            ClientError: AWS refused.
            BotoCoreError: no answer came.
        """
        self.made.append((service, operation))
        answer: dict[str, Any] = getattr(self.client(service), operation)(**params)
        answer.pop("ResponseMetadata", None)
        return answer

    def run(self, call: Call) -> dict[str, Any]:
        """Run a call that a control computed."""
        return self(call.service, call.operation, **call.params)

    def pages(self, service: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of a listing operation."""
        for page in self.client(service).get_paginator(operation).paginate(**params):
            self.made.append((service, operation))
            yield page

    def sibling(self) -> Aws:
        """Return another door with the same clients and a count of its own."""
        other = Aws(self._connect)
        other._clients = self._clients
        return other

    def forget(self) -> None:
        """Start counting calls anew."""
        self.made.clear()


def connect(region: str) -> Callable[[str], Any]:
    """Return a maker of boto3 clients for a region, with Evenkeel's retries, time limits and user agent."""
    import boto3  # noqa: PLC0415 - the slowest import of all: only where clients are really made

    session: Any = boto3.session.Session(region_name=region)
    return lambda service: session.client(service, config=CLIENT_CONFIG)
