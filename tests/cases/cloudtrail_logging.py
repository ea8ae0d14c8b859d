"""What a trail's state means for what is heard."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case
from tests.factories.cloudtrail import logging_trail
from tests.world import client

ARN = "arn:aws:cloudtrail:eu-west-1:123456789012:trail/orders"
OTHER = "arn:aws:cloudtrail:eu-west-1:123456789012:trail/other"
SHADOW = "arn:aws:cloudtrail:us-east-1:123456789012:trail/orders"
DATA_ONLY = [{"ReadWriteType": "All", "IncludeManagementEvents": False, "DataResources": []}]


def stopped_and_deaf() -> str:
    """Make a trail as its enemies leave it: stopped, without management events, and no other beside it."""
    arn = logging_trail()
    client("cloudtrail").put_event_selectors(TrailName=arn, EventSelectors=DATA_ONLY)
    client("cloudtrail").stop_logging(Name=arn)
    return arn


MAKE = {"AWS::CloudTrail::Trail": stopped_and_deaf}


def logs(**more: Any) -> dict[str, Any]:
    """Return what is read of a trail that logs."""
    return {"IsLogging": True, "LatestDeliveryError": "", **more}


def stopped(*, logged: bool = True, since: str = "2026-11-20 08:59 UTC", error: str = "") -> dict[str, Any]:
    """Return what is read of a trail that does not."""
    return {"IsLogging": False, "LatestDeliveryError": error, "HasLogged": logged, "StoppedAt": since}


def others(*telling: str, tells: bool = True, unasked: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Return what is read besides, where the trail itself may not be enough."""
    return {"Tells": tells, "Telling": list(telling), "Unasked": list(unasked), "MadeElsewhere": "", **more}


def gone(*telling: str, elsewhere: str = "") -> dict[str, Any]:
    """Return what is read of a trail that is not there, with the others that still tell of changes."""
    return {"IsLogging": None, "Telling": list(telling), "MadeElsewhere": elsewhere}


NEVER = stopped(logged=False, since="")
START, STOP = ((Call("cloudtrail", operation, {"Name": ARN}),) for operation in ("start_logging", "stop_logging"))

CASES = (
    Case("a trail that logs management events is what is wanted", logs(), "Compliant"),
    Case("data events alone are enough where another trail tells of changes",
         logs(Telling=[OTHER], MadeElsewhere=""), "Compliant"),
    Case("a stopped trail is started", stopped(), "NonCompliant", "off since 2026-11-20 08:59 UTC", START, STOP,
         residue=True),
    Case("when it was stopped need not be known", stopped(since=""), "NonCompliant", "logging is off", START, STOP,
         residue=True),
    Case("a stopped trail whose files cannot be delivered needs people beside", stopped(error="AccessDenied"),
         "NonCompliant", "off since", START, STOP, residue=True, remains="(AccessDenied); fix the bucket"),
    Case("a stopped trail that tells of no change either needs people beside",
         {**stopped(), "Telling": [], "MadeElsewhere": ""}, "NonCompliant", "off since", START, STOP, residue=True,
         remains="may not see further changes"),
    Case("a stopped trail says that nothing else is heard", stopped() | others(), "NonCompliant",
         "UTC; no trail here is known to log write management events: Evenkeel sees no changes at all",
         START, STOP, residue=True),
    Case("a stopped trail says what else is heard", stopped() | others(OTHER), "NonCompliant",
         f"UTC; {OTHER} still records changes", START, STOP, residue=True),
    Case("the only trail that never logged is started, and the alert says why", NEVER | others(), "NonCompliant",
         "never started; no trail here is known to log write management events: Evenkeel sees no changes", START, STOP,
         residue=True),
    Case("a second trail that never logged is its maker's to start", NEVER | others(OTHER), "NonCompliant",
         f"never started; {OTHER} still records changes", START, STOP, residue=True,
         caution="cost its owner extra"),
    Case("a trail that may be the second is its maker's to start", NEVER | others(unasked=(OTHER,)), "NonCompliant",
         "never started", START, STOP, residue=True, caution="cost its owner extra"),
    Case("a trail of data events that never logged would not help", NEVER | others(tells=False), "NonCompliant",
         "Evenkeel sees no changes at all", START, STOP, residue=True, caution="never logged", remains="may not see"),
    Case("a finding of an earlier version is judged as it was", NEVER, "NonCompliant", "never started", START, STOP,
         residue=True, caution="cost its owner extra"),
    Case("a trail that never logged may have a bad bucket, too", {**NEVER, "LatestDeliveryError": "NoSuchBucket"},
         "NonCompliant", "never started", START, STOP, residue=True, caution="never logged", remains="NoSuchBucket"),
    Case("a trail that was made single-Region is for people", logs(**others(OneRegion=True)), "NonCompliant",
         "the trail covers eu-west-1 only, and no multi-Region trail is known to log"),
    Case("another trail covers the regions", logs(**others(OTHER, OneRegion=False)), "Compliant"),
    Case("files that cannot be delivered are for people", logs(LatestDeliveryError="NoSuchBucket"), "NonCompliant",
         "cannot be delivered (NoSuchBucket)"),
    Case("management events that nobody logs are for people", logs(Telling=[], MadeElsewhere=""), "NonCompliant",
         "may not see further changes"),
    Case("both are told at once", logs(Telling=[], MadeElsewhere="", LatestDeliveryError="AccessDenied"),
         "NonCompliant", "changes; log files cannot be delivered (AccessDenied)"),
    Case("a deleted trail is for people", gone(), "NonCompliant",
         "deleted and cannot be restored: create it again and start it; no trail here is known"),
    Case("a deleted trail says who still records changes", gone(OTHER), "NonCompliant",
         f"start it; {OTHER} still records changes"),
    Case("a shadow of another region's or the organization's trail is judged at home", gone(SHADOW, elsewhere=SHADOW),
         "NotApplicable", f"where it was created: {SHADOW}"),
)  # fmt: skip
