"""Log groups: moto lacks AssociateKmsKey and its opposite, and ignores logGroupIdentifiers and logGroupClass."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from moto.logs.exceptions import ResourceNotFoundException
from moto.logs.responses import LogsResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from moto.logs.models import LogGroup


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gaps until ``patch`` is undone."""
    patch.setattr(LogsResponse, "associate_kms_key", _associate, raising=False)
    patch.setattr(LogsResponse, "disassociate_kms_key", _disassociate, raising=False)
    patch.setattr(LogsResponse, "create_log_group", _with_class(LogsResponse.create_log_group))
    patch.setattr(LogsResponse, "describe_log_groups", _identified(LogsResponse.describe_log_groups))


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
