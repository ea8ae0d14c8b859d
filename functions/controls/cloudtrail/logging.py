"""CloudTrail trails log, so that Evenkeel and everybody else can see what happens."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.control import (
    Aws,
    Call,
    Change,
    CloudTrail,
    Compliant,
    Config,
    Context,
    Control,
    ErrorKind,
    Frameworks,
    Grant,
    Judgement,
    Mode,
    NonCompliant,
    NotApplicable,
    Place,
    ResourceMissingError,
    Severity,
    Stage,
    State,
    classify,
    code,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_SOURCE = "cloudtrail.amazonaws.com"
_UPDATE = "UpdateTrail"
_RESIDUE = (
    "log files written meanwhile are kept; while the trail is stopped, Evenkeel sees only what other trails record"
)
_UNRECORDED = "no trail here is known to log write management events: Evenkeel may not see further changes"
_NOTHING_LOGS = "no trail here is known to log write management events: Evenkeel sees no changes at all"


class Logging(Control):
    """CloudTrail trails keep logging once started, and at least one records write management events.

    Why: Evenkeel sees a change only while a trail logs it (EventBridge user guide, "AWS service events delivered via
        AWS CloudTrail"), so whoever stops the trail blinds Evenkeel and hides what they do next. These findings are
        only announced, because people must fix them: a deleted trail; a trail that records no management events when no
        other does; one that cannot deliver its log files; and one that UpdateTrail limits to one region when no other
        covers all regions. Not checked: trails created for one region, log file validation, the bucket, and excluded
        event sources. AWS does not document whether the call that stops an account's last trail still reaches
        EventBridge. A second trail, such as an organization's, covers that case. AWS Config's items and `evenkeel run`
        find a stopped trail, but not a deleted one; GuardDuty reports both (Stealth:IAMUser/CloudTrailLoggingDisabled).
    Blast radius: none for callers; log files go to the trail's bucket again.
    Cost: what the trail cost before it was stopped. A trail that has never logged is started if no other trail logs,
        since the first copy of management events is free except for its storage. If another trail logs, or may log, it
        is announced instead: a second copy costs about 2 dollars per 100,000 events.
    Undo: the trail is stopped again, so Evenkeel no longer sees what only this trail records; log files written
        meanwhile are kept.
    Mode: enforce, since a stopped trail blinds Evenkeel; neither a tug of war nor a freeze stops this control. If the
        only trail was never started, it is started after the settle time, since a trail is created to log and
        CreateTrail has checked its bucket's policy. If the bucket was deleted since, the failed delivery is announced.
    Runbook: treat a stopped or deleted trail as an attack until the principal in the alert confirms that they did it.
        `aws cloudtrail get-trail-status --name TRAIL` shows whether the trail logs and whether delivery fails. Create a
        deleted trail again and start it with `aws cloudtrail start-logging --name TRAIL`. If delivery fails, fix the
        bucket or its policy. Exempt a trail only if another multi-Region trail records write management events.
    """

    severity = Severity.CRITICAL
    default_mode = Mode.ENFORCE
    reference = "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-additional-cli-commands.html"
    announces = True
    resource_type = "AWS::CloudTrail::Trail"
    arn = "arn:{partition}:cloudtrail:{region}:{account}:trail/{id}"
    # Security Hub's CloudTrail.1 and CloudTrail.3 are about the account: their findings name no trail.
    frameworks = Frameworks(
        cis_3_0="3.1",
        nist_800_53=("AC-2(4)", "AC-6(9)", "AU-2", "AU-3", "AU-6(3)", "AU-10", "AU-12", "AU-14(1)", "CA-7", "SI-4(20)"),
        config_rule="cloudtrail-enabled",
    )
    triggers = (
        CloudTrail(_SOURCE, ("StopLogging", "DeleteTrail"), at="requestParameters.name", weakens=True),
        CloudTrail(_SOURCE, ("PutEventSelectors",), at="responseElements.trailARN || requestParameters.trailName"),
        CloudTrail(_SOURCE, (_UPDATE,), at="responseElements.trailARN || requestParameters.name"),
        CloudTrail(_SOURCE, ("CreateTrail",), at="responseElements.trailARN || requestParameters.name", creates=True),
        Config("AWS::CloudTrail::Trail"),
    )
    permissions = (
        Grant(
            Stage.READ,
            ("cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"),
            # A trail created in another region, or by the organization, may still record this region's changes.
            on=("arn:{partition}:cloudtrail:*:*:trail/*",),
        ),
        Grant(
            Stage.READ,
            ("cloudtrail:DescribeTrails",),
            on=("*",),
            why="cloudtrail:DescribeTrails supports no resource-level permission",
        ),
        Grant(Stage.APPLY, ("cloudtrail:StartLogging",)),
        Grant(Stage.UNDO, ("cloudtrail:StopLogging",)),
    )
    # A trail that is created through the API is started by a second call (CloudTrail API reference, CreateTrail).
    always_settles = True
    urgent = True
    yields = False

    def read(self, aws: Aws, context: Context) -> State:
        """Read whether the trail logs and which events it selects, and other trails only if this one may not be enough.

        A trail that does not exist is a finding, unless it was just created.
        """
        arn = context.resource.arn
        try:
            status = aws("cloudtrail", "get_trail_status", Name=arn)
        except ClientError as error:
            if code(error) != "TrailNotFoundException":
                raise
            if context.creates:
                raise ResourceMissingError(f"{arn}: CloudTrail does not return the new trail yet") from error
            return {"IsLogging": None, **_others(aws, arn)}
        logs, records_changes = status["IsLogging"], _records_changes(aws, arn)
        state: State = {"IsLogging": logs, "LatestDeliveryError": status.get("LatestDeliveryError", "")}
        if not logs:
            stopped = status.get("StopLoggingTime")
            state["HasLogged"] = bool(status.get("StartLoggingTime"))
            state["StoppedAt"] = f"{stopped.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if stopped else ""
        updated = context.event == _UPDATE
        if logs and records_changes and not updated:
            return state
        return state | {"Tells": records_changes} | _others(aws, arn, regions=updated)

    def judge(self, state: State, context: Context) -> Judgement:
        """Find trails that do not log, or whose events nobody sees or keeps."""
        if state["IsLogging"] is None:
            return _deleted(state)
        error = state["LatestDeliveryError"]
        undelivered = f"log files cannot be delivered ({error}); fix the bucket or its policy" if error else ""
        unseen = _unseen(state, context)
        remains = "; ".join(filter(None, (unseen, undelivered)))
        unrecorded = _unrecorded(state)
        found = (("deaf", unrecorded), ("one region", unseen and not unrecorded), ("undelivered", undelivered))
        kind = " and ".join(name for name, is_so in found if is_so)
        if state["IsLogging"]:
            return NonCompliant(remains, kind=kind) if remains else Compliant()
        change = Change((_call("start_logging", context),), (_call("stop_logging", context),), _RESIDUE)
        others = f"; {_other_trails(state, _NOTHING_LOGS)}" if "Telling" in state else ""
        if state["HasLogged"]:
            since = f" since {state['StoppedAt']}" if state["StoppedAt"] else ""
            return NonCompliant(f"logging is off{since}{others}", change, remains=remains, kind=kind)
        reason = f"the trail was created but never started{others}"
        return NonCompliant(reason, change, _costs(state), remains, f"new, {kind}")

    def essence(self, state: State) -> Any:
        """Compare whether the trail logs (None if deleted) and, if it does, whether changes still go unrecorded."""
        logs = state["IsLogging"]
        return [logs, *((_unrecorded(state), bool(state.get("OneRegion"))) if logs else ())]

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List the trails created here; trails of other regions and of the organization appear as shadow trails."""
        trails = aws("cloudtrail", "describe_trails", includeShadowTrails=False)["trailList"]
        yield from (place.arn(self.arn, trail["Name"]) for trail in trails)


def _call(operation: str, context: Context) -> Call:
    return Call("cloudtrail", operation, {"Name": context.resource.arn})


def _deleted(state: State) -> NotApplicable | NonCompliant:
    """Judge a trail that does not exist in this account and region."""
    if state["MadeElsewhere"]:
        return NotApplicable(f"the trail is checked where it was created: {state['MadeElsewhere']}")
    return NonCompliant(
        "the trail was deleted and cannot be restored: create it again and start it; "
        f"{_other_trails(state, _UNRECORDED)}",
        kind="" if state["Telling"] else "deaf",
    )


def _other_trails(state: State, none: str) -> str:
    """Return which other trails still record changes, or ``none``."""
    return f"{', '.join(state['Telling'])} still records changes" if state["Telling"] else none


def _unrecorded(state: State) -> bool:
    """Return whether neither this trail, once it logs, nor another is known to record changes."""
    return not state.get("Tells") and state.get("Telling") == []


def _unseen(state: State, context: Context) -> str:
    """Return which changes Evenkeel cannot see even while the trail logs, or an empty string."""
    if _unrecorded(state):
        return _UNRECORDED
    if state.get("OneRegion"):
        here = context.resource.region
        return (
            f"the trail covers {here} only, and no multi-Region trail is known to log: other regions may go unrecorded"
        )
    return ""


def _costs(state: State) -> str:
    """Return why a trail that has never logged is not started, or an empty string if it is the only trail."""
    if state.get("Telling") == [] and state.get("Tells") and not state.get("Unasked"):
        return ""
    return "the trail has never logged: starting it may cost its owner extra"


def _others(aws: Aws, arn: str, *, regions: bool = False) -> State:
    """Return which other trails, shadow trails included, log write management events here.

    ``Telling`` holds those that do. ``Unasked`` holds those that may: they were deleted meanwhile, or their status is
    denied to us. ``MadeElsewhere`` is a trail of the same name in another region or account. With ``regions``,
    ``OneRegion`` says that neither this trail nor one in ``Telling`` covers all regions.
    """
    trails = {trail["TrailARN"]: trail for trail in aws("cloudtrail", "describe_trails")["trailList"]}
    others = [other for other in trails if other != arn]
    records = {other: _logs_changes(aws, other) for other in others}
    recording = [other for other in others if records[other]]
    namesakes = [other for other in others if other.rpartition("/")[2] == arn.rpartition("/")[2]]
    found: State = {
        "Telling": recording,
        "Unasked": [other for other in others if records[other] is None],
        "MadeElsewhere": next(iter(namesakes), ""),
    }
    if regions:
        found["OneRegion"] = not any(trails[each]["IsMultiRegionTrail"] for each in (arn, *recording) if each in trails)
    return found


def _logs_changes(aws: Aws, arn: str) -> bool | None:
    """Return whether a trail, possibly of another region or account, logs and records changes; None if unknown."""
    try:
        return aws("cloudtrail", "get_trail_status", Name=arn)["IsLogging"] and _records_changes(aws, arn)
    except ClientError as error:
        if classify(error) is ErrorKind.TRANSIENT:
            raise
        return None  # the finding is reported in any case


def _records_changes(aws: Aws, arn: str) -> bool:
    """Return whether a trail selects write management events.

    Source: CloudTrail API reference, EventSelector and AdvancedFieldSelector.
    """
    found = aws("cloudtrail", "get_event_selectors", TrailName=arn)
    basic = any(
        selector.get("IncludeManagementEvents", True) and selector.get("ReadWriteType", "All") != "ReadOnly"
        for selector in found.get("EventSelectors") or []
    )
    return basic or any(
        {"Field": "eventCategory", "Equals": ["Management"]} in selector["FieldSelectors"]
        and {"Field": "readOnly", "Equals": ["true"]} not in selector["FieldSelectors"]
        for selector in found.get("AdvancedEventSelectors") or []
    )
