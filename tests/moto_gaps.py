"""Where moto 5.2.5 lacks what the controls need, or is kinder than AWS; each gap is filled here and nowhere else.

=========================  ============================================================================================
gap                        AWS's behaviour that is put in
=========================  ============================================================================================
KMS rotation's refusals    asymmetric, HMAC and imported keys: UnsupportedOperationException; disabled ones:
                           DisabledException; those being deleted: KMSInvalidStateException (KMS API reference)
KMS rotation's period      EnableKeyRotation's RotationPeriodInDays is kept and told by GetKeyRotationStatus
AssociateKmsKey            missing in moto, with DisassociateKmsKey
DescribeLogGroups          logGroupIdentifiers and logGroupClass are ignored by moto
tags of SQS queues         the tagging API of moto cannot tag them
AppConfig's data plane     missing in moto: :class:`Configuration` answers, with tokens that serve once and in time
tables being created       moto's are ACTIVE at once: :func:`creating` holds one back, and its backups are unavailable
=========================  ============================================================================================
"""

from __future__ import annotations

import io
import json
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.core.exceptions import JsonRESTError
from moto.dynamodb.exceptions import DynamodbException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.kms.responses import KmsResponse
from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.responses import LogsResponse
from moto.sqs.models import SQSBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest
    from moto.logs.models import LogGroup

_creating: set[str] = set()


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gaps until ``patch`` is undone."""
    _creating.clear()
    patch.setattr(KmsResponse, "enable_key_rotation", _changing_rotation(KmsResponse.enable_key_rotation))
    patch.setattr(KmsResponse, "disable_key_rotation", _changing_rotation(KmsResponse.disable_key_rotation))
    patch.setattr(KmsResponse, "get_key_rotation_status", _rotation_status(KmsResponse.get_key_rotation_status))
    patch.setattr(LogsResponse, "associate_kms_key", _associate, raising=False)
    patch.setattr(LogsResponse, "disassociate_kms_key", _disassociate, raising=False)
    patch.setattr(LogsResponse, "create_log_group", _with_class(LogsResponse.create_log_group))
    patch.setattr(LogsResponse, "describe_log_groups", _identified(LogsResponse.describe_log_groups))
    patch.setattr(SQSBackend, "tag_resource", _tag_queue, raising=False)
    patch.setattr(SQSBackend, "untag_resource", _untag_queue, raising=False)
    patch.setattr(DynamoDBBackend, "update_continuous_backups", _backups(DynamoDBBackend.update_continuous_backups))
    patch.setattr(Table, "describe", _status(Table.describe))


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


_DAY = 86_400


def _bad_request(message: str) -> dict[str, Any]:
    return {"Error": {"Code": "BadRequestException", "Message": message}}


@contextmanager
def creating(table: str) -> Iterator[None]:
    """Hold a table in CREATING."""
    _creating.add(table)
    yield
    _creating.discard(table)


def _key(response: KmsResponse) -> Any:
    backend = response.kms_backend
    return backend.keys[backend.get_key_id(response._get_param("KeyId"))]


def _refuse_ineligible(key: Any) -> None:
    if key.key_spec != "SYMMETRIC_DEFAULT" or key.origin != "AWS_KMS":
        raise JsonRESTError("UnsupportedOperationException", f"{key.arn} cannot rotate")


def _changing_rotation(real: Callable[[KmsResponse], str]) -> Callable[[KmsResponse], str]:
    def change(self: KmsResponse) -> str:
        self._validate_cmk_id(self._get_param("KeyId"))
        key = _key(self)
        _refuse_ineligible(key)
        if key.key_state == "Disabled":
            raise JsonRESTError("DisabledException", f"{key.arn} is disabled.")
        if key.key_state != "Enabled":
            raise JsonRESTError("KMSInvalidStateException", f"{key.arn} is {key.key_state}.")
        key.rotation_period = self._get_param("RotationPeriodInDays") or 365
        return real(self)

    return change


def _rotation_status(real: Callable[[KmsResponse], str]) -> Callable[[KmsResponse], str]:
    def status(self: KmsResponse) -> str:
        answer = json.loads(real(self))
        key = _key(self)
        _refuse_ineligible(key)
        if answer["KeyRotationEnabled"]:
            answer["RotationPeriodInDays"] = getattr(key, "rotation_period", 365)
        return json.dumps({**answer, "KeyId": key.arn})

    return status


def _group(response: LogsResponse) -> LogGroup:
    groups = response.logs_backend.groups
    name = response._get_param("logGroupName")
    if name not in groups:
        raise ResourceNotFoundException
    return groups[name]


def _associate(self: LogsResponse) -> str:
    _group(self).kms_key_id = self._get_param("kmsKeyId")
    return ""


def _disassociate(self: LogsResponse) -> str:
    _group(self).kms_key_id = None
    return ""


def _with_class(real: Callable[[LogsResponse], str]) -> Callable[[LogsResponse], str]:
    def create(self: LogsResponse) -> str:
        answer = real(self)
        _group(self).log_group_class = self._get_param("logGroupClass") or "STANDARD"  # type: ignore[attr-defined]
        return answer

    return create


def _identified(real: Callable[[LogsResponse], str]) -> Callable[[LogsResponse], str]:
    def describe(self: LogsResponse) -> str:
        answer = json.loads(real(self))
        wanted = self._get_param("logGroupIdentifiers")
        groups = self.logs_backend.groups
        kept = [group for group in answer["logGroups"] if not wanted or group["logGroupName"] in wanted]
        for group in kept:
            group["logGroupClass"] = getattr(groups[group["logGroupName"]], "log_group_class", "STANDARD")
        return json.dumps({**answer, "logGroups": kept})

    return describe


def _tag_queue(self: SQSBackend, arn: str, tags: dict[str, str]) -> None:
    self.tag_queue(arn.rpartition(":")[2], tags)


def _untag_queue(self: SQSBackend, arn: str, tag_keys: list[str]) -> None:
    self.untag_queue(arn.rpartition(":")[2], tag_keys)


def _backups(real: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def update(self: DynamoDBBackend, table_name: str, point_in_time_spec: dict[str, Any]) -> dict[str, Any]:
        if table_name in _creating:
            raise DynamodbException(
                error_type="com.amazonaws.dynamodb.v20120810#ContinuousBackupsUnavailableException",
                message=f"Backups are being enabled for the table: {table_name}. Please retry later",
            )
        return real(self, table_name, point_in_time_spec)

    return update


def _status(real: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def describe(self: Table, *args: Any, **kwargs: Any) -> dict[str, Any]:
        answer = real(self, *args, **kwargs)
        if self.name in _creating:
            next(iter(answer.values()))["TableStatus"] = "CREATING"
        return answer

    return describe
