"""Puts a note with the outcome on a Security Hub finding. The workflow status is not changed: the next check sets it.

A note is an update, and each update of a finding causes another event (Security Hub user guide,
"BatchUpdateFindings"). So an outcome is noted only if the next read of the resource will write nothing: the resource is
changed, or held. A call that was refused or failed gets no note, because the note's event would trigger another
attempt, endlessly. A finding that was only announced has its alert.
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
"""Security Hub's error if it is not enabled (Security Hub API reference, BatchUpdateFindings)."""
_NOT_FOUND = "FindingNotFound"
_TRANSIENT = frozenset({"ConcurrentUpdateError", "InternalFailure"})
_PAUSES = (0.2, 0.8)  # seconds to wait before each retry
_MIN_REASON = 40  # characters of the reason that a note must have room for


class NoteError(EvenkeelError):
    """The note could not be put on the finding, and a retry does not help."""


class FindingDeletedError(EvenkeelError):
    """The finding was deleted from Security Hub."""


def is_due(record: EndedRecord) -> bool:
    """Return whether the finding that caused an outcome gets a note."""
    cause = record["cause"]
    known = cause.get("origin") == ORIGIN and bool(cause.get("finding_id")) and bool(cause.get("product_arn"))
    return known and Outcome(record["outcome"]).meaning.noted


def text(record: EndedRecord, others: str) -> str:
    """Return the text of the note: outcome, control, reason and record, then the full text of someone else's note.

    Raises:
        NoteError: there is no room for both; the other note stays.
    """
    words = f"{record['reason']}; {record['detail']}" if record["detail"] else record["reason"]
    head, tail = f"Evenkeel: {record['outcome']} by {record['control']}: ", f". Audit record {record['record_id']}."
    theirs = f"{BEFORE}{others}" if others else ""
    room = MAX_NOTE - len(head) - len(tail) - len(theirs)
    if room < _MIN_REASON:
        raise NoteError("someone else's note leaves no room for another, and is kept")
    short = words if len(words) <= room else f"{words[: room - 1]}…"
    return head + " ".join(short.split()) + tail + theirs


def put(aws: Aws, record: EndedRecord, sleep: Callable[[float], None] = time.sleep) -> None:
    """Put the note on the finding.

    Raises:
        NoteError: Security Hub did not accept the note, or there is no room for it.
        FindingDeletedError: the finding was deleted.
        ClientError, BotoCoreError: AWS refused a call, or did not answer.
    """
    failed = _update(aws, record)
    for pause in _PAUSES:
        if failed.get("ErrorCode") not in _TRANSIENT:
            break
        sleep(pause)
        failed = _update(aws, record)
    if failed.get("ErrorCode") == _NOT_FOUND:
        raise FindingDeletedError("the finding was deleted")
    if failed:
        raise NoteError(f"{failed.get('ErrorCode')}: {failed.get('ErrorMessage')}")


def _update(aws: Aws, record: EndedRecord) -> dict[str, Any]:
    """Try once to put the note; return the finding's entry in ``UnprocessedFindings``, or an empty dict on success.

    The finding is read first, since people may have added a note since its event.
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
