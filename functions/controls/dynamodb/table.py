"""What the controls of tables share: triggers, the states in which a table takes no change, how tables are found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.control import Aws, CloudTrail, Config, Context, Grant, NotApplicable, NotReady, Place, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:{partition}:dynamodb:{region}:{account}:table/{id}"
RESOURCE_TYPE = "AWS::DynamoDB::Table"
DISCOVER_GRANT = Grant(
    Stage.DISCOVER, ("dynamodb:ListTables",), on=("*",), why="dynamodb:ListTables has no resource-level permission"
)
_SOURCE = "dynamodb.amazonaws.com"
_PASSING = frozenset({"CREATING", "UPDATING"})
_LEAVE_ALONE = {
    "DELETING": "the table is being deleted",
    "ARCHIVING": "the table is being archived",
    "ARCHIVED": "an archived table takes no changes",
    "INACCESSIBLE_ENCRYPTION_CREDENTIALS": "the table's key cannot be used; restore access to the key first",
}


def triggers(*changes: str) -> tuple[CloudTrail | Config, ...]:
    """Return what wakes a control of tables: a table comes to be, or one of these calls changes it."""
    return (
        CloudTrail(
            _SOURCE,
            ("CreateTable",),
            at="responseElements.tableDescription.tableArn || requestParameters.tableName",
            creates=True,
        ),
        # Imported and restored tables hold data, so they are not "new" to a cost cap.
        CloudTrail(
            _SOURCE,
            ("ImportTable", "RestoreTableFromBackup", "RestoreTableToPointInTime"),
            at="responseElements.tableDescription.tableArn || responseElements.importTableDescription.tableArn"
            " || requestParameters.targetTableName || requestParameters.tableCreationParameters.tableName",
        ),
        CloudTrail(_SOURCE, changes, at="requestParameters.tableName || responseElements.tableDescription.tableArn"),
        Config(RESOURCE_TYPE),
    )


def name_of(context: Context) -> str:
    """Return the table's name. Calls name the resource that was asked about, whatever a recorded state says."""
    return context.resource.name.removeprefix("table/")


def not_now(status: str) -> NotApplicable | NotReady | None:
    """Say why a table of a TableStatus takes no change, for now or at all; None where it does."""
    if status in _LEAVE_ALONE:
        return NotApplicable(_LEAVE_ALONE[status])
    return NotReady(f"the table is {status}") if status in _PASSING else None


def discover(aws: Aws, place: Place) -> Iterator[str]:
    """List all tables."""
    for page in aws.pages("dynamodb", "list_tables"):
        yield from (place.arn(ARN, name) for name in page["TableNames"])
