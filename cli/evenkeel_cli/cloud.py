"""Clients from boto3's usual chain (environment, profile, ``AWS_ENDPOINT_URL``), and AWS's errors in plain words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError as NoConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from evenkeel_cli.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
_STALE = frozenset({
    "ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch",
    "InvalidSignatureException",
})  # fmt: skip
_SIGN_IN = "Sign in (aws sso login, aws configure) or set AWS_PROFILE, then run the command again."


class Cloud:
    """Clients of one region, each made when it is first asked for."""

    def __init__(self, region: str | None) -> None:
        """Take the region given, else the one of boto3's chain."""
        import boto3  # noqa: PLC0415 - slow to import; --help does without

        self._session: Any = boto3.session.Session(region_name=region)
        self._clients: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        """Return the client of a service; a pause must not hang, so time limits are short."""
        from botocore.config import Config  # noqa: PLC0415 - as above

        if service not in self._clients:
            config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
            self._clients[service] = self._session.client(service, config=config)
        return self._clients[service]


def code(error: ClientError) -> str:
    """Return AWS's error code, e.g. ``AccessDeniedException``."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def reaching(what: str) -> Iterator[None]:
    """Turn AWS's refusals into :class:`CommandError`; ``what`` is what was being done, e.g. ``pause stack prod``."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise explained(what, error) from error


def explained(what: str, error: ClientError | BotoCoreError) -> CommandError:
    """Return an error in the words of whoever ran the command."""
    if isinstance(error, ClientError):
        return _refused(what, error)
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return CommandError(f"cannot {what}: no AWS credentials were found", _SIGN_IN, Exit.USAGE)
    if isinstance(error, TokenRetrievalError | UnauthorizedSSOTokenError):
        return CommandError(f"cannot {what}: the sign-in has expired", _SIGN_IN, Exit.USAGE)
    if isinstance(error, ProfileNotFound):
        return CommandError(f"cannot {what}: {error}", "Set AWS_PROFILE to a profile in ~/.aws/config.", Exit.USAGE)
    if isinstance(error, NoRegionError):
        return CommandError(f"cannot {what}: no AWS region is set", "Give --region, or set AWS_REGION.", Exit.USAGE)
    if isinstance(error, NoConnectionError | HTTPClientError):
        return CommandError(
            f"cannot {what}: no answer from AWS: {error}",
            "Check the network and AWS_ENDPOINT_URL, then run the command again; it can be repeated safely.",
        )
    return CommandError(f"cannot {what}: {error}", "Check the AWS configuration, then run the command again.")


def _refused(what: str, error: ClientError) -> CommandError:
    name, message = code(error), str(error.response.get("Error", {}).get("Message", "")) or str(error)
    if name in _DENIED:
        wanted = f"{error.operation_name}: {message}"
        return CommandError(
            f"cannot {what}: access denied by AWS at {wanted}",
            "Ask for the permissions in docs/cli.md, or use a role that has them.",
        )
    if name in _STALE:
        return CommandError(f"cannot {what}: AWS does not accept the credentials ({name})", _SIGN_IN, Exit.USAGE)
    return CommandError(f"cannot {what}: {error.operation_name} answered {name}: {message}", "Run the command again.")
