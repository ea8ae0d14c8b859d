"""The one door to AWS: cached clients, retries, and a record of the calls that went through."""

from __future__ import annotations

import random
import time
from copy import copy, deepcopy
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.config import Config as BotoConfig
from botocore.exceptions import BotoCoreError, ClientError

from evenkeel import __version__
from evenkeel.errors import ErrorKind, classify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenkeel.model import Call

    Connect: TypeAlias = Callable[[str], Any]

Answers: TypeAlias = dict[tuple[str, str, str], Any]
"""AWS's answers by service, operation and parameters, which several controls share; HTTP 404 is an answer, too."""

ATTEMPTS = 3
"""Of a call of the engine's own, and of a read: a brief throttle is ridden out; a longer one is for the queue."""
_PAUSES = (0.1, 0.4)  # seconds before a read is tried again
CLIENT_CONFIG = BotoConfig(
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    connect_timeout=3,
    read_timeout=5,
    user_agent_extra=f"evenkeel/{__version__}",
)
ONCE = CLIENT_CONFIG.merge(BotoConfig(retries={"mode": "standard", "total_max_attempts": 1}))
"""For the controls' door: a retry on the wire could replace what a resource's owner has set meanwhile."""


class Aws:
    """Calls of AWS by service and operation, as boto3 names them.

    ``connect`` makes a client for a service's name; clients live as long as this object. ``pauses`` are the seconds to
    wait before a call is tried again, where the clients do not see to that; ``patient`` makes clients that do, for
    listings, since a page cannot be asked for again by itself. ``made`` lists the calls that AWS answered
    or refused, as ``(service, operation)``.
    """

    def __init__(
        self, connect: Connect, pauses: tuple[float, ...] = (), patient: Callable[[str], Any] | None = None
    ) -> None:
        """Keep ``connect`` for the first call of each service."""
        self._connect = connect
        self._pauses = pauses
        self._patient = patient or self.client
        self._clients: dict[str, Any] = {}
        self.answers: Answers | None = None
        self.asked: set[tuple[str, str, str]] = set()
        self.made: list[tuple[str, str]] = []

    def client(self, service: str) -> Any:
        """Return the boto3 client of a service."""
        if service not in self._clients:
            self._clients[service] = self._connect(service)
        return self._clients[service]

    def __call__(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """Call an operation and return AWS's answer without its metadata; brief throttles are ridden out.

        Raises:
            ClientError: AWS refused.
            BotoCoreError: no answer came.
        """
        if self.answers is None:
            return self._patiently(service, operation, params)
        key = (service, operation, repr(sorted(params.items())))
        if key not in self.answers or key in self.asked:  # who asks again wants to know what changed meanwhile
            try:
                self.answers[key] = self._patiently(service, operation, params)
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != HTTPStatus.NOT_FOUND:
                    raise
                self.answers[key] = error
        self.asked.add(key)
        if isinstance(self.answers[key], ClientError):
            raise self.answers[key]
        answer: dict[str, Any] = deepcopy(self.answers[key])
        return answer

    def _patiently(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        for pause in self._pauses:
            try:
                return self._once(service, operation, params)
            except (ClientError, BotoCoreError) as error:
                if classify(error) is not ErrorKind.TRANSIENT:
                    raise
            time.sleep(random.uniform(pause / 2, pause))  # noqa: S311  # nosec B311 - jitter
        return self._once(service, operation, params)

    def _once(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        self.made.append((service, operation))
        answer: dict[str, Any] = getattr(self.client(service), operation)(**params)
        answer.pop("ResponseMetadata", None)
        return answer

    def run(self, call: Call) -> dict[str, Any]:
        """Run a call that a control computed, once: before it is tried again, the resource is read again.

        A retry on the wire could replace what its owner has set meanwhile (a log group's key, a tag).
        """
        return self._once(call.service, call.operation, call.params)

    def pages(self, service: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of a listing operation."""
        for page in self._patient(service).get_paginator(operation).paginate(**params):
            self.made.append((service, operation))
            yield page

    def sharing(self, answers: Answers | None) -> Aws:
        """Return the same door for the reads of one control, which get the answers that others got already.

        What the control asks twice is asked twice. Listings are not shared.
        """
        other = copy(self)
        other.answers, other.asked = answers, set()
        return other

    def fresh(self) -> Aws:
        """Return the same door, with the same clients, that counts its calls from nothing."""
        other = copy(self)
        other.made = []
        return other


def connect_as(region: str, role: str) -> Aws:
    """Return the controls' door to a region with the permissions of another role, by its ARN.

    The role is assumed at the first call, and again before its session ends. A refusal is a ClientError of that call.
    """
    import boto3  # noqa: PLC0415 - as below
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    own: Any = get_session()
    other: Any = get_session()
    own.set_config_variable("region", region)
    named = {"RoleSessionName": "evenkeel"}
    fetcher = AssumeRoleCredentialFetcher(own.create_client, own.get_credentials(), role, extra_args=named)
    other._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")  # noqa: SLF001
    session: Any = boto3.session.Session(botocore_session=other, region_name=region)
    patient = Aws(lambda service: session.client(service, config=CLIENT_CONFIG))
    return Aws(lambda service: session.client(service, config=ONCE), _PAUSES, patient.client)


def connect(region: str) -> tuple[Aws, Aws]:
    """Return the engine's door and the controls' door to a region, over one boto3 session.

    The engine's calls are retried by boto3. Of the controls' calls, reads are tried again here, changes are not.
    """
    import boto3  # noqa: PLC0415 - the slowest import of all: only where clients are really made

    session: Any = boto3.session.Session(region_name=region)
    engine = Aws(lambda service: session.client(service, config=CLIENT_CONFIG))
    return engine, Aws(lambda service: session.client(service, config=ONCE), _PAUSES, engine.client)
