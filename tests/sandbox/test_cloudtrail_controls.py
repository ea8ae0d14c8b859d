"""Trails on the real stack with IAM enforced: who stops one is undone within seconds, who deletes one is told of."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.sandbox.cli_stack import Place, eventually, on, strict

if TYPE_CHECKING:
    from tests.sandbox.shared import Shared

CONTROL = "cloudtrail-logging"
NO_MANAGEMENT = [{"ReadWriteType": "All", "IncludeManagementEvents": False, "DataResources": []}]
SECONDS = 10.0
"""A stopped trail must log again within this time, a cold start on a busy machine included."""


@pytest.fixture(scope="module")
def place(shared: Shared) -> Place:
    """The real stack, and a bucket for trails."""
    where = {"LocationConstraint": shared.sandbox.region}
    shared.sandbox.client("s3").create_bucket(Bucket="trails", CreateBucketConfiguration=where)
    return on(shared, strict())


@pytest.fixture(scope="module")
def mallory(place: Place, shared: Shared) -> Any:
    """A CloudTrail client of an IAM user who may do everything."""
    return place.sandbox.client("cloudtrail", shared.user("mallory"))


def _trail(mallory: Any, name: str) -> str:
    arn = str(mallory.create_trail(Name=name, S3BucketName="trails", IsMultiRegionTrail=True)["TrailARN"])
    mallory.start_logging(Name=arn)
    return arn


def _records(place: Place, arn: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = place.ask("audit", "list", "--resource", arn, "--control", CONTROL)
    return found


def test_stopped_trail_logs_again_within_seconds_and_undo_stops_it(place: Place, mallory: Any) -> None:
    """If this fails, Evenkeel stays blind after StopLogging, or its undo of that is undone again by itself."""
    arn = _trail(mallory, "main")
    root = place.sandbox.client("cloudtrail")
    begun = time.monotonic()
    mallory.stop_logging(Name="main")
    eventually(lambda: root.get_trail_status(Name=arn)["IsLogging"], "a trail that logs again")
    assert time.monotonic() - begun < SECONDS
    record = place.outcome(arn, control=CONTROL)
    assert record["severity"] == "CRITICAL"
    assert record["actor"]["principal"].endswith(":user/mallory")
    assert place.run("undo", record["record_id"], "--yes").exit_code == 0
    assert not root.get_trail_status(Name=arn)["IsLogging"]
    mallory.stop_logging(Name=arn)
    time.sleep(2)
    assert not root.get_trail_status(Name=arn)["IsLogging"]


def test_deleted_trail_is_announced_as_critical(place: Place, mallory: Any) -> None:
    """If this fails, the deletion of a trail passes in silence, because there is nothing left to look at."""
    _trail(mallory, "watch")
    arn = _trail(mallory, "gone")
    mallory.delete_trail(Name="gone")
    record = place.outcome(arn, "ANNOUNCED", CONTROL)
    assert (record["severity"], record["announce"]) == ("CRITICAL", True)
    assert "create it again and start it" in record["reason"]
    assert "trail/watch still records changes" in record["reason"]


def test_last_trail_without_management_events_is_announced(place: Place, mallory: Any) -> None:
    """If this fails, PutEventSelectors blinds Evenkeel as StopLogging would, and nobody hears of it."""
    arn = _trail(mallory, "selective")
    for trail in mallory.describe_trails()["trailList"]:
        if trail["TrailARN"] != arn:
            mallory.put_event_selectors(TrailName=trail["TrailARN"], EventSelectors=NO_MANAGEMENT)
    time.sleep(2)
    assert _records(place, arn) == []
    mallory.put_event_selectors(TrailName="selective", EventSelectors=NO_MANAGEMENT)
    assert "may not see further changes" in place.outcome(arn, "ANNOUNCED", CONTROL)["reason"]


def test_other_changes_of_a_trail_wake_nobody(place: Place, mallory: Any) -> None:
    """If this fails, a trail that logs is changed or announced for what is not this control's."""
    arn = _trail(mallory, "quiet")
    mallory.update_trail(Name=arn, EnableLogFileValidation=True)
    mallory.start_logging(Name=arn)
    mallory.add_tags(ResourceId=arn, TagsList=[{"Key": "team", "Value": "x"}])
    time.sleep(4)  # the trail's creation settles meanwhile
    assert _records(place, arn) == []
    assert place.sandbox.client("cloudtrail").get_trail_status(Name=arn)["IsLogging"]
