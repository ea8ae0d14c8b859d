"""All calls to AWS: cached clients, retries, and a list of the calls that were made."""

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


class Answers(dict[tuple[str, str, str], Any]):
    """AWS's answers by service, operation and parameters, which controls share; an HTTP 404 counts as an answer."""


ATTEMPTS = 3
"""Attempts of the engine's own calls, and of reads: enough for a short throttle; a longer one goes to the queue."""
_PAUSES = (0.1, 0.4)  # seconds before a read is tried again
CLIENT_CONFIG = BotoConfig(
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    connect_timeout=3,
    read_timeout=5,
    user_agent_extra=f"evenkeel/{__version__}",
)
ONCE = CLIENT_CONFIG.merge(BotoConfig(retries={"mode": "standard", "total_max_attempts": 1}))
"""For the controls' calls: an automatic retry could overwrite a change that the owner has made meanwhile."""


class Aws:
    """Makes AWS calls by service and operation, named as in boto3.

    ``connect`` makes a client for a service; clients live as long as this object. ``pauses`` are the seconds to wait
    before each retry, if the clients do not retry themselves; ``patient`` makes clients that do, for listings, since a
    single page cannot be retried here. ``made`` lists the calls that were made, as ``(service, operation)``.
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
        """Call an operation and return AWS's answer without its metadata; short throttles are retried.

        Raises:
            ClientError: AWS refused the call.
            BotoCoreError: there was no answer.
        """
        if self.answers is None:
            return self._with_retries(service, operation, params)
        key = (service, operation, repr(sorted(params.items())))
        if key not in self.answers or key in self.asked:  # a control that repeats a read needs a fresh answer
            try:
                self.answers[key] = self._with_retries(service, operation, params)
            except ClientError as error:
                if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != HTTPStatus.NOT_FOUND:
                    raise
                self.answers[key] = error
        self.asked.add(key)
        if isinstance(self.answers[key], ClientError):
            raise self.answers[key]
        answer: dict[str, Any] = deepcopy(self.answers[key])
        return answer

    def _with_retries(self, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
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
        """Make a call that a control computed, without retries: the resource is read again before the next attempt.

        An automatic retry could overwrite a change that the owner has made meanwhile (a log group's key, a tag).
        """
        return self._once(call.service, call.operation, call.params)

    def pages(self, service: str, operation: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of a listing operation."""
        for page in self._patient(service).get_paginator(operation).paginate(**params):
            self.made.append((service, operation))
            yield page

    def sharing(self, answers: Answers | None) -> Aws:
        """Return the same clients for the reads of one control, which reuse the answers that other controls got.

        If the control itself repeats a read, the read is repeated. Listings are not shared.
        """
        other = copy(self)
        other.answers, other.asked = answers, set()
        return other

    def fresh(self) -> Aws:
        """Return the same clients with an empty list of calls."""
        other = copy(self)
        other.made = []
        return other


def connect_as(region: str, role: str) -> Aws:
    """Return the clients for the controls' calls in a region, with the permissions of another role, by its ARN.

    The role is assumed at the first call, and again before its session ends. If that is refused, the call raises a
    ClientError.
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
    """Return the clients for the engine's calls and for the controls' calls in a region, from one boto3 session.

    boto3 retries the engine's calls. Of the controls' calls, reads are retried here and changes are not.
    """
    import boto3  # noqa: PLC0415 - the slowest import: only when clients are made

    session: Any = boto3.session.Session(region_name=region)
    engine = Aws(lambda service: session.client(service, config=CLIENT_CONFIG))
    return engine, Aws(lambda service: session.client(service, config=ONCE), _PAUSES, engine.client)
