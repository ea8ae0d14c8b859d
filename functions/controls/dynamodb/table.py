"""Shared by the controls of tables: triggers, the states in which a table cannot be changed, and listing."""

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
    "ARCHIVED": "an archived table cannot be changed",
    "INACCESSIBLE_ENCRYPTION_CREDENTIALS": "the table's key cannot be used; restore access to the key first",
}


def triggers(*changes: str) -> tuple[CloudTrail | Config, ...]:
    """Return the triggers of a control of tables: those that create a table, and these calls that change one."""
    return (
        CloudTrail(
            _SOURCE,
            ("CreateTable",),
            at="responseElements.tableDescription.tableArn || requestParameters.tableName",
            creates=True,
        ),
        # Imported and restored tables hold data, so a cost cap must not treat them as new.
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
    """Return the table's name, as requested: calls never name the resource of a recorded state."""
    return context.resource.name.removeprefix("table/")


def not_now(status: str) -> NotApplicable | NotReady | None:
    """Return why a table with a TableStatus cannot be changed, now or ever; None if it can."""
    if status in _LEAVE_ALONE:
        return NotApplicable(_LEAVE_ALONE[status])
    return NotReady(f"the table is {status}") if status in _PASSING else None


def discover(aws: Aws, place: Place) -> Iterator[str]:
    """List all tables."""
    for page in aws.pages("dynamodb", "list_tables"):
        yield from (place.arn(ARN, name) for name in page["TableNames"])
