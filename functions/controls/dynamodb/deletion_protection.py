"""DynamoDB tables cannot be deleted by one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamodb import table
from evenkeel.control import (
    Aws,
    Call,
    Change,
    Compliant,
    Context,
    Control,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    Place,
    Severity,
    Stage,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class DeletionProtection(Control):
    """DynamoDB tables are protected against deletion.

    Why: a table is deleted by one call, and with it every item; under protection somebody has to switch that off first.
        Each replica of a global table has a protection of its own (DynamoDB developer guide, "Best practices for global
        tables"), so each region's stack sees to its own.
    Blast radius: none for reads and writes. Whatever deletes the table fails from then on until protection is switched
        off: a CloudFormation, SAM, CDK or Terraform stack that is torn down, a test that cleans up.
    Cost: none.
    Undo: protection is switched off again.
    Mode: notify, since tear-downs fail under protection, and switching it off is the first half of every wanted
        deletion, which `enforce` would set back. Before it enforces, exempt the tables that come and go.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.NOTIFY
    resource_type = table.RESOURCE_TYPE
    arn = table.ARN
    frameworks = Frameworks(
        security_hub=("DynamoDB.6",),
        nist_800_53=("CA-9(1)", "CM-2", "CM-2(2)", "CM-3", "SC-5(2)"),
        config_rule="dynamodb-table-deletion-protection-enabled",
    )
    triggers = table.triggers("UpdateTable")
    permissions = (
        Grant(Stage.READ, ("dynamodb:DescribeTable",)),
        Grant(Stage.APPLY, ("dynamodb:UpdateTable",)),
        Grant(Stage.UNDO, ("dynamodb:UpdateTable",)),
        table.DISCOVER_GRANT,
    )

    def read(self, aws: Aws, context: Context) -> State:
        """One call tells both the protection and whether the table takes a change now."""
        described = aws("dynamodb", "describe_table", TableName=table.name_of(context))["Table"]
        return {
            "TableName": table.name_of(context),
            "DeletionProtectionEnabled": described.get("DeletionProtectionEnabled", False),
            "TableStatus": described["TableStatus"],
        }

    def judge(self, state: State, context: Context) -> Judgement:
        """Find tables without protection.

        UpdateTable takes one change at a time, and only of an ACTIVE table (DynamoDB API reference, UpdateTable): while
        the table is made, gets an index or a replica, this one waits in the queue for its turn. A change that begins
        between look and call is answered with ResourceInUseException, which returns it to the queue, too.
        """
        if state["DeletionProtectionEnabled"]:
            return Compliant()
        other = table.not_now(state["TableStatus"])
        if other:
            return other
        change = Change((_set(context, enabled=True),), (_set(context, enabled=False),))
        return NonCompliant("deletion protection is off", change)

    def essence(self, state: State) -> Any:
        """Compare the protection."""
        return state["DeletionProtectionEnabled"]

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List all tables."""
        return table.discover(aws, place)


def _set(context: Context, *, enabled: bool) -> Call:
    params = {"TableName": table.name_of(context), "DeletionProtectionEnabled": enabled}
    return Call("dynamodb", "update_table", params)
