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
    Place,
    Severity,
    Stage,
    State,
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
    """CloudWatch log groups keep their events for at least the settings' days, and not for ever.

    Why: an audit needs the past year; for ever costs more every month and keeps what nobody may keep.
    Blast radius: on a group that never expired, events older than the retention are deleted for good; so that is
        announced, and only done on groups made within the last day. A retention that somebody makes too short is raised
        at any age; one that AWS Config or Security Hub only found on an older group is announced, for storage costs.
    Cost: less storage on groups that never expired, more on those whose retention is raised.
    Undo: the former retention is set again; events that expired meanwhile are gone.
    Mode: enforce, since it is done only where nothing is deleted by it, and no older group is changed unasked.
    """

    severity = Severity.MEDIUM
    default_mode = Mode.ENFORCE
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

    def check_parameters(self, parameters: Mapping[str, Any]) -> str:
        """Accept only the periods that CloudWatch Logs has."""
        days = parameters["days"]
        return "" if days in _ACCEPTED else f"days: {days}; write one of {', '.join(map(str, sorted(_ACCEPTED)))}"

    def read(self, aws: Aws, context: Context) -> State:
        """Read the group."""
        return group.read(aws, context)

    def judge(self, state: State, context: Context) -> Judgement:
        """Find groups that keep events for ever or too short."""
        wanted, days, name = context.parameters["days"], state["retentionInDays"], group.name_of(context)
        if days and days >= wanted:
            return Compliant()
        if state["logGroupClass"] == group.DELIVERY:
            return NotApplicable("a group of class DELIVERY keeps events for two days, whatever is asked")
        put = Call("logs", "put_retention_policy", {"logGroupName": name, "retentionInDays": wanted})
        if days:
            undo = Call("logs", "put_retention_policy", {"logGroupName": name, "retentionInDays": days})
            reason = f"keeps events for {days} days, not {wanted}"
            kind, caution = group.older_and_found(state, context)
            return NonCompliant(reason, Change((put,), (undo,)), caution=caution, kind=kind)
        undo = Call("logs", "delete_retention_policy", {"logGroupName": name})
        change = Change((put,), (undo,), residue=f"events older than {wanted} days may be deleted meanwhile")
        kind, caution = _would_delete(state, context)
        return NonCompliant("keeps events for ever", change, caution=caution, kind=kind)

    def essence(self, state: State) -> Any:
        """Compare the retention."""
        return state["retentionInDays"]

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List all groups."""
        return group.discover(aws, place)


def _would_delete(state: State, context: Context) -> tuple[str, str]:
    """Return why a retention would delete history, as a kind and a sentence; two empty texts for a new group."""
    days = group.age_days(state, context)
    if days <= group.NEW_DAYS:
        return "", ""
    return "would delete", f"the group is {days:,.0f} days old; a retention deletes its older events for good"
