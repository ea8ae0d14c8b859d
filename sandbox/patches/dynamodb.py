"""DynamoDB's tables take a while to become ACTIVE, and point-in-time recovery keeps its period.

Source: the DynamoDB API reference of CreateTable, UpdateContinuousBackups and DescribeContinuousBackups.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sandbox.patches.hooks import Answer, body_of, error, module, ok, succeeded, wrap

SHORTEST_PERIOD, LONGEST_PERIOD = 1, 35
NOT_WHILE_CREATING = {
    "PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan", "BatchWriteItem", "BatchGetItem",
    "TransactWriteItems", "TransactGetItems",
}  # fmt: skip
IN_USE_WHILE_CREATING = {"UpdateTable", "DeleteTable", "UpdateTimeToLive"}

Handler = Callable[[dict[str, Any]], Answer]
Place = tuple[str, str, str]

_ready_at: dict[Place, float] = {}
"""When each new table becomes ACTIVE (monotonic seconds), by account, region and name."""
_periods: dict[Place, int] = {}
"""RecoveryPeriodInDays of the tables whose recovery is on."""


def apply(table_seconds: float) -> None:
    """Patch the engine's DynamoDB; a table made through its API is CREATING for ``table_seconds``."""
    dynamodb = module("services.dynamodb")
    wrap(dynamodb, "_describe_table", _describe)
    wrap(dynamodb, "_update_continuous_backups", _update_backups)
    wrap(dynamodb, "_describe_continuous_backups", _describe_backups)
    wrap(dynamodb, "handle_request", _handle(table_seconds))


def _handle(table_seconds: float) -> Callable[..., Any]:
    async def handle(original: Callable[..., Any], *given: Any) -> Any:
        _, _, headers, body, _ = given
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation in NOT_WHILE_CREATING | IN_USE_WHILE_CREATING and _ready_at:
            refusal = _refusal(operation, body)
            if refusal:
                return refusal
        answer = await original(*given)
        if operation == "CreateTable" and succeeded(answer) and table_seconds > 0:
            return _creating(answer, table_seconds)
        return answer

    return handle


def _creating(answer: Answer, table_seconds: float) -> Answer:
    found = body_of(answer)
    description = found["TableDescription"]
    _ready_at[place(description["TableName"])] = time.monotonic() + table_seconds
    description["TableStatus"] = "CREATING"
    for index in description.get("GlobalSecondaryIndexes", []):
        index["IndexStatus"] = "CREATING"
    return ok(found)


def _refusal(operation: str, body: bytes) -> Answer | None:
    data = body_of((200, {}, body))
    names = {data.get("TableName"), *data.get("RequestItems", {})}
    names |= {each.get("TableName") for item in data.get("TransactItems", []) for each in item.values()}
    creating = sorted(name for name in filter(None, names) if is_creating(name))
    if not creating:
        return None
    if operation in IN_USE_WHILE_CREATING:
        return error("ResourceInUseException", f"Attempt to change a resource which is still in use: {creating[0]}")
    return error("ResourceNotFoundException", "Requested resource not found")


def place(name: str) -> Place:
    """Return the key of a table in the current request's account and region, by its name or ARN."""
    responses = module("core.responses")
    return responses.get_account_id(), responses.get_region(), name.rpartition("table/")[2]


def is_creating(name: str) -> bool:
    """Say whether a table is not ACTIVE yet."""
    key = place(name)
    if _ready_at.get(key, 0.0) > time.monotonic():
        return True
    _ready_at.pop(key, None)
    return False


def _describe(original: Handler, data: dict[str, Any]) -> Answer:
    answer = original(data)
    if not succeeded(answer) or not is_creating(data.get("TableName", "")):
        return answer
    found = body_of(answer)
    found["Table"]["TableStatus"] = "CREATING"
    return ok(found)


def _update_backups(original: Handler, data: dict[str, Any]) -> Answer:
    name = data.get("TableName", "")
    if is_creating(name):
        return error(
            "ContinuousBackupsUnavailableException", "Backups are being enabled for the table. Please retry later"
        )
    spec = data.get("PointInTimeRecoverySpecification", {})
    period = spec.get("RecoveryPeriodInDays")
    if period is not None and not SHORTEST_PERIOD <= period <= LONGEST_PERIOD:
        return error("ValidationException", f"RecoveryPeriodInDays {period} is not within 1 and 35")
    answer = original(data)
    if not succeeded(answer):
        return answer
    if spec.get("PointInTimeRecoveryEnabled"):
        _periods[place(name)] = period or _periods.get(place(name), LONGEST_PERIOD)
    else:
        _periods.pop(place(name), None)
    return _with_period(answer, name)


def _describe_backups(original: Handler, data: dict[str, Any]) -> Answer:
    answer = original(data)
    if not succeeded(answer):
        code = "TableNotFoundException"  # unlike most calls, this one has an error of its own for a missing table
        return error(code, f"Table not found: {data.get('TableName', '')}")
    return _with_period(answer, data.get("TableName", ""))


def _with_period(answer: Answer, name: str) -> Answer:
    found = body_of(answer)
    recovery = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    if recovery["PointInTimeRecoveryStatus"] == "ENABLED":
        recovery["RecoveryPeriodInDays"] = _periods.get(place(name), LONGEST_PERIOD)
    return ok(found)
