"""DynamoDB tables cannot be deleted by a single call."""

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

    Why: one call deletes a table with all its items; with protection on, somebody has to turn it off first. Each
        replica of a global table has its own protection (DynamoDB developer guide, "Best practices for global tables"),
        so the stack in each region covers the replica there.
    Blast radius: none for reads and writes. Anything that deletes the table fails until protection is turned off: the
        teardown of a CloudFormation, SAM, CDK or Terraform stack, or a test that cleans up.
    Cost: none.
    Undo: protection is turned off again.
    Mode: notify, since teardowns fail under protection, and turning it off is the first step of every intended
        deletion, which `enforce` would revert. Exempt short-lived tables before you set it to enforce.
    Runbook: ask the table's owner whether the table is about to be deleted; if so, nothing is left to do. Otherwise run
        the command in the alert. `aws dynamodb describe-table --table-name TABLE --query
        Table.DeletionProtectionEnabled` shows the setting. Exempt tables that tests or pipelines create and delete.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.NOTIFY
    reference = (
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/"
        "WorkingWithTables.Basics.html#WorkingWithTables.Basics.DeletionProtection"
    )
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
        """Read the protection, and whether the table can be changed now, in one call."""
        described = aws("dynamodb", "describe_table", TableName=table.name_of(context))["Table"]
        return {
            "TableName": table.name_of(context),
            "DeletionProtectionEnabled": described.get("DeletionProtectionEnabled", False),
            "TableStatus": described["TableStatus"],
        }

    def judge(self, state: State, context: Context) -> Judgement:
        """Find tables without protection.

        UpdateTable accepts one change at a time, and only on an ACTIVE table (DynamoDB API reference, UpdateTable).
        While the table is being created, or gets an index or a replica, the request waits in the queue. If another
        change begins between the read and the call, DynamoDB answers ResourceInUseException, which also returns the
        request to the queue.
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
