"""What a table's state means for its protection against deletion."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case


def table(status: str = "ACTIVE", *, protected: bool = False) -> dict[str, Any]:
    """Return what is read of a table."""
    return {"TableName": "orders", "DeletionProtectionEnabled": protected, "TableStatus": status}


def put(*, enabled: bool) -> tuple[Call, ...]:
    """Return the call that sets protection, and nothing else beside it."""
    return (Call("dynamodb", "update_table", {"TableName": "orders", "DeletionProtectionEnabled": enabled}),)


ON, OFF = put(enabled=True), put(enabled=False)

CASES = (
    Case("a protected table is what is wanted", table(protected=True), "Compliant"),
    Case("a protected table that is being changed is protected", table("UPDATING", protected=True), "Compliant"),
    Case("a table made with protection need not be waited for", table("CREATING", protected=True), "Compliant"),
    Case("a table without protection gets it", table(), "NonCompliant", "protection is off", ON, OFF),
    Case("a new table gets it, too", table(), "NonCompliant", "protection is off", ON, OFF, creates=True),
    Case("a table that is being made is waited for", table("CREATING"), "NotReady", "CREATING", creates=True),
    Case("another change of the table is waited for", table("UPDATING"), "NotReady", "UPDATING"),
    Case("a table on its way out is left", table("DELETING"), "NotApplicable", "being deleted"),
    Case("a table on its way to the archive is left", table("ARCHIVING"), "NotApplicable", "archived"),
    Case("an archived table is left", table("ARCHIVED"), "NotApplicable", "archived"),
    Case("a table whose key is lost is left", table("INACCESSIBLE_ENCRYPTION_CREDENTIALS"), "NotApplicable",
         "restore access to the key"),
)  # fmt: skip
