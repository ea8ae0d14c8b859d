"""Tables being created: moto's are ACTIVE at once; ``creating`` holds one back, and its backups are unavailable."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from moto.dynamodb.exceptions import DynamodbException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

_creating: set[str] = set()


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gap until ``patch`` is undone."""
    _creating.clear()
    patch.setattr(DynamoDBBackend, "update_continuous_backups", _backups(DynamoDBBackend.update_continuous_backups))
    patch.setattr(Table, "describe", _status(Table.describe))


@contextmanager
def creating(table: str) -> Iterator[None]:
    """Hold a table in CREATING."""
    _creating.add(table)
    yield
    _creating.discard(table)


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
