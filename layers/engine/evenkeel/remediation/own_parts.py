"""Findings about the stack's own parts: announced, never changed; pure.

:mod:`evenkeel.system_parts` lists the parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from evenkeel.events.actor import by_cloudformation

if TYPE_CHECKING:
    from evenkeel.audit.record_types import EndedRecord
    from evenkeel.model import Request

_PART = "a part of this Evenkeel stack"
FOUND = f"{_PART}, which never changes its own parts: its template and parameters must be right"
"""The reason why a finding about a part of this stack is only announced."""
WEAKENED = f"{_PART}, changed by a call that CloudFormation did not make; Evenkeel never changes its own parts"
"""The reason if someone other than CloudFormation made the call that caused the finding."""


def weakened(request: Request) -> bool:
    """Return whether a call that CloudFormation did not make caused a request.

    A run, a sweep, a tag change and the findings of AWS Config and Security Hub name no caller and do not count.
    """
    return request.cause.origin == "cloudtrail" and not by_cloudformation(request.actor)


def about_own_part(record: EndedRecord) -> bool:
    """Return whether a record is about a finding on a part of this stack."""
    return str(record.get("detail", "")).startswith(_PART)


def about_weakening(record: EndedRecord) -> bool:
    """Return whether a record is about a part of this stack that someone other than CloudFormation changed."""
    return str(record.get("detail", "")).startswith(WEAKENED)
