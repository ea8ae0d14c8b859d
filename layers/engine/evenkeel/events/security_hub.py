"""Security Hub CSPM's "Security Hub Findings - Imported" events: findings that trigger, their resources and notes.

The fields are those of the AWS Security Finding Format (ASFF; Security Hub API reference, ``AwsSecurityFinding``). The
other Security Hub's "Findings Imported V2" events are of another format (OCSF) and are not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evenkeel.errors import MalformedPayloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.model import Place

FINDINGS = "Security Hub Findings - Imported"
ORIGIN = "securityhub"
"""The ``origin`` of a cause that is a finding."""
WRITER = "evenkeel"
"""The author of Evenkeel's notes (``Note.UpdatedBy``)."""
BEFORE = " | before: "
"""Separates Evenkeel's text in a note from the earlier text by someone else."""
MAX_NOTE = 512
"""Characters of a note's text (Security Hub API reference, ``Note``)."""
_MAX_ID, _MAX_PRODUCT = 512, 2048  # characters; Security Hub API reference, AwsSecurityFinding
_ACCOUNT = "AWS::::Account:"  # the resource id of a finding about a whole account
# RDS's findings may name a database by its resource id, with a type that no ARN of RDS has: "dbcluster/cluster-AB12…",
# "dbinstance:db-AB12…". The type is replaced by the ARN's; the control finds the name by the id.
_RDS_ID = re.compile(r"(arn:[^:]+:rds:[^:]*:[^:]*):db(?:(cluster)|instance)[:/]([A-Za-z0-9-]+)")


def wanted(ids: Sequence[str], account: str, region: str) -> dict[str, Any]:
    """Return the pattern of a finding that triggers: an open failure of one of these controls in this account.

    An administrator account also gets its members' findings, and an aggregation region those of linked regions; both
    are excluded.
    """
    return {
        "AwsAccountId": [account],
        "Region": [region],
        "RecordState": ["ACTIVE"],
        "Workflow": {"Status": ["NEW"]},
        "Compliance": {"Status": ["FAILED"], "SecurityControlId": sorted(ids)},
    }


def open_findings(ids: Sequence[str], detail: dict[str, Any], place: Place) -> list[dict[str, Any]]:
    """Return the findings of an event that match the pattern for these ids, each by itself.

    EventBridge also delivers an event if several of its findings match the pattern only together.

    Raises:
        MalformedPayloadError: the event has no list of findings.
    """
    findings = detail.get("findings")
    if not isinstance(findings, list) or not all(isinstance(finding, dict) for finding in findings):
        raise MalformedPayloadError(f"{FINDINGS}: no list of findings")
    form = wanted(ids, place.account, place.region)
    return [finding for finding in findings if _has(form, finding)]


def _has(form: dict[str, Any], given: Any) -> bool:
    if not isinstance(given, dict):
        return False
    return all(
        _has(part, given.get(name)) if isinstance(part, dict) else given.get(name) in part
        for name, part in form.items()
    )


def identity(finding: dict[str, Any]) -> tuple[str, str]:
    """Return the identifiers of a finding in Security Hub, ``(Id, ProductArn)``.

    Raises:
        MalformedPayloadError: one is missing, or longer than Security Hub allows.
    """
    names = finding.get("Id"), finding.get("ProductArn")
    for name, limit in zip(names, (_MAX_ID, _MAX_PRODUCT), strict=True):
        if not isinstance(name, str) or not 0 < len(name) <= limit:
            raise MalformedPayloadError(f"{FINDINGS}: a finding without a usable Id or ProductArn")
    return str(names[0]), str(names[1])


def resources(finding: dict[str, Any], template: str, place: Place) -> list[str]:
    """Return the ARNs or ids of a finding's resources.

    A finding about a whole account has no resource. Its account stands for the resource if the control has one resource
    per account and region, that is, if its ARN template has no ``{id}``.
    """
    found = finding.get("Resources")
    names = [each.get("Id") for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    ids = [_arn(name) for name in names if isinstance(name, str)]
    if template and "{id}" not in template:
        return [place.account for name in ids if name == f"{_ACCOUNT}{place.account}"]
    return [name for name in ids if not name.startswith(_ACCOUNT)]


def _arn(name: str) -> str:
    """Return an RDS resource's ARN in the form that RDS uses; any other name unchanged."""
    found = _RDS_ID.fullmatch(name)
    return f"{found[1]}:{found[2] or 'db'}:{found[3]}" if found else name


def others_note(finding: dict[str, Any]) -> str:
    """Return the note that someone else put on a finding, with their name, so that it can be kept; empty without one.

    A finding has one note, and a new one replaces the old one (Security Hub user guide, "BatchUpdateFindings").
    """
    note = finding.get("Note")
    if not isinstance(note, dict) or not isinstance(note.get("Text"), str):
        return ""
    text = " ".join(note["Text"].split())
    if note.get("UpdatedBy") == WRITER:
        return text.partition(BEFORE)[2]
    return f"{note.get('UpdatedBy') or 'somebody'}: {text}"[: 2 * MAX_NOTE] if text else ""
