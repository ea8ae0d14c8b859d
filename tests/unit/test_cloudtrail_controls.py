"""The control of trails: what silences Evenkeel is undone, or told to people at once."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from evenkeel.control.registry import all_controls, groups
from evenkeel.events import parsing
from tests.factories import logging_trail, trail
from tests.world import PLACE, client, cloudtrail, request

if TYPE_CHECKING:
    from evenkeel.model import Request
    from tests.world import World

LOGGING = "cloudtrail-logging"
READ_ONLY = [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True, "DataResources": []}]
NO_MANAGEMENT = [{"ReadWriteType": "All", "IncludeManagementEvents": False, "DataResources": []}]
MANAGEMENT = {"Field": "eventCategory", "Equals": ["Management"]}
DATA = {"Field": "eventCategory", "Equals": ["Data"]}
LOOK = ["cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"]


def _advanced(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"AdvancedEventSelectors": [{"Name": "x", "FieldSelectors": list(fields)}]}


def _logs(arn: str) -> bool:
    return bool(client("cloudtrail").get_trail_status(Name=arn)["IsLogging"])


def _controls_calls(world: World) -> list[str]:
    return [name for name in world.wire.names() if name.startswith("cloudtrail:")]


def test_stopped_trail_logs_again_after_three_questions(world: World) -> None:
    """If this fails, a stopped trail stays stopped, or precious time goes into questions that change nothing."""
    arn = logging_trail()
    client("cloudtrail").stop_logging(Name=arn)
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "REMEDIATED"
    assert _controls_calls(world) == [*LOOK, "cloudtrail:DescribeTrails", "cloudtrail:StartLogging", *LOOK]
    assert _logs(arn)
    assert "logging is off since 20" in world.records()[0]["reason"]
    assert "Evenkeel sees no changes at all" in world.records()[0]["reason"]
    assert world.records()[0]["severity"] == "CRITICAL"
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "COMPLIANT"
    assert _controls_calls(world) == LOOK


def test_trail_that_is_stopped_again_and_again_is_started_each_time(world: World) -> None:
    """If this fails, three StopLogging in a row blind Evenkeel for a day."""
    arn = logging_trail()
    outcomes = []
    for _ in range(5):
        client("cloudtrail").stop_logging(Name=arn)
        outcomes.append(str(world.run(LOGGING, request(LOGGING, arn)).outcome))
    assert outcomes == ["REMEDIATED"] * 5
    assert _logs(arn)


def test_stopped_trail_is_started_in_a_freeze(world: World) -> None:
    """If this fails, a freeze leaves Evenkeel blind, and nobody is told."""
    arn = logging_trail()
    client("cloudtrail").stop_logging(Name=arn)
    frozen = {"schema_version": 1, "freezes": [{"cron": "* * * * *", "hours": 1}]}
    assert world.run(LOGGING, request(LOGGING, arn), document=frozen).outcome == "REMEDIATED"
    assert _logs(arn)


def test_stopped_trail_is_not_settled_first(world: World) -> None:
    """If this fails, Evenkeel waits a minute, blind, before it starts the trail again."""
    arn = logging_trail()
    client("cloudtrail").stop_logging(Name=arn)
    result = world.run(LOGGING, request(LOGGING, arn), document={"schema_version": 1, "settle_seconds": 60})
    assert result.outcome == "REMEDIATED"


def test_new_trail_is_given_the_time_to_be_started_by_its_maker(world: World) -> None:
    """If this fails, each new trail wakes on-call in the second between CreateTrail and StartLogging."""
    arn = trail()
    settings = {"schema_version": 1, "settle_seconds": 60}
    first = world.run(LOGGING, request(LOGGING, arn, creates=True), document=settings)
    assert (first.outcome, first.delay_seconds > 0) == ("RETURNED", True)
    client("cloudtrail").start_logging(Name=arn)
    world.sleep(61)
    assert world.run(LOGGING, first.request.again(world.now), document=settings).outcome == "COMPLIANT"
    assert world.records() == []


def test_stopped_trail_says_who_still_tells(world: World) -> None:
    """If this fails, on-call cannot tell a stopped second trail from a blind account."""
    other, arn = logging_trail("other"), logging_trail()
    client("cloudtrail").stop_logging(Name=arn)
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "REMEDIATED"
    assert f"{other} still records changes" in world.records()[0]["reason"]


def test_only_trail_that_nobody_started_is_started(world: World) -> None:
    """If this fails, an account whose only trail never logged stays blind, for fear of a cost that there is not."""
    arn = trail()
    world.now += timedelta(minutes=5)
    wish = request(LOGGING, arn, creates=True)
    assert world.run(LOGGING, wish, document={"schema_version": 1, "settle_seconds": 0}).outcome == "REMEDIATED"
    assert _logs(arn)
    record = world.records()[0]
    assert (record["severity"], "Evenkeel sees no changes at all" in record["reason"]) == ("CRITICAL", True)


def _updated(world: World, arn: str) -> Request:
    """Return the request that UpdateTrail leads to."""
    event = cloudtrail(
        "cloudtrail.amazonaws.com", "UpdateTrail", world.now,
        requestParameters={"name": "orders", "isMultiRegionTrail": False}, responseElements={"trailARN": arn},
    )  # fmt: skip
    [found] = parsing.parse(event, groups()["cloudtrail"], PLACE).requests
    return found


def test_trail_that_is_made_single_region_is_announced(world: World) -> None:
    """If this fails, one UpdateTrail deafens every other region, and nobody is told."""
    arn = logging_trail(IsMultiRegionTrail=True)
    assert world.run(LOGGING, _updated(world, arn)).outcome == "COMPLIANT"
    client("cloudtrail").update_trail(Name=arn, IsMultiRegionTrail=False)
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "COMPLIANT"
    result = world.run(LOGGING, _updated(world, arn))
    assert (result.outcome, "covers eu-west-1 only" in result.reason) == ("ANNOUNCED", True)
    assert world.records()[0]["severity"] == "CRITICAL"
    logging_trail("other", IsMultiRegionTrail=True)
    assert world.run(LOGGING, _updated(world, arn)).outcome == "COMPLIANT"


def test_essence_of_a_trail_is_what_is_not_heard() -> None:
    """If this fails, a trail that falls deaf hides behind an earlier alert, or another trail keeps its undo."""
    essence = all_controls()[LOGGING].essence
    whole = {"IsLogging": True, "LatestDeliveryError": ""}
    asked = {"Telling": [], "Unasked": [], "MadeElsewhere": ""}
    seen = [
        essence(whole),
        essence({**whole, **asked, "Tells": False}),
        essence({**whole, **asked, "Tells": True, "OneRegion": True}),
    ]
    assert len({str(each) for each in seen}) == 3
    assert essence({**whole, **asked, "Tells": True}) == essence(whole)
    stopped = {**whole, "IsLogging": False}
    assert essence({**stopped, **asked}) == essence({**stopped, **asked, "Telling": ["other"]}) == [False]


def test_second_trail_that_nobody_started_is_announced_and_not_started(world: World) -> None:
    """If this fails, Evenkeel starts a trail that its owner never paid for, or keeps silent about it."""
    logging_trail("other")
    arn = trail()
    world.now += timedelta(minutes=5)
    wish = request(LOGGING, arn, creates=True)
    assert world.run(LOGGING, wish, document={"schema_version": 1, "settle_seconds": 0}).outcome == "ANNOUNCED"
    assert not _logs(arn)
    assert "never started" in world.records()[0]["reason"]


def test_deleted_trail_is_announced_once_as_critical(world: World) -> None:
    """If this fails, the deletion of a trail passes in silence as "gone", or wakes on-call for every event about it."""
    arn = logging_trail()
    client("cloudtrail").delete_trail(Name=arn)
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "ANNOUNCED"
    [record] = world.records()
    assert (record["severity"], record["announce"]) == ("CRITICAL", True)
    assert "create it again and start it; no trail here is known to log" in record["reason"]
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "SKIPPED"
    assert world.wire.changes() == []


def test_deleted_trail_says_which_others_still_tell(world: World) -> None:
    """If this fails, on-call cannot tell a lost copy from a blind account."""
    other, deaf, stopped = logging_trail("other"), logging_trail("deaf"), trail("stopped")
    client("cloudtrail").put_event_selectors(TrailName=deaf, EventSelectors=NO_MANAGEMENT)
    arn = logging_trail()
    client("cloudtrail").delete_trail(Name=arn)
    reason = world.run(LOGGING, request(LOGGING, arn)).reason
    assert f"{other} still records changes" in reason
    assert deaf not in reason
    assert stopped not in reason


def test_new_trail_that_does_not_show_yet_is_waited_for(world: World) -> None:
    """If this fails, CloudTrail's delay after CreateTrail is announced as a deletion."""
    arn = "arn:aws:cloudtrail:eu-west-1:123456789012:trail/orders"
    document = {"schema_version": 1, "settle_seconds": 0}
    result = world.run(LOGGING, request(LOGGING, arn, creates=True), document=document)
    assert (result.outcome, "does not return the new trail yet" in result.reason) == ("RETURNED", True)
    assert world.records() == []


def test_trail_that_is_deleted_before_it_is_started_again_is_told(world: World) -> None:
    """If this fails, who stops a trail and deletes it a moment later is passed over."""
    arn = logging_trail()
    client("cloudtrail").stop_logging(Name=arn)
    world.wire.fail("cloudtrail", "StartLogging", "TrailNotFoundException", "Unknown trail")
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "FAILED"
    assert world.records()[-1]["announce"]


@pytest.mark.parametrize(
    "selectors",
    [
        {"EventSelectors": NO_MANAGEMENT},
        {"EventSelectors": READ_ONLY},
        _advanced(DATA),
        _advanced(MANAGEMENT, {"Field": "readOnly", "Equals": ["true"]}),
    ],
)
def test_trail_that_tells_of_no_change_is_announced_where_no_other_does(
    world: World, selectors: dict[str, Any]
) -> None:
    """If this fails, whoever takes the management events off the last trail blinds Evenkeel unnoticed."""
    arn = logging_trail()
    client("cloudtrail").put_event_selectors(TrailName=arn, **selectors)
    result = world.run(LOGGING, request(LOGGING, arn))
    assert (result.outcome, "may not see further changes" in result.reason) == ("ANNOUNCED", True)
    logging_trail("other")
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "COMPLIANT"


@pytest.mark.parametrize(
    "selectors",
    [
        {"EventSelectors": [*NO_MANAGEMENT, {**READ_ONLY[0], "ReadWriteType": "WriteOnly"}]},
        _advanced(MANAGEMENT),
        _advanced(MANAGEMENT, {"Field": "readOnly", "Equals": ["false"]}),
        _advanced(MANAGEMENT, {"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}),
    ],
)
def test_trail_that_tells_of_changes_is_asked_two_questions(world: World, selectors: dict[str, Any]) -> None:
    """If this fails, a good trail is called deaf, or looking at it costs more than it must."""
    arn = logging_trail()
    client("cloudtrail").put_event_selectors(TrailName=arn, **selectors)
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "COMPLIANT"
    assert _controls_calls(world) == LOOK


def test_trail_that_cannot_deliver_is_started_and_told(world: World) -> None:
    """If this fails, a bucket that refuses the log files hides behind a green "remediated"."""
    arn = logging_trail()
    client("cloudtrail").stop_logging(Name=arn)
    bad = {"LatestDeliveryError": "AccessDenied", "StartLoggingTime": world.now}
    world.wire.answer("cloudtrail", "GetTrailStatus", {"IsLogging": False, **bad})
    world.wire.answer("cloudtrail", "GetTrailStatus", {"IsLogging": True, **bad}, times=9)
    result = world.run(LOGGING, request(LOGGING, arn))
    assert (result.outcome, "(AccessDenied); fix the bucket" in result.reason) == ("PARTIAL", True)
    assert world.wire.params("StartLogging") == [{"Name": arn}]


@pytest.mark.parametrize("code", ["ConflictException", "ThrottlingException"])
def test_trail_that_is_busy_comes_back(world: World, code: str) -> None:
    """If this fails, a passing refusal leaves the trail stopped."""
    arn = logging_trail()
    client("cloudtrail").stop_logging(Name=arn)
    world.wire.fail("cloudtrail", "StartLogging", code)
    first = world.run(LOGGING, request(LOGGING, arn))
    assert (first.outcome, first.delay_seconds <= 2) == ("RETURNED", True)
    assert world.run(LOGGING, first.request.again(world.now)).outcome == "REMEDIATED"


def test_trail_that_only_the_organization_may_start_is_told(world: World) -> None:
    """If this fails, AWS's final refusal is retried for hours while nobody knows."""
    arn = logging_trail()
    client("cloudtrail").stop_logging(Name=arn)
    world.wire.fail(
        "cloudtrail", "StartLogging", "NotOrganizationMasterAccountException", "only the management account"
    )
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == "FAILED"
    assert world.records()[-1]["announce"]


def test_other_refusal_of_the_look_is_not_a_deletion(world: World) -> None:
    """If this fails, a fault of AWS's or of our role's wakes on-call as a deleted trail."""
    arn = logging_trail()
    world.wire.fail("cloudtrail", "GetTrailStatus", "InvalidTrailNameException", "odd")
    with pytest.raises(Exception, match="odd"):
        world.run(LOGGING, request(LOGGING, arn))
    assert world.records() == []


@pytest.mark.parametrize(
    ("code", "outcome"), [("TrailNotFoundException", "ANNOUNCED"), ("AccessDeniedException", "ANNOUNCED"),
                          ("ThrottlingException", "RETURNED")]
)  # fmt: skip
def test_other_trail_that_will_not_answer_holds_no_alert_back(world: World, code: str, outcome: str) -> None:
    """If this fails, a trail of the organization's that we may not ask hides that this account's was deleted."""
    logging_trail("other")
    arn = logging_trail()
    client("cloudtrail").delete_trail(Name=arn)
    world.wire.fail("cloudtrail", "GetTrailStatus", code, skip=1)
    assert world.run(LOGGING, request(LOGGING, arn)).outcome == outcome


def test_shadow_of_a_trail_is_judged_at_home(world: World) -> None:
    """If this fails, a trail of another region is announced here as deleted, or listed by a backfill here."""
    far: Any = boto3.client("cloudtrail", region_name="us-east-1")
    client("s3").create_bucket(Bucket="far", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    home = far.create_trail(Name="orders", S3BucketName="far", IsMultiRegionTrail=True)["TrailARN"]
    far.start_logging(Name=home)
    here = home.replace("us-east-1", "eu-west-1")
    result = world.run(LOGGING, request(LOGGING, here))
    assert (result.outcome, home in result.reason) == ("NOT_APPLICABLE", True)


def test_package_does_not_shadow_the_standard_librarys_logging() -> None:
    """If this fails, every module that logs breaks in the Lambda, whose path begins with the groups' packages."""
    functions = Path(__file__).resolve().parents[2] / "functions" / "controls"
    code = "import logging, cloudtrail.logging as ours; assert logging.getLogger and logging is not ours"
    run = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(functions)!r}); {code}"]
    engine = str(functions.parents[1] / "layers" / "engine")
    subprocess.run(run, check=True, env={"PYTHONPATH": engine}, timeout=60)
