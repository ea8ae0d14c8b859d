"""What on-call reads: the subject, text and attributes of an alert; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenkeel.identity import is_infrastructure_as_code, names_a_tool
from evenkeel.model import Actor, Call, Outcome
from evenkeel.render import back, cli_line, companions, done

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenkeel.records import Record

EVENT_TEXTS = (
    *("record_id", "step", "control", "title", "resource", "account", "region", "severity", "mode", "reason"),
    *("remains", "residue", "at", "settings_version", "previous"),
)
"""What every record holds as text."""
EVENT_FIELDS = (
    *("schema_version", "record_id", "plan_id", "control", "resource", "account", "region", "outcome", "severity"),
    *("mode", "reason", "detail", "remains", "calls", "undo", "residue", "actor", "cause", "at", "settings_version"),
    *("sent_with", "approver", "run"),
)
"""What of a record goes to the bus; the states stay in the audit table."""
_SUBJECT_LENGTH = 100  # SNS API reference, Publish: ASCII, fewer than 100 characters
_LINES = 25
_LINE_BYTES = 2500  # SNS takes 256 KB (API reference, Publish), and two lists of calls are most of the lines
# An entry has less than 256 KB (EventBridge user guide, "Calculating PutEvents event entry size").
_EVENT_BYTES = 200_000
_ATTRIBUTE_LENGTH = 256  # an empty one SNS does not take, either (developer guide, "Message attributes")
_CLIENT_LENGTH = 60  # what follows is the client's libraries; the record keeps it whole
_MEND = "mend it there, too, or the next deployment sets it back."
_STACK = "aws:cloudformation:stack-name"  # nobody else can write it (CloudFormation user guide, "Resource tag")
_TAG_LENGTH = 80  # a tag may have 384 characters
ITS_OWN = frozenset({
    *(Outcome.EXPIRING, Outcome.DROPPED, Outcome.REDRIVEN, Outcome.PAUSED, Outcome.RESUMED, Outcome.PUSHED),
    *(Outcome.STOPPED, Outcome.OPENED, Outcome.ENDED),
})  # fmt: skip
"""What is about Evenkeel itself: there is no resource whose tags could say anything."""
_NOBODY = {
    "manual": "a person by hand (CloudTrail's data events of Lambda say who)",
    "verify": "nobody just now, it was looked at again",
}
"""Who caused what no event tells of, by the origin."""
_NEXT = {
    Outcome.AWAITING: "evenkeel approve or reject this record; whoever caused it cannot.",
    Outcome.HELD: "Nothing was changed. Find out what goes on, then evenkeel release CONTROL --resource ARN.",
    Outcome.REJECTED: "Evenkeel leaves the resource alone for 30 days.",
    Outcome.ANNOUNCED: "Nothing was changed. Run the calls above, or set the control's mode to enforce.",
    Outcome.DENIED: "Its owner's policy forbids the change. Ask them to allow it, or exempt the resource.",
    Outcome.FAILED: "Look at the resource: it may not be as it should, nor as it was.",
    Outcome.UNDONE: "Evenkeel leaves the resource alone for 30 days, or until evenkeel release CONTROL --resource ARN.",
    Outcome.DROPPED: "What the message asked for is not done any more. Run the control by hand if that was wrong.",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """One message. ``attributes`` are for subscriptions' filter policies."""

    subject: str
    text: str
    attributes: dict[str, str]


def outcome(record: Record, tags: Mapping[str, str] | None = None, unread: str = "") -> Alert:
    """Return the alert for an outcome; ``tags`` are its resource's, ``unread`` says why they are not known."""
    ended = Outcome(record["outcome"])
    if ended is Outcome.EXPIRING:
        return _expiring(record)
    actor, cause = record["actor"], record["cause"]
    who = actor["principal"] or actor["owner"] or _NOBODY.get(cause.get("origin", ""), "not told by the event")
    lines = [
        _line("", f"{record['title']}.").strip(),
        "",
        _line("Resource", record["resource"]),
        _line("Finding", record["reason"]),
        _line("Outcome", f"{ended}{_detail(record)}"),
        *_calls(done(ended), record["calls"], record["region"]),
        *([_line("In one call", f"with {others}")] if (others := companions(record)) else []),
        *(
            _calls(back(ended), record["undo"], record["region"])
            if ended in {Outcome.REMEDIATED, Outcome.PARTIAL}
            else []
        ),
        *([_line("Not undone", record["residue"])] if record["residue"] and ended is not Outcome.ANNOUNCED else []),
        *([_line("Remains", record["remains"])] if record["remains"] else []),
        _line("Caused by", f"{who} with {cause['event_name']} at {cause['event_time']}"),
        *([_line("Decided by", record["approver"])] if "approver" in record else []),
        *([_line("Client", _cut(actor["user_agent"]))] if actor["user_agent"] else []),
        *([_line("Next", _next(ended, record))] if ended in _NEXT else []),
        *([_line("Template", maker + _MEND)] if (maker := _maker(Actor(**actor), tags or {}, ended)) else []),
        *([_line("Tags", f"cannot be read ({unread}); they could say whether a template made it.")] if unread else []),
        _line("Record", _record(record)),
    ]
    return Alert(_outcome_subject(record), "\n".join(lines), _outcome_attributes(record))


def _record(record: Record) -> str:
    settings = record["settings_version"]
    return f"{record['record_id']}{f' (settings {settings})' if settings else ''}"


def _cut(client: str) -> str:
    return client if len(client) <= _CLIENT_LENGTH else f"{client[:_CLIENT_LENGTH]}…"


def _next(ended: Outcome, record: Record) -> str:
    by_hand = ended is Outcome.ANNOUNCED and not record["calls"]
    return "Nothing was changed. Mend it by hand." if by_hand else _NEXT[ended]


def _maker(actor: Actor, tags: Mapping[str, str], ended: Outcome) -> str:
    """Say which template made the resource, by its tags or its client; empty where nothing says that one did.

    CloudFormation (and CDK with it) marks what it makes; for other tools a tag that names them is a custom.
    """
    if ended in ITS_OWN:
        return ""
    if _STACK in tags:
        return f"The CloudFormation stack {tags[_STACK]} made it: "
    named = (f"{key}={value}" for key, value in tags.items() if value.lower() not in {"false", "no"})
    mark = next((tag for tag in named if names_a_tool(tag)), "")
    if mark:
        return f"The tag {mark[:_TAG_LENGTH]} says that a template made it: "
    return "A template made it: " if is_infrastructure_as_code(actor) else ""


def _expiring(record: Record) -> Alert:
    """Return the alert for an exemption that ends soon; nobody caused it, and nothing is called."""
    lines = [
        _line("", f"{record['title']}.").strip(),
        "",
        _line("Exemption", record["reason"]),
        _line("Outcome", f"{record['outcome']}{_detail(record)}"),
        _line("Next", "Prolong it in the settings, or let it end: the controls then act on what it exempts."),
        _line("Record", f"{record['record_id']} (settings {record['settings_version']})"),
    ]
    return Alert(_outcome_subject(record), "\n".join(lines), _outcome_attributes(record))


def _outcome_subject(record: Record) -> str:
    what = f"{record['outcome']} {record['control']} in {record['account']} {record['region']}"
    return _subject(f"[{record['severity']}] {what}")


def _outcome_attributes(record: Record) -> dict[str, str]:
    names = ("control", "outcome", "severity", "account", "region", "record_id")
    return {**{name: record[name][:_ATTRIBUTE_LENGTH] or "-" for name in names}, "kind": "Outcome"}


def event(record: Record) -> str:
    """Return what the bus is told, as JSON; of what it would refuse, ``left_out`` names the fields not there."""
    detail = {name: record[name] for name in EVENT_FIELDS if name in record}
    by_size = sorted(detail, key=lambda name: len(_json(detail[name]).encode()))
    while len(_json(detail).encode()) > _EVENT_BYTES:
        largest = by_size.pop()
        del detail[largest]
        detail["left_out"] = [*detail.get("left_out", ()), largest]
    return _json(detail)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def tampering(change: str, old: Record, new: Record) -> Alert:
    """Return the alert for an audit record that was changed or removed."""
    differing = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    lines = [
        "An audit record was changed, removed or planted. Nobody may do that; treat it as an incident.",
        "",
        _line("Resource", str(old.get("resource"))),
        _line("Record", str(old.get("record_id"))),
        _line("Change", f"{change} of {', '.join(differing) if new else 'the whole record'}"),
        _line("Next", "Find the caller in CloudTrail's data events of the table; restore the record from its backup."),
    ]
    attributes = {"kind": "Tampering", "severity": "CRITICAL", "record_id": str(old.get("record_id"))}
    return Alert(_subject("[CRITICAL] an audit record of Evenkeel was tampered with"), "\n".join(lines), attributes)


def _detail(record: Record) -> str:
    return f": {record['detail']}" if record.get("detail") and record["detail"] != record["remains"] else ""


def _calls(label: str, calls: list[dict[str, object]], region: str) -> list[str]:
    """Return one line a call, the first with the label; a long list is cut and says so."""
    shown = [cli_line(Call(**call), region) for call in calls[:_LINES]]  # type: ignore[arg-type] # our own JSON
    if len(calls) > _LINES:
        shown.append(f"… and {len(calls) - _LINES} more, in the record")
    return [_line(label if number == 0 else "", text) for number, text in enumerate(shown)]


def _line(label: str, text: str) -> str:
    """Return one line, whatever the text holds: a client's or a tag's words must not pass for lines of ours."""
    shown = _printable(text)
    kept = shown.encode()[:_LINE_BYTES].decode(errors="ignore")
    return f"{label:<12}{kept}{'' if kept == shown else '… (cut; the record has it whole)'}"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _subject(text: str) -> str:
    return _printable(text).encode("ascii", "replace").decode()[: _SUBJECT_LENGTH - 1]
