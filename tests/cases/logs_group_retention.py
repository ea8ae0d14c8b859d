"""What a log group's state means for its retention."""

from __future__ import annotations

from evenkeel.model import Call
from tests.cases.case import NOW, Case
from tests.cases.logs_group_encryption import group

MILLISECONDS = int(NOW.timestamp() * 1000)
DAY = 86_400_000


def put(days: int) -> tuple[Call, ...]:
    """Return the call that sets a retention."""
    return (Call("logs", "put_retention_policy", {"logGroupName": "/app/orders", "retentionInDays": days}),)


FOR_EVER = (Call("logs", "delete_retention_policy", {"logGroupName": "/app/orders"}),)

CASES = (
    Case("a year is what is wanted", group(retentionInDays=365), "Compliant"),
    Case("longer is never shortened", group(retentionInDays=3653), "Compliant"),
    Case("the settings' days count", group(retentionInDays=30), "Compliant", parameters={"days": 30}),
    Case("a new group that never expires gets a retention", group(creationTime=MILLISECONDS), "NonCompliant",
         "never expire", put(365), FOR_EVER, residue=True),
    Case("a day old is still new", group(creationTime=MILLISECONDS - DAY), "NonCompliant", "never expire", put(365),
         FOR_EVER, residue=True),
    Case("older than a day is announced: it would delete history", group(creationTime=MILLISECONDS - DAY - 1),
         "NonCompliant", "never expire", put(365), FOR_EVER, residue=True, caution="1 day old"),
    Case("its age is told in days", group(creationTime=MILLISECONDS - 400 * DAY), "NonCompliant", "expire", put(365),
         FOR_EVER, residue=True, caution="400 days old"),
    Case("a group of unknown age is an old one", group(creationTime=None), "NonCompliant", "never expire", put(365),
         FOR_EVER, residue=True, caution="days old"),
    Case("too short is raised at any age: nothing is deleted", group(retentionInDays=30), "NonCompliant",
         "30 days, not 365", put(365), put(30)),
    Case("what AWS Config only found on an older group is announced: it may cost much",
         group(retentionInDays=30), "NonCompliant", "30 days, not 365", put(365), put(30), found=True,
         caution="run the control by hand"),
    Case("what it found on a new group is raised", group(retentionInDays=30, creationTime=MILLISECONDS - DAY),
         "NonCompliant", "30 days", put(365), put(30), found=True),
    Case("one day is not 1 days", group(retentionInDays=1), "NonCompliant", "for 1 day, not 365",
         put(365), put(1)),
    Case("one step too short is too short", group(retentionInDays=180), "NonCompliant", "180 days", put(365), put(180)),
    Case("groups in transit are fixed at two days", group(logGroupClass="DELIVERY", retentionInDays=2),
         "NotApplicable", "DELIVERY"),
    Case("a DELIVERY group without retention, too", group(logGroupClass="DELIVERY"), "NotApplicable", "two days"),
)  # fmt: skip
