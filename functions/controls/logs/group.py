"""What both controls of log groups read, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.control import Aws, Context, Grant, Place, ResourceMissingError, Stage, State

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:{partition}:logs:{region}:{account}:log-group:{id}"
RESOURCE_TYPE = "AWS::Logs::LogGroup"
NEW_DAYS = 1
"""Up to this age a group is new."""
DELIVERY = "DELIVERY"
"""The class of groups in transit: two days of retention, not to be changed."""
READ_GRANT = Grant(
    Stage.READ, ("logs:DescribeLogGroups",), on=("*",), why="logs:DescribeLogGroups lists; one group cannot be named"
)
_FIELDS = ("logGroupName", "kmsKeyId", "retentionInDays", "logGroupClass", "creationTime")


def name_of(context: Context) -> str:
    """Return the group's name. Calls name the resource that was asked about, whatever a recorded state says."""
    return context.resource.name.removeprefix("log-group:")


def age_days(state: State, context: Context) -> float:
    """Return the days since a group was made."""
    return (context.now.timestamp() - (state["creationTime"] or 0) / 1000) / 86_400


def older_and_found(state: State, context: Context) -> tuple[str, str]:
    """Return whether a group has more than a day, as a kind; and that it was only found as it is, as a caution.

    How it was found is no kind of finding: AWS Config's item follows each event, and is about what the event was about.
    """
    days = age_days(state, context)
    if days <= NEW_DAYS:
        return "", ""
    told = f"nobody changed the group just now, and it is {days:,.0f} days old; run the control by hand to change it"
    return "older", told if context.found else ""


def read(aws: Aws, context: Context) -> State:
    """Read one group by its exact name.

    Raises:
        ResourceMissingError: there is no such group.
    """
    name = name_of(context)
    answer = aws("logs", "describe_log_groups", logGroupIdentifiers=[name])
    for group in answer.get("logGroups", []):
        if group["logGroupName"] == name and group["arn"].removesuffix(":*") == context.resource.arn:
            return {field: group.get(field) for field in _FIELDS}
    raise ResourceMissingError(f"{context.resource.arn}: CloudWatch Logs has no such log group")


def discover(aws: Aws, place: Place) -> Iterator[str]:
    """List the groups of the account itself (not those of linked accounts)."""
    for page in aws.pages("logs", "describe_log_groups"):
        yield from (place.arn(ARN, group["logGroupName"]) for group in page["logGroups"])
