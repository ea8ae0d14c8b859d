"""What a table's state means for its recovery."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case

GIB = 1024**3


def table(status: str = "DISABLED", days: int | None = None, **more: Any) -> dict[str, Any]:
    """Return what is read of a table; size and status are asked for only where something is to be changed."""
    return {"TableName": "orders", "PointInTimeRecoveryStatus": status, "RecoveryPeriodInDays": days, **more}


def active(size: int = 0) -> dict[str, Any]:
    """Return the rest of what is read."""
    return {"TableStatus": "ACTIVE", "TableSizeBytes": size}


def put(*, enabled: bool, days: int = 0) -> tuple[Call, ...]:
    """Return the call that sets recovery."""
    specification: dict[str, Any] = {"PointInTimeRecoveryEnabled": enabled}
    if days:
        specification["RecoveryPeriodInDays"] = days
    params = {"TableName": "orders", "PointInTimeRecoverySpecification": specification}
    return (Call("dynamodb", "update_continuous_backups", params),)


ON, OFF = put(enabled=True), put(enabled=False)
TEN = {"min_recovery_days": 10}

CASES = (
    Case("recovery that is on is enough", table("ENABLED", 35), "Compliant"),
    Case("any period will do where the settings ask for none", table("ENABLED", 1), "Compliant"),
    Case("no period told means the longest", table("ENABLED"), "Compliant", parameters={"min_recovery_days": 35}),
    Case("the wanted period is enough", table("ENABLED", 10), "Compliant", parameters=TEN),
    Case("off is switched on, without touching a period", table(**active()), "NonCompliant", "off", ON, OFF,
         residue=True),
    Case("a new table's status is not asked for", table(), "NonCompliant", "off", ON, OFF, residue=True, creates=True),
    Case("the settings' period is asked for", table(**active()), "NonCompliant", "off", put(enabled=True, days=10), OFF,
         residue=True, parameters=TEN),
    Case("too short a period is lengthened, and undo brings it back", table("ENABLED", 7, **active()), "NonCompliant",
         "7 days of recovery history, not 10", put(enabled=True, days=10), put(enabled=True, days=7), parameters=TEN),
    Case("one day is not 1 days", table("ENABLED", 1, **active()), "NonCompliant", "keeps 1 day of",
         put(enabled=True, days=10), put(enabled=True, days=1), parameters=TEN),
    Case("a large table is announced with its price", table(**active(100 * GIB)), "NonCompliant", "off", ON, OFF,
         residue=True, caution="100 GiB: about $20 a month"),
    Case("the cap itself is not above the cap", table(**active(25 * GIB)), "NonCompliant", "off", ON, OFF,
         residue=True),
    Case("one byte above the cap is", table(**active(25 * GIB + 1)), "NonCompliant", "off", ON, OFF, residue=True,
         caution="above the max_table_gib of 25"),
    Case("the cap is the settings'", table(**active(26 * GIB)), "NonCompliant", "off", ON, OFF, residue=True,
         parameters={"max_table_gib": 30}),
    Case("a longer period costs no more, so size does not matter", table("ENABLED", 7, **active(100 * GIB)),
         "NonCompliant", "7 days", put(enabled=True, days=10), put(enabled=True, days=7), parameters=TEN),
    Case("a table that is being made is waited for", table(TableStatus="CREATING"), "NotReady", "CREATING"),
    Case("a table that is being changed is waited for", table(TableStatus="UPDATING"), "NotReady", "UPDATING"),
    Case("a table on its way out is left", table(TableStatus="DELETING"), "NotApplicable", "deleted"),
    Case("a table on its way to the archive is left", table(TableStatus="ARCHIVING"), "NotApplicable", "archived"),
    Case("an archived table is left", table(TableStatus="ARCHIVED"), "NotApplicable", "archived"),
    Case("a table whose key is lost is left", table(TableStatus="INACCESSIBLE_ENCRYPTION_CREDENTIALS"),
         "NotApplicable", "restore access to the key"),
)  # fmt: skip
