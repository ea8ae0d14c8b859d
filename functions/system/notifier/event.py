"""The machine-readable forms of a record: the attributes of the SNS message and the event on the bus; pure.

``docs/alerts.md`` is generated from these tables.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from evenkeel.versions import EVENT

if TYPE_CHECKING:
    from evenkeel.audit.record_types import EndedRecord, Item

ATTRIBUTES = {
    "kind": "`Outcome`, or `Tampering` if an audit record was changed, removed or planted",
    "severity": "`LOW`, `MEDIUM`, `HIGH` or `CRITICAL`; tampering is always `CRITICAL`",
    "record_id": "the audit record's id; a repeated alert has the same one",
    "control": "the control's id, e.g. `kms-key-rotation`; not set for tampering",
    "outcome": "one of the outcomes below that are announced; not set for tampering",
    "account": "the resource's account; not set for tampering",
    "region": "the resource's region; not set for tampering",
}
"""Attributes of an alert, for subscriptions' filter policies, with their meanings."""


class Field(NamedTuple):
    """A field of the event on the bus."""

    kind: type
    """The type of its value in JSON: ``str``, ``int``, ``list`` or ``dict``."""
    meaning: str
    always: bool = True
    """Whether every outcome has it; an event about tampering may lack any field."""


FIELDS = {
    "schema_version": Field(int, f"version of this schema: {EVENT.version}"),
    "record_id": Field(str, "the audit record's id; a repeated event has the same one"),
    "plan_id": Field(str, "the record that was written before the first call; empty if nothing was called"),
    "control": Field(str, "the control's id, e.g. `kms-key-rotation`"),
    "resource": Field(str, "the resource's ARN"),
    "account": Field(str, "its account"),
    "region": Field(str, "its region"),
    "outcome": Field(str, "one of the outcomes below that are announced"),
    "severity": Field(str, "`LOW`, `MEDIUM`, `HIGH` or `CRITICAL`"),
    "mode": Field(str, "the control's mode for this resource: `notify`, `approve` or `enforce`"),
    "reason": Field(str, "what was wrong"),
    "detail": Field(str, "why it has this outcome; may be empty"),
    "remains": Field(str, "what is still wrong afterwards; may be empty"),
    "calls": Field(list, "the API calls: `service`, `operation` (boto3's names) and `params`"),
    "undo": Field(list, "the API calls that undo them, in the same form"),
    "residue": Field(str, "what undo cannot restore; may be empty"),
    "actor": Field(
        dict,
        "who caused it: `principal`, `kind` (CloudTrail's `userIdentity.type`, or `IdentityCenter` for a session that"
        " IAM Identity Center made), `owner`, `user_agent`, `invoked_by`, `source_ip`",
    ),
    "cause": Field(dict, "`origin`, `event_id`, `event_name`, `event_time`, `finding_id`, `product_arn`"),
    "at": Field(str, "when it ended: ISO 8601, UTC"),
    "settings_version": Field(str, "the settings that were in force; may be empty"),
    "sent_with": Field(dict, "the other plans that the same call carried out: record ids by control", always=False),
    "approver": Field(str, "who approved or released it", always=False),
    "run": Field(str, "the run that it belongs to, if a person ran the control", always=False),
    "left_out": Field(
        list, "fields left out because they are too large for an event; the audit record has them", always=False
    ),
}
"""Fields of an event's ``detail``, in their order. States are only in the audit table."""
SOURCE = "evenkeel"
DETAIL_TYPES = {kind: f"Evenkeel {kind}" for kind in ("Outcome", "Tampering")}
# An entry has less than 256 KB (EventBridge user guide, "Calculating PutEvents event entry size").
_EVENT_BYTES = 200_000
_ATTRIBUTE_LENGTH = 256  # SNS does not accept an empty one, either (developer guide, "Message attributes")


def attributes(record: EndedRecord) -> dict[str, str]:
    """Return the attributes of an outcome's alert."""
    found = {
        "severity": record["severity"],
        "record_id": record["record_id"],
        "control": record["control"],
        "outcome": record["outcome"],
        "account": record["account"],
        "region": record["region"],
    }
    return {"kind": "Outcome"} | {name: text[:_ATTRIBUTE_LENGTH] or "-" for name, text in found.items()}


def tampering_attributes(record: Item) -> dict[str, str]:
    """Return the attributes of an alert about tampering: none that an attacker could choose, except the record's id."""
    return {"kind": "Tampering", "severity": "CRITICAL", "record_id": str(record.get("record_id"))}


def detail(record: Item) -> str:
    """Return the event's detail as JSON; if it is too large for the bus, ``left_out`` lists the missing fields."""
    known = {name: record[name] for name in FIELDS if name in record and name != "left_out"}
    kept: dict[str, Any] = {**known, "schema_version": EVENT.version}
    by_size = sorted(kept, key=lambda name: len(_json(kept[name]).encode()))
    while len(_json(kept).encode()) > _EVENT_BYTES:
        largest = by_size.pop()
        del kept[largest]
        kept["left_out"] = [*kept.get("left_out", ()), largest]
    return _json(kept)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
