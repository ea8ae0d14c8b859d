"""CloudWatch log groups keep their events for a set time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.control import (
    Aws,
    Call,
    Change,
    CloudTrail,
    Compliant,
    Config,
    Context,
    Control,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    NotApplicable,
    ParameterProblem,
    Place,
    Severity,
    Stage,
    State,
    plural,
)
from logs import group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# CloudWatch Logs API reference, PutRetentionPolicy, retentionInDays
_ACCEPTED = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


class GroupRetention(Control):
    """CloudWatch log groups keep their events for at least the number of days in the settings, and not forever.

    Why: audits need the past year, and unlimited retention costs more every month and may keep data longer than your
        rules allow.
    Blast radius: setting a retention on a group whose events never expire permanently deletes its older events, so it
        is only announced, except on groups created within the last day. A retention that somebody makes too short is
        raised, however old the group is; if AWS Config or Security Hub merely reports it on an older group, it is
        announced, since it adds storage costs.
    Cost: less storage for groups whose events never expired, more for those whose retention is raised.
    Undo: the former retention is set again; events that expired meanwhile are lost.
    Mode: enforce, since it acts only if nothing is deleted, and never changes an older group that nobody touched.
    Runbook: `aws logs describe-log-groups --log-group-name-prefix NAME` shows the retention. If the alert says that
        older events would be deleted, ask the group's owner whether they are still needed, and export them to S3 if so.
        Then run the command in the alert. Exempt groups whose events must be kept forever.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.ENFORCE
    reference = (
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/"
        "Working-with-log-groups-and-streams.html#SettingLogRetention"
    )
    announces = True
    resource_type = group.RESOURCE_TYPE
    arn = group.ARN
    frameworks = Frameworks(
        security_hub=("CloudWatch.16",),
        nist_800_53=("AU-6(3)", "AU-6(4)", "AU-10", "AU-11", "CA-7", "SI-12"),
        config_rule="cw-loggroup-retention-period-check",
    )
    triggers = (
        CloudTrail("logs.amazonaws.com", ("CreateLogGroup",), at="requestParameters.logGroupName", creates=True),
        CloudTrail("logs.amazonaws.com", ("PutRetentionPolicy",), at="requestParameters.logGroupName"),
        CloudTrail("logs.amazonaws.com", ("DeleteRetentionPolicy",), at="requestParameters.logGroupName", weakens=True),
        Config(group.RESOURCE_TYPE),
    )
    permissions = (
        group.READ_GRANT,
        Grant(Stage.APPLY, ("logs:PutRetentionPolicy",)),
        Grant(Stage.UNDO, ("logs:PutRetentionPolicy", "logs:DeleteRetentionPolicy")),
    )
    parameters = {"days": 365}

    def check_parameters(self, parameters: Mapping[str, Any]) -> ParameterProblem | None:
        """Require a period that CloudWatch Logs accepts."""
        days = parameters["days"]
        if days in _ACCEPTED:
            return None
        hint = f"write one of {', '.join(map(str, sorted(_ACCEPTED)))}"
        return ParameterProblem("days", f"{days} is not accepted", hint)

    def read(self, aws: Aws, context: Context) -> State:
        """Read the group."""
        return group.read(aws, context)

    def judge(self, state: State, context: Context) -> Judgement:
        """Find groups whose events never expire, or expire too soon."""
        wanted, days, name = context.parameters["days"], state["retentionInDays"], group.name_of(context)
        if days and days >= wanted:
            return Compliant()
        if state["logGroupClass"] == group.DELIVERY:
            return NotApplicable("a group of class DELIVERY always keeps events for two days")
        put = Call("logs", "put_retention_policy", {"logGroupName": name, "retentionInDays": wanted})
        if days:
            undo = Call("logs", "put_retention_policy", {"logGroupName": name, "retentionInDays": days})
            reason = f"keeps events for {plural(days, 'day')}, not {wanted:,}"
            kind, caution = group.older_and_found(state, context)
            return NonCompliant(reason, Change((put,), (undo,)), caution=caution, kind=kind)
        undo = Call("logs", "delete_retention_policy", {"logGroupName": name})
        change = Change((put,), (undo,), residue=f"events older than {wanted} days may have been deleted")
        kind, caution = _would_delete(state, context)
        return NonCompliant("its events never expire", change, caution=caution, kind=kind)

    def essence(self, state: State) -> Any:
        """Compare the retention."""
        return state["retentionInDays"]

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List all groups."""
        return group.discover(aws, place)


def _would_delete(state: State, context: Context) -> tuple[str, str]:
    """Return why a retention would delete events, as a kind and a sentence; two empty strings for a new group."""
    days = group.age_days(state, context)
    if days <= group.NEW_DAYS:
        return "", ""
    age = plural(round(days), "day")
    return "would delete", f"the group is {age} old; a retention permanently deletes its older events"
