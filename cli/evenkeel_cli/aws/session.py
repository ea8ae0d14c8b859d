"""Clients from boto3's usual chain (environment, profile, ``AWS_ENDPOINT_URL``), and AWS's errors in plain words."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError

from evenkeel.errors import DENIED_CODES, code
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

_STALE = frozenset({
    "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "InvalidSignatureException",
    "SignatureDoesNotMatch", "UnrecognizedClientException",
})  # fmt: skip
_SIGN_IN = "Sign in (aws sso login, aws configure) or set AWS_PROFILE, then run the command again."
_REPEAT = "Check the network and AWS_ENDPOINT_URL, then run the command again; it can be repeated safely."
_EXPLAINED: tuple[tuple[type[BotoCoreError], str, str, Exit], ...] = (
    (botocore_errors.NoCredentialsError, "no AWS credentials were found", _SIGN_IN, Exit.USAGE),
    (botocore_errors.PartialCredentialsError, "the AWS credentials are not complete", _SIGN_IN, Exit.USAGE),
    (botocore_errors.TokenRetrievalError, "the sign-in has expired", _SIGN_IN, Exit.USAGE),
    (botocore_errors.SSOError, "the sign-in has expired", _SIGN_IN, Exit.USAGE),
    (botocore_errors.ProfileNotFound, "", "Set AWS_PROFILE to a profile in ~/.aws/config.", Exit.USAGE),
    (botocore_errors.NoRegionError, "no AWS region is set", "Give --region, or set AWS_REGION.", Exit.USAGE),
    (botocore_errors.ConnectionError, "", _REPEAT, Exit.FAILED),
    (botocore_errors.HTTPClientError, "", _REPEAT, Exit.FAILED),
    (BotoCoreError, "", "Check the AWS configuration, then run the command again.", Exit.USAGE),
)
"""boto3's own errors: (type, message, next step, exit code); without a message, boto3's own is used."""


class Cloud:
    """Clients of one region, each made when it is first asked for."""

    def __init__(self, region: str | None) -> None:
        """Use the given region, else the one of boto3's chain."""
        import boto3  # noqa: PLC0415 - slow to import; --help does without

        # The AWS CLI knows AWS_REGION, boto3 only AWS_DEFAULT_REGION: people expect both.
        self._session: Any = boto3.session.Session(region_name=region or os.environ.get("AWS_REGION") or None)
        self._clients: dict[tuple[str, int, int], Any] = {}
        self._lock = threading.Lock()  # a session makes one client at a time only (boto3 guide, "Session reference")

    @property
    def session(self) -> Any:
        """Return the boto3 session, for requests that must be signed."""
        return self._session

    def __call__(self, service: str) -> Any:
        """Return the client of a service; a pause must not hang, so time limits are short."""
        return self.client(service)

    def client(self, service: str, *, seconds: int = 20, attempts: int = 5) -> Any:
        """Return the client that waits ``seconds`` for an answer and asks at most ``attempts`` times."""
        wanted = (service, seconds, attempts)
        with self._lock:
            if wanted not in self._clients:
                self._clients[wanted] = self._make(*wanted)
            return self._clients[wanted]

    def _make(self, service: str, seconds: int, attempts: int) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - as above

        retries: Any = {"mode": "standard", "total_max_attempts": attempts}
        config = Config(connect_timeout=5, read_timeout=seconds, retries=retries, max_pool_connections=16)
        return self._session.client(service, config=config)


def named(stack: str) -> str:
    """Return a stack's name for a message, also if no name was given."""
    return f"stack {stack}" if stack else "the stack"


@contextmanager
def reaching(what: str) -> Iterator[None]:
    """Turn AWS's errors into :class:`CommandError`; ``what`` describes the action, e.g. ``pause stack prod``."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise explained(what, error) from error


def explained(what: str, error: ClientError | BotoCoreError) -> CommandError:
    """Return an AWS error as an error of the command."""
    if isinstance(error, ClientError):
        return _refused(what, error)
    words, next_step, exit_code = next(row[1:] for row in _EXPLAINED if isinstance(error, row[0]))
    return CommandError(f"cannot {what}: {words or error}", next_step, exit_code)


def _refused(what: str, error: ClientError) -> CommandError:
    name, message = code(error), str(error.response.get("Error", {}).get("Message", "")) or str(error)
    if name in DENIED_CODES:
        wanted = f"{error.operation_name}: {message}"
        return CommandError(
            f"cannot {what}: access denied by AWS at {wanted}",
            "Ask for the permissions in docs/cli.md, or use a role that has them.",
        )
    if name in _STALE:
        return CommandError(f"cannot {what}: AWS does not accept the credentials ({name})", _SIGN_IN, Exit.USAGE)
    return CommandError(f"cannot {what}: {error.operation_name} answered {name}: {message}", "Run the command again.")
