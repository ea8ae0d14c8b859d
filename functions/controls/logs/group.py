"""Shared by the controls of log groups: reading and listing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.control import Aws, Context, Grant, Place, ResourceMissingError, Stage, State, plural

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:{partition}:logs:{region}:{account}:log-group:{id}"
RESOURCE_TYPE = "AWS::Logs::LogGroup"
NEW_DAYS = 1
"""Age in days up to which a group counts as new."""
DELIVERY = "DELIVERY"
"""The class of groups that only forward logs: their retention is two days and cannot be changed."""
READ_GRANT = Grant(
    Stage.READ,
    ("logs:DescribeLogGroups",),
    on=("*",),
    why="logs:DescribeLogGroups lists groups and cannot be limited to one",
)
_FIELDS = ("logGroupName", "kmsKeyId", "retentionInDays", "logGroupClass", "creationTime")


def name_of(context: Context) -> str:
    """Return the group's name, as requested: calls never name the resource of a recorded state."""
    return context.resource.name.removeprefix("log-group:")


def age_days(state: State, context: Context) -> float:
    """Return the days since a group was created."""
    return (context.now.timestamp() - (state["creationTime"] or 0) / 1000) / 86_400


def older_and_found(state: State, context: Context) -> tuple[str, str]:
    """Return "older" as a kind if a group is more than a day old; and a caution if it was also only reported.

    How a group was reported does not make another kind of finding: AWS Config's item follows each event and is about
    the same change.
    """
    days = age_days(state, context)
    if days <= NEW_DAYS:
        return "", ""
    age = plural(round(days), "day")
    caution = f"the group is {age} old and no recent call changed it; run the control by hand to change it"
    return "older", caution if context.found else ""


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
    """List the account's own groups, not those of linked accounts."""
    for page in aws.pages("logs", "describe_log_groups"):
        yield from (place.arn(ARN, group["logGroupName"]) for group in page["logGroups"])
