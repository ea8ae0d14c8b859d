"""CloudTrail trails log, so that Evenkeel and everybody else hear what happens."""

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
_RESIDUE = "what was logged meanwhile is kept; while the trail is stopped, Evenkeel hears only what other trails tell"
_DEAF = "no trail here is known to log write management events: Evenkeel may hear of no change any more"
_SILENT = "no trail here is known to log write management events: nothing is heard at all"


class Logging(Control):
    """CloudTrail trails that have logged keep logging, and management events are heard.

    Why: Evenkeel hears of a change only while a trail logs it (EventBridge user guide, "AWS service events delivered
        via AWS CloudTrail"): who stops the trail blinds Evenkeel and hides what comes next. Announced, because only
        people can fix it: a trail that was deleted, one that logs no management events where no other does, one that
        cannot deliver its log files, and one that UpdateTrail leaves in one region where no other trail covers all. Not
        judged: trails that were made for one region, validation, bucket, left-out sources. Not certain: AWS does not
        say whether the very call that silences an account's last trail still reaches EventBridge. For that case, a
        second trail (an organization's) hears everything; AWS Config's items and a backfill find a stopped trail, not a
        deleted one; GuardDuty reports both (Stealth:IAMUser/CloudTrailLoggingDisabled).
    Blast radius: none for callers; log files go to the trail's bucket again.
    Cost: what the trail cost before it was stopped. One that has never logged is started where nothing else is heard,
        since the first copy of management events is free, but for its storage. Where another trail logs, or may log, it
        is announced instead: a second copy costs about 2 dollars per 100,000 events.
    Undo: the trail is stopped again, which blinds Evenkeel to what only this trail tells; log files written meanwhile
        are kept.
    Mode: enforce, since a stopped trail blinds Evenkeel; it gives in neither to a tug of war nor to a freeze. An only
        trail that was never started is started after the settle time, too: a trail is made to log, CreateTrail has
        checked its bucket's policy, and if the bucket is gone since, the failed delivery is announced.
    """

    severity = Severity.CRITICAL
    default_mode = Mode.ENFORCE
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
            # A trail made in another region, or by the organization, may be what still tells Evenkeel of this region.
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
    # Whoever makes a trail by the API starts it by a second call (CloudTrail API reference, CreateTrail).
    always_settles = True
    urgent = True
    yields = False

    def read(self, aws: Aws, context: Context) -> State:
        """Ask whether it logs and what it selects; about other trails only where this one may not be enough.

        A trail that is not found is a finding, not an end of the matter, unless it was made just now.
        """
        arn = context.resource.arn
        try:
            status = aws("cloudtrail", "get_trail_status", Name=arn)
        except ClientError as error:
            if code(error) != "TrailNotFoundException":
                raise
            if context.creates:
                raise ResourceMissingError(f"{arn}: CloudTrail does not show the new trail yet") from error
            return {"IsLogging": None, **_others(aws, arn)}
        logs, tells = status["IsLogging"], _tells_of_changes(aws, arn)
        state: State = {"IsLogging": logs, "LatestDeliveryError": status.get("LatestDeliveryError", "")}
        if not logs:
            stopped = status.get("StopLoggingTime")
            state["HasLogged"] = bool(status.get("StartLoggingTime"))
            state["StoppedAt"] = f"{stopped.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if stopped else ""
        updated = context.event == _UPDATE
        return (
            state if logs and tells and not updated else state | {"Tells": tells} | _others(aws, arn, regions=updated)
        )

    def judge(self, state: State, context: Context) -> Judgement:
        """Find trails that log nothing, or nothing that is heard or kept."""
        if state["IsLogging"] is None:
            return _gone(state)
        error = state["LatestDeliveryError"]
        undelivered = f"log files cannot be delivered ({error}); fix the bucket or its policy" if error else ""
        unheard = _unheard(state, context)
        for_people = "; ".join(filter(None, (unheard, undelivered)))
        found = (("deaf", _deaf(state)), ("one region", unheard and not _deaf(state)), ("undelivered", undelivered))
        kind = " and ".join(name for name, is_so in found if is_so)
        if state["IsLogging"]:
            return NonCompliant(for_people, kind=kind) if for_people else Compliant()
        change = Change((_call("start_logging", context),), (_call("stop_logging", context),), _RESIDUE)
        heard = f"; {_heard(state, _SILENT)}" if "Telling" in state else ""
        if state["HasLogged"]:
            since = f" since {state['StoppedAt']}" if state["StoppedAt"] else ""
            return NonCompliant(f"logging is off{since}{heard}", change, remains=for_people, kind=kind)
        reason = f"the trail was made and never started{heard}"
        return NonCompliant(reason, change, _costs(state), for_people, f"new, {kind}")

    def essence(self, state: State) -> Any:
        """Compare whether it logs, None for one that is gone, and what is not heard although it logs."""
        logs = state["IsLogging"]
        return [logs, *((_deaf(state), bool(state.get("OneRegion"))) if logs else ())]

    def discover(self, aws: Aws, place: Place) -> Iterator[str]:
        """List the trails that were made here; those of other regions and of the organization are shadows."""
        trails = aws("cloudtrail", "describe_trails", includeShadowTrails=False)["trailList"]
        yield from (place.arn(self.arn, trail["Name"]) for trail in trails)


def _call(operation: str, context: Context) -> Call:
    return Call("cloudtrail", operation, {"Name": context.resource.arn})


def _gone(state: State) -> NotApplicable | NonCompliant:
    """Judge a trail that CloudTrail does not know here."""
    if state["MadeElsewhere"]:
        return NotApplicable(f"the trail is judged where it was made: {state['MadeElsewhere']}")
    return NonCompliant(
        "there is no such trail any more, and a deleted one cannot be restored: create it again and start it; "
        f"{_heard(state, _DEAF)}",
        kind="" if state["Telling"] else "deaf",
    )


def _heard(state: State, nobody: str) -> str:
    """Return which other trails are heard, or ``nobody``."""
    return f"{', '.join(state['Telling'])} still tells of changes" if state["Telling"] else nobody


def _deaf(state: State) -> bool:
    """Say whether neither this trail, once it logs, nor another is known to tell of changes."""
    return not state.get("Tells") and state.get("Telling") == []


def _unheard(state: State, context: Context) -> str:
    """Return what is not heard even while the trail logs, or an empty string."""
    if _deaf(state):
        return _DEAF
    if state.get("OneRegion"):
        here = context.resource.region
        return (
            f"the trail covers {here} only, and no multi-Region trail is known to log: other regions may not be heard"
        )
    return ""


def _costs(state: State) -> str:
    """Return why a trail that has never logged is not started, or an empty string where it is the only one."""
    if state.get("Telling") == [] and state.get("Tells") and not state.get("Unasked"):
        return ""
    return "the trail has never logged: starting it may cost its owner something new"


def _others(aws: Aws, arn: str, *, regions: bool = False) -> State:
    """Return which other trails, shadows included, log write management events here, and a namesake's home.

    ``Unasked`` are those that may do so: they were deleted meanwhile, or are not ours to ask. With ``regions``,
    ``OneRegion`` says that neither this trail nor one that tells covers all regions.
    """
    trails = {trail["TrailARN"]: trail for trail in aws("cloudtrail", "describe_trails")["trailList"]}
    others = [other for other in trails if other != arn]
    telling = {other: _tells_here(aws, other) for other in others}
    heard = [other for other in others if telling[other]]
    namesakes = [other for other in others if other.rpartition("/")[2] == arn.rpartition("/")[2]]
    found: State = {
        "Telling": heard,
        "Unasked": [other for other in others if telling[other] is None],
        "MadeElsewhere": next(iter(namesakes), ""),
    }
    if regions:
        found["OneRegion"] = not any(trails[each]["IsMultiRegionTrail"] for each in (arn, *heard) if each in trails)
    return found


def _tells_here(aws: Aws, arn: str) -> bool | None:
    """Say whether another trail, maybe of another region or account, logs and tells of changes; None if unknown."""
    try:
        return aws("cloudtrail", "get_trail_status", Name=arn)["IsLogging"] and _tells_of_changes(aws, arn)
    except ClientError as error:
        if classify(error) is ErrorKind.TRANSIENT:
            raise
        return None  # the finding is reported all the same


def _tells_of_changes(aws: Aws, arn: str) -> bool:
    """Say whether a trail selects write management events.

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
