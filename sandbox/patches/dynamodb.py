"""DynamoDB's tables, which take time to become ACTIVE, change once at a time, and keep recovery period and protection.

Source: the DynamoDB API reference of CreateTable, UpdateTable, UpdateContinuousBackups and DescribeContinuousBackups;
DynamoDB developer guide, "Using deletion protection": no one deletes a protected table, CloudFormation included.
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
IN_USE_WHILE_PASSING = {"UpdateTable", "DeleteTable", "UpdateTimeToLive"}

Handler = Callable[[dict[str, Any]], Answer]
Place = tuple[str, str, str]

_passing: dict[Place, tuple[str, float]] = {}
"""CREATING or UPDATING, and when the table becomes ACTIVE (monotonic seconds), by account, region and name."""
_periods: dict[Place, int] = {}
"""RecoveryPeriodInDays of the tables with recovery enabled."""


def apply(table_seconds: float) -> None:
    """Patch the engine's DynamoDB; a table created or changed through its API is ACTIVE after ``table_seconds``."""
    dynamodb = module("services.dynamodb")
    wrap(dynamodb, "_describe_table", _describe)
    wrap(dynamodb, "_update_continuous_backups", _update_backups)
    wrap(dynamodb, "_describe_continuous_backups", _describe_backups)
    wrap(dynamodb, "handle_request", _handle(table_seconds))
    stacks = module("services.cloudformation.provisioners")._RESOURCE_HANDLERS["AWS::DynamoDB::Table"]
    stacks["delete"] = _unless_protected(stacks["delete"])


def _unless_protected(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete(name: str, *given: Any) -> Any:
        table = module("services.dynamodb")._tables.get(name, {})
        if table.get("DeletionProtectionEnabled"):
            raise ValueError(f"{name} is protected against deletion; switch deletion protection off first")
        return original(name, *given)

    return delete


def _handle(table_seconds: float) -> Callable[..., Any]:
    async def handle(original: Callable[..., Any], *given: Any) -> Any:
        _, _, headers, body, _ = given
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation in NOT_WHILE_CREATING | IN_USE_WHILE_PASSING and _passing:
            refusal = _refusal(operation, body)
            if refusal:
                return refusal
        answer = await original(*given)
        status = {"CreateTable": "CREATING", "UpdateTable": "UPDATING"}.get(operation)
        if status and succeeded(answer) and table_seconds > 0:
            return _pass(answer, status, table_seconds)
        return answer

    return handle


def _pass(answer: Answer, status: str, table_seconds: float) -> Answer:
    """Put a table into a passing status, and return the answer with it."""
    found = body_of(answer)
    description = found["TableDescription"]
    _passing[place(description["TableName"])] = (status, time.monotonic() + table_seconds)
    description["TableStatus"] = status
    for index in description.get("GlobalSecondaryIndexes", []) if status == "CREATING" else ():
        index["IndexStatus"] = status
    return ok(found)


def _refusal(operation: str, body: bytes) -> Answer | None:
    data = body_of((200, {}, body))
    names = {data.get("TableName"), *data.get("RequestItems", {})}
    names |= {each.get("TableName") for item in data.get("TransactItems", []) for each in item.values()}
    statuses = {name: passing(name) for name in sorted(filter(None, names))}
    if operation in IN_USE_WHILE_PASSING and any(statuses.values()):
        name = next(name for name, status in statuses.items() if status)
        return error("ResourceInUseException", f"Attempt to change a resource which is still in use: {name}")
    if operation in IN_USE_WHILE_PASSING or "CREATING" not in statuses.values():
        return None
    return error("ResourceNotFoundException", "Requested resource not found")


def place(name: str) -> Place:
    """Return the key of a table in the current request's account and region, by its name or ARN."""
    responses = module("core.responses")
    return responses.get_account_id(), responses.get_region(), name.rpartition("table/")[2]


def passing(name: str) -> str:
    """Return CREATING or UPDATING for a table that is not ACTIVE yet; empty for all others."""
    key = place(name)
    status, until = _passing.get(key, ("", 0.0))
    if until > time.monotonic():
        return status
    _passing.pop(key, None)
    return ""


def _describe(original: Handler, data: dict[str, Any]) -> Answer:
    answer = original(data)
    status = passing(data.get("TableName", ""))
    if not succeeded(answer) or not status:
        return answer
    found = body_of(answer)
    found["Table"]["TableStatus"] = status
    return ok(found)


def _update_backups(original: Handler, data: dict[str, Any]) -> Answer:
    name = data.get("TableName", "")
    if passing(name) == "CREATING":
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
        code = "TableNotFoundException"  # this call has an error of its own for a missing table
        return error(code, f"Table not found: {data.get('TableName', '')}")
    return _with_period(answer, data.get("TableName", ""))


def _with_period(answer: Answer, name: str) -> Answer:
    found = body_of(answer)
    recovery = found["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    if recovery["PointInTimeRecoveryStatus"] == "ENABLED":
        recovery["RecoveryPeriodInDays"] = _periods.get(place(name), LONGEST_PERIOD)
    return ok(found)
