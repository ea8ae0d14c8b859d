"""CloudTrail trails log, so that Evenkeel and everybody else hear what happens."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from evenkeel.control import Context, Control, Frameworks, Grant, Stage
from evenkeel.errors import ErrorKind, ResourceMissingError, classify, code
from evenkeel.model import (
    Call,
    Change,
    Compliant,
    Judgement,
    Mode,
    NonCompliant,
    NotApplicable,
    Place,
    Severity,
    State,
)
from evenkeel.triggers import CloudTrail, Config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evenkeel.aws import Aws

_SOURCE = "cloudtrail.amazonaws.com"
_RESIDUE = "what was logged meanwhile is kept; while the trail is stopped, Evenkeel hears only what other trails tell"
_DEAF = "no trail here is known to log write management events: Evenkeel may hear of no change any more"


class Logging(Control):
    """CloudTrail trails that have logged keep logging, and management events are heard.

    Why: Evenkeel hears of a change only while a trail logs it (EventBridge user guide, "AWS service events delivered
        via AWS CloudTrail"): who stops the trail blinds Evenkeel and hides what comes next. Announced, because only
        people can mend it: a trail that was deleted, one that logs no management events where no other does, one that
        cannot deliver its log files, one that was never started. Not judged: regions, validation, bucket, left-out
        sources. Not certain: AWS does not say whether the very call that silences an account's last trail still
        reaches EventBridge. For that case, a second trail (an organization's) hears everything; AWS Config's items and
        a backfill find a stopped trail, not a deleted one; GuardDuty tells people of both
        (Stealth:IAMUser/CloudTrailLoggingDisabled).
    Blast radius: none for callers; log files go to the trail's bucket again.
    Cost: what the trail cost before it was stopped. One that has never logged is announced instead: a second copy of
        management events costs about 2 dollars per 100,000.
    Undo: the trail is stopped again, which blinds Evenkeel to what only this trail tells; log files written meanwhile
        are kept.
    Mode: enforce, since a stopped trail blinds Evenkeel; it gives in neither to a tug of war nor to a freeze.
    """

    severity = Severity.CRITICAL
    default_mode = Mode.ENFORCE
    resource_type = "AWS::CloudTrail::Trail"
    arn = "arn:{partition}:cloudtrail:{region}:{account}:trail/{id}"
    # Security Hub's CloudTrail.1 and CloudTrail.3 are about the account: their findings name no trail.
    frameworks = Frameworks(
        cis_3_0="3.1",
        nist_800_53=("AC-2(4)", "AC-6(9)", "AU-2", "AU-3", "AU-6(3)", "AU-10", "AU-12", "AU-14(1)", "CA-7", "SI-4(20)"),
        config_rule="cloudtrail-enabled",
    )
    triggers = (
        CloudTrail(_SOURCE, ("StopLogging", "DeleteTrail"), at="requestParameters.name"),
        CloudTrail(_SOURCE, ("PutEventSelectors",), at="responseElements.trailARN || requestParameters.trailName"),
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
        """Ask whether it logs and what it selects; about other trails only where this one tells of no change.

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
        state: State = {"IsLogging": status["IsLogging"], "LatestDeliveryError": status.get("LatestDeliveryError", "")}
        if not status["IsLogging"]:
            stopped = status.get("StopLoggingTime")
            state["HasLogged"] = bool(status.get("StartLoggingTime"))
            state["StoppedAt"] = f"{stopped.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if stopped else ""
        return state if _tells_of_changes(aws, arn) else state | _others(aws, arn)

    def judge(self, state: State, context: Context) -> Judgement:
        """Find trails that log nothing, or nothing that is heard or kept."""
        if state["IsLogging"] is None:
            return _gone(state)
        error, deaf = state["LatestDeliveryError"], _DEAF if state.get("Telling") == [] else ""
        undelivered = f"log files cannot be delivered ({error}); mend the bucket or its policy" if error else ""
        for_people = "; ".join(filter(None, (deaf, undelivered)))
        if state["IsLogging"]:
            return NonCompliant(for_people) if for_people else Compliant()
        change = Change((_call("start_logging", context),), (_call("stop_logging", context),), _RESIDUE)
        if not state["HasLogged"]:
            caution = "the trail has never logged: starting it may cost its owner something new"
            return NonCompliant("the trail was made and never started", change, caution, for_people)
        since = f" since {state['StoppedAt']}" if state["StoppedAt"] else ""
        return NonCompliant(f"logging is off{since}", change, remains=for_people)

    def essence(self, state: State) -> Any:
        """Compare whether it logs; None for one that is gone."""
        return state["IsLogging"]

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
    heard = f"{', '.join(state['Telling'])} still tells of changes" if state["Telling"] else _DEAF
    return NonCompliant(
        f"there is no such trail any more, and a deleted one cannot be restored: create it again and start it; {heard}"
    )


def _others(aws: Aws, arn: str) -> State:
    """Return which other trails, shadows included, log write management events here, and a namesake's home."""
    trails = [trail["TrailARN"] for trail in aws("cloudtrail", "describe_trails")["trailList"]]
    others = [other for other in trails if other != arn]
    telling = [other for other in others if _known_to_tell(aws, other)]
    namesakes = [other for other in others if other.rpartition("/")[2] == arn.rpartition("/")[2]]
    return {"Telling": telling, "MadeElsewhere": next(iter(namesakes), "")}


def _known_to_tell(aws: Aws, arn: str) -> bool:
    """Say whether another trail, maybe of another region or account, is one that logs and tells of changes."""
    try:
        return aws("cloudtrail", "get_trail_status", Name=arn)["IsLogging"] and _tells_of_changes(aws, arn)
    except ClientError as error:
        if classify(error) is ErrorKind.TRANSIENT:
            raise
        return False  # deleted meanwhile, or not ours to ask: the finding is told all the same


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
