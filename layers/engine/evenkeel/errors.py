"""Evenkeel's own errors, and what an error from AWS means.

Every error's name ends in ``Error``. Its message names the resource, what happened and what to do next.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError


class EvenkeelError(Exception):
    """The base class of all errors that Evenkeel raises."""


def refusal(error: Exception) -> dict[str, dict[str, str]]:
    """Return a function's answer to a payload that it refuses; ``kind`` is the error's name, for programs."""
    return {"error": {"kind": type(error).__name__, "message": str(error)}}


class MalformedPayloadError(EvenkeelError):
    """A payload has no form that Evenkeel accepts; a retry cannot help."""


class SettingsError(EvenkeelError):
    """The settings cannot be read or are not valid, so nothing may be changed."""


class SettingsUnreadError(SettingsError):
    """The settings cannot be fetched. They may be valid, so this does not count as an error in a pushed document."""


class ResourceMissingError(EvenkeelError):
    """AWS answered without an error and without the resource: it does not exist, or not yet."""


class BrokenChainError(EvenkeelError):
    """An audit record of a resource is missing, was changed or is not in the chain."""


class UndoRefusedError(EvenkeelError):
    """A change cannot be undone now; the message says why and what to do."""


class GroupNotEnabledError(UndoRefusedError):
    """The stack has no undo role for the control's group, so it cannot make the calls that undo the change."""


class ApprovalRefusedError(EvenkeelError):
    """A held change cannot be approved, rejected, released or dropped; the message says why and what to do."""


class NothingHeldError(ApprovalRefusedError):
    """There is no hold to release or drop."""


class RunRefusedError(EvenkeelError):
    """A run is not open, or does not cover the request; nothing was changed."""


class UnreadableVersionError(EvenkeelError):
    """A document is of a version that this release does not read; see :mod:`evenkeel.versions`."""


class LeaseHeldError(EvenkeelError):
    """Another worker is busy with the same control and resource; try again later."""


class StaleStateError(EvenkeelError):
    """The state item changed since it was read; read it again. ``item`` is the present one, in DynamoDB's wire form."""

    def __init__(self, message: str, item: dict[str, Any] | None = None) -> None:
        """Keep the item, if DynamoDB returned it with the error."""
        super().__init__(message)
        self.item = item


class ErrorKind(StrEnum):
    """What an error from AWS means."""

    NOT_FOUND = "not found"
    TRANSIENT = "transient"
    """Throttled, a failure on AWS's side, or the resource is busy: try again later."""
    DENIED = "denied"
    """An explicit deny, or the resource's own policy: only its owner can change that."""
    NOT_GRANTED = "not granted"
    """Our own role lacks a permission: a defect of the stack."""
    REFUSED = "refused"
    """AWS rejected the call; the same call will fail again."""


_TRANSIENT_CODES = frozenset(
    {
        "ConcurrentAccess",
        "ConcurrentAccessException",
        "ConflictException",
        "DependencyTimeoutException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceException",
        "KMSInternalException",
        "LimitExceededException",
        "OperationAborted",
        "OperationAbortedException",
        "PaginationTokenExpiredException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestThrottled",
        "ResourceConflictException",
        "ResourceInUseException",
        "ServiceException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)
_NOT_FOUND_CODES = frozenset({
    "AWS.SimpleQueueService.NonExistentQueue", "NoSuchBucket", "NotFound", "NotFoundException", "QueueDoesNotExist",
    "ResourceNotFound", "ResourceNotFoundException", "TableNotFoundException",
})  # fmt: skip
DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})
_DENIAL_PHRASES = (
    "explicit deny",
    "no resource-based policy allows",
    "no service control policy allows",
    "no resource control policy allows",
    "no VPC endpoint policy allows",
)
_HTTP_SERVER_ERROR = 500


def code(error: ClientError) -> str:
    """Return AWS's error code, e.g. ``ThrottlingException``."""
    return str(error.response.get("Error", {}).get("Code", ""))


AwsError = (ClientError, BotoCoreError, ResourceMissingError)
"""What a call to AWS, or a control's read, may raise."""


def classify(error: Exception) -> ErrorKind:
    """Return the kind of an AWS error.

    AWS words an implicit denial by our own role "no identity-based policy allows", an explicit one "with an explicit
    deny", and a refusal by a key's or resource's policy "no resource-based policy allows" (IAM user guide,
    "Troubleshoot access denied error messages"). A wording we do not know counts as a defect of ours.
    """
    if isinstance(error, BotoCoreError):  # no answer (connection, time-out), or boto3 itself says that it cannot be
        return ErrorKind.REFUSED if isinstance(error, ParamValidationError) else ErrorKind.TRANSIENT
    if not isinstance(error, ClientError):
        return ErrorKind.NOT_FOUND
    name = code(error)
    if name in DENIED_CODES:
        message = str(error.response.get("Error", {}).get("Message", ""))
        owners = any(words in message for words in _DENIAL_PHRASES)
        return ErrorKind.DENIED if owners else ErrorKind.NOT_GRANTED
    if name in _NOT_FOUND_CODES:
        return ErrorKind.NOT_FOUND
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if name in _TRANSIENT_CODES or status >= _HTTP_SERVER_ERROR:
        return ErrorKind.TRANSIENT
    return ErrorKind.REFUSED
