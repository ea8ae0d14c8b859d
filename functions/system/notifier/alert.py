"""The subject and text of an alert for people; pure.

The text is for a phone: no columns, one fact per line, and each command alone on its line, so that it can be copied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evenkeel.audit.records import calls_of, undone
from evenkeel.cli_lines import back, changes, cli_line, companions, done
from evenkeel.events.actor import is_infrastructure_as_code, names_a_tool
from evenkeel.events.message import actor_of
from evenkeel.model import Outcome
from evenkeel.remediation.own_parts import about_own_part
from notifier.event import attributes, tampering_attributes
from notifier.next_steps import next_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenkeel.audit.record_types import ApiCall, EndedRecord, Item
    from evenkeel.model import Actor
    from notifier.next_steps import Home

_SUBJECT_LENGTH = 99  # SNS API reference, Publish: ASCII, fewer than 100 characters
_MIN_NAME = 8  # characters that still distinguish one resource from another
_LINES = 25
_LINE_BYTES = 2500  # SNS accepts 256 KB (API reference, Publish), and two lists of calls are most of the lines
_CHANGES = 10  # differences of state that are shown
_CLIENT_LENGTH = 60  # the client's libraries follow; the record has the full text
_FIX = "fix it there, too, or the next deployment sets it back."
_STACK = "aws:cloudformation:stack-name"  # only CloudFormation can set it (CloudFormation user guide, "Resource tag")
_TAG_LENGTH = 80  # a tag may have 384 characters
_NOBODY = {
    "manual": "a person by hand (CloudTrail's data events of Lambda say who)",
    "verify": "nobody: Evenkeel read the resource again",
}
"""The text for who caused an outcome that has no event, by the cause's origin."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One message. ``attributes`` are for subscriptions' filter policies; see :mod:`notifier.event`."""

    subject: str
    text: str
    attributes: dict[str, str]


def outcome(record: EndedRecord, home: Home, tags: Mapping[str, str] | None = None, unread: str = "") -> Alert:
    """Return the alert for an outcome of the stack ``home``.

    ``tags`` are the resource's; ``unread`` is the reason if they could not be read.
    """
    ended = Outcome(record["outcome"])
    facts = (
        _own_facts(record) if ended is Outcome.EXPIRING else [*_facts(record), *_template(record, tags or {}, unread)]
    )
    blocks = ([f"{record['title']}."], facts, next_steps(record, home), _aws_calls(ended, record))
    text = "\n\n".join("\n".join(_line(line) for line in block) for block in blocks if block)
    return Alert(_subject_of(record), text, attributes(record))


def _facts(record: EndedRecord) -> list[str]:
    """Return the lines with the reason, the resource, the outcome, the actor and the severity."""
    actor, cause, ended = record["actor"], record["cause"], Outcome(record["outcome"])
    who = (
        actor["principal"] or actor["owner"] or _NOBODY.get(cause.get("origin", ""), "unknown (the event names nobody)")
    )
    client = " from ".join(filter(None, (_cut(actor["user_agent"]), actor.get("source_ip"))))
    optional = {"Remains": record["remains"], "Client": client, "Decided by": record.get("approver", "")}
    extra = {name: [f"{name}: {text}"] if text else [] for name, text in optional.items()}
    return [
        f"{_label(record, ended)}: {record['reason']}",
        f"Resource: {record['resource']}",
        f"Done: {_done(record)}",
        *(_changed(record) if ended.meaning.touched else []),
        *extra["Remains"],
        f"{'Run by' if record.get('run') else 'Caused by'}: {who} with {cause['event_name']} at {cause['event_time']}",
        *extra["Client"],
        *extra["Decided by"],
        f"Severity: {record['severity']}",
        f"Record: {_record(record)}",
    ]


def _label(record: EndedRecord, ended: Outcome) -> str:
    """Return the label of the reason: what was wrong, why a person acted, or what happened to Evenkeel itself."""
    if ended is Outcome.DROPPED or undone(record):
        return "Why"
    return "What happened" if ended.meaning.about_system else "Wrong"


def _own_facts(record: EndedRecord) -> list[str]:
    """Return the lines about an exemption that ends soon; it has no actor."""
    return [
        f"Exemption: {record['reason']}",
        f"Done: {_done(record)}",
        f"Severity: {record['severity']}",
        f"Record: {_record(record)}",
    ]


def _done(record: EndedRecord) -> str:
    detail = f": {record['detail']}" if record.get("detail") and record["detail"] != record["remains"] else ""
    words = Outcome(record["outcome"]).meaning.done
    return f"{record['outcome']}, {words}{detail}" if words else f"{record['outcome']}{detail}"


def _changed(record: EndedRecord) -> list[str]:
    found = changes(record.get("before"), record.get("after"))
    more = [f"… and {len(found) - _CHANGES} more changes, in the record"] if len(found) > _CHANGES else []
    return [*(f"Change: {each}" for each in found[:_CHANGES]), *more]


def _record(record: EndedRecord) -> str:
    settings = record["settings_version"]
    return f"{record['record_id']}{f' (settings {settings})' if settings else ''}"


def _cut(client: str) -> str:
    return client if len(client) <= _CLIENT_LENGTH else f"{client[:_CLIENT_LENGTH]}…"


def _template(record: EndedRecord, tags: Mapping[str, str], unread: str) -> list[str]:
    if about_own_part(record):
        return []
    maker = _maker(actor_of(record["actor"]), tags, Outcome(record["outcome"]))
    return [
        *([f"Template: {maker}{_FIX}"] if maker else []),
        *([f"Tags: cannot be read ({unread}); they could show whether a template created it."] if unread else []),
    ]


def _maker(actor: Actor, tags: Mapping[str, str], ended: Outcome) -> str:
    """Return which template created the resource, according to its tags or client; empty if none is known.

    CloudFormation, and so CDK, tags what it creates; for other tools it is common to set a tag with their name.
    """
    if ended.meaning.about_system:
        return ""
    if _STACK in tags:
        return f"The CloudFormation stack {tags[_STACK]} created it: "
    named = (f"{key}={value}" for key, value in tags.items() if value.lower() not in {"false", "no"})
    mark = next((tag for tag in named if names_a_tool(tag)), "")
    if mark:
        return f"The tag {mark[:_TAG_LENGTH]} says that a template created it: "
    return "A template created it: " if is_infrastructure_as_code(actor) else ""


def _aws_calls(ended: Outcome, record: EndedRecord) -> list[str]:
    """Return the AWS calls with titles: those that were made or would be made, then those that undo them."""
    title = "Not called" if about_own_part(record) else done(ended)
    titled = [(title, record["calls"])]
    if ended.meaning.undoable:
        titled.append((back(ended), record["undo"]))
    lines = [line for title, calls in titled if calls for line in (f"{title}:", *_calls(calls, record["region"]))]
    others = companions(record)
    return [*lines, *([f"The same call was made for: {others}"] if others else [])]


def _calls(calls: list[ApiCall], region: str) -> list[str]:
    """Return one line per call; a long list is cut and says so."""
    shown = [cli_line(call, region) for call in calls_of(calls[:_LINES])]
    return [*shown, *([f"… and {len(calls) - _LINES} more, in the record"] if len(calls) > _LINES else [])]


def tampering(change: str, old: Item, new: Item, home: Home) -> Alert:
    """Return the alert for an audit record that was changed or removed."""
    differing = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    lines = [
        "An audit record was changed, removed or planted. Nobody may do that; treat it as an incident.",
        "",
        f"Resource: {old.get('resource')}",
        f"Record: {old.get('record_id')}",
        f"Change: {change} of {', '.join(differing) if new else 'the whole record'}",
        "Severity: CRITICAL",
        "",
        "To do: find the caller in CloudTrail's data events of the table; restore the record from its backup.",
        "What else was altered:",
        home.line("audit", "verify"),
    ]
    text = "\n".join(_line(line) for line in lines)
    return Alert(_subject("[CRITICAL] an audit record of Evenkeel was tampered with"), text, tampering_attributes(old))


def _subject_of(record: EndedRecord) -> str:
    """Return severity, outcome, control, resource, account and region; only the resource is shortened."""
    head, tail = (
        f"[{record['severity']}] {record['outcome']} {record['control']}",
        f" {record['account']} {record['region']}",
    )
    if Outcome(record["outcome"]).meaning.about_system:
        return _subject(head + tail)  # its resource is an internal id, which does not help the reader
    name = _shortened(record["resource"].split(":", 5)[-1], _SUBJECT_LENGTH - len(head) - len(tail) - 1)
    return _subject(f"{head} {name}{tail}")


def _shortened(name: str, room: int) -> str:
    """Return a resource's name; if it is too long, without its type, then with dots in its middle."""
    if len(name) <= room:
        return name
    name = re.sub(r"^[\w-]+[:/]", "", name)
    if len(name) <= room or room < _MIN_NAME:
        return name
    end = (room - 2) // 2
    return f"{name[: room - 2 - end]}..{name[-end:]}"


def _line(text: str) -> str:
    """Return a text as one line: a user agent or a tag must not be able to add lines to the alert."""
    shown = _printable(text)
    kept = shown.encode()[:_LINE_BYTES].decode(errors="ignore")
    return kept if kept == shown else f"{kept}… (cut; the record has the full text)"


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)


def _subject(text: str) -> str:
    return _printable(text).encode("ascii", "replace").decode()[:_SUBJECT_LENGTH]
