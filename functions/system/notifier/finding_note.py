"""A note on Security Hub's finding about what became of it. Its workflow stays as it is: the next check settles it.

A note is an update, and each update of a finding is an event again (Security Hub user guide, "BatchUpdateFindings").
So an outcome is noted only if the next read of the resource writes nothing: it is changed, or it is held. What was
refused or failed gets no note, because the event of the note would trigger another attempt, for ever; what was only
announced has its alert.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from evenkeel.errors import EvenkeelError
from evenkeel.events.security_hub import BEFORE, MAX_NOTE, ORIGIN, WRITER, others_note
from evenkeel.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel.audit.record_types import EndedRecord
    from evenkeel.runtime.aws import Aws

OFF = "InvalidAccessException"
"""What Security Hub answers where it is not turned on (Security Hub API reference, BatchUpdateFindings)."""
_GONE = "FindingNotFound"
_PASSING = frozenset({"ConcurrentUpdateError", "InternalFailure"})
_PAUSES = (0.2, 0.8)  # seconds before a finding that somebody else is updating is tried again
_LEAST = 40  # characters that a note needs for more than its outcome


class NoteError(EvenkeelError):
    """The note could not be put on the finding, and trying again here does not help."""


class FindingDeletedError(EvenkeelError):
    """Security Hub has no such finding any more."""


def is_due(record: EndedRecord) -> bool:
    """Return whether the finding of an outcome gets a note."""
    cause = record["cause"]
    known = cause.get("origin") == ORIGIN and bool(cause.get("finding_id")) and bool(cause.get("product_arn"))
    return known and Outcome(record["outcome"]).meaning.noted


def text(record: EndedRecord, others: str) -> str:
    """Return the note: outcome, control, finding and record, then what somebody else has noted, whole.

    Raises:
        NoteError: both have no room in one note; theirs stays.
    """
    words = f"{record['reason']}; {record['detail']}" if record["detail"] else record["reason"]
    head, tail = f"Evenkeel: {record['outcome']} by {record['control']}: ", f". Audit record {record['record_id']}."
    theirs = f"{BEFORE}{others}" if others else ""
    room = MAX_NOTE - len(head) - len(tail) - len(theirs)
    if room < _LEAST:
        raise NoteError("somebody else's note leaves no room for another, and is kept")
    short = words if len(words) <= room else f"{words[: room - 1]}…"
    return head + " ".join(short.split()) + tail + theirs


def put(aws: Aws, record: EndedRecord, sleep: Callable[[float], None] = time.sleep) -> None:
    """Put the note on the finding.

    Raises:
        NoteError: Security Hub did not take it, or it has no room.
        FindingDeletedError: the finding is not there any more.
        ClientError, BotoCoreError: AWS refused a call, or did not answer.
    """
    failed = _update(aws, record)
    for pause in _PAUSES:
        if failed.get("ErrorCode") not in _PASSING:
            break
        sleep(pause)
        failed = _update(aws, record)
    if failed.get("ErrorCode") == _GONE:
        raise FindingDeletedError("the finding was deleted")
    if failed:
        raise NoteError(f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}")


def _update(aws: Aws, record: EndedRecord) -> dict[str, Any]:
    """Return what Security Hub has against the note inside its successful answer; empty where it took it.

    The finding is read right before, since people may have noted something on it after it was the cause.
    """
    name = {"Id": record["cause"]["finding_id"], "ProductArn": record["cause"]["product_arn"]}
    filters = {field: [{"Value": value, "Comparison": "EQUALS"}] for field, value in name.items()}
    pages = aws.pages("securityhub", "get_findings", Filters=filters)
    finding = next((finding for page in pages for finding in page["Findings"]), None)
    if finding is None:
        raise FindingDeletedError("the finding was deleted")
    note = {"Text": text(record, others_note(finding)), "UpdatedBy": WRITER}
    answer = aws("securityhub", "batch_update_findings", FindingIdentifiers=[name], Note=note)
    return next(iter(answer["UnprocessedFindings"]), {})
