"""``evenkeel audit list`` and ``evenkeel audit show``: what Evenkeel did, to what, why, and how to undo it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from rich.text import Text

from evenkeel import clock
from evenkeel.audit.records import calls_of, chained, undone
from evenkeel.audit.system_records import PARTS
from evenkeel.cli_lines import back, cli_line, companions, done
from evenkeel.control.registry import all_controls
from evenkeel.errors import BrokenChainError
from evenkeel.model import Outcome
from evenkeel.plurals import plural
from evenkeel_cli.audit.reader import KINDS, Reader, Wanted, kind
from evenkeel_cli.aws import stacks
from evenkeel_cli.aws.session import named
from evenkeel_cli.ui import arns, console, times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import Console

    from evenkeel.audit.record_types import EndedRecord, Record
    from evenkeel.events.message import ActorForm
    from evenkeel_cli.aws.stacks import Stack

UNDOABLE = tuple(each.value for each in Outcome if each.meaning.undoable)
"""Outcomes of changes that can be undone."""
STYLES = {each.value: each.meaning.colour for each in Outcome}
_PREVENTED = frozenset(each for each in Outcome if each.meaning.prevented)
DEFAULT_SINCE = "24h"
WAITING_SINCE = "30d"
"""Default of --since for records that wait for approval: longer than any of them waits."""


def wanted(  # noqa: PLR0913, PLR0917 - the options of a listing
    resource: str, control: str, outcomes: Sequence[str], since: str, now: datetime, actor: str = ""
) -> Wanted:
    """Return the filter for a listing.

    Raises:
        CommandError: a control, outcome, ARN or time is not valid.
    """
    if resource.startswith("arn:"):
        arns.check(resource)
    if control:
        arns.check_one_of("--control", control, [*all_controls(), *(part.id for part in PARTS)])
    for outcome in outcomes:
        arns.check_one_of("--outcome", outcome.upper(), list(KINDS))
    named = tuple(each.upper() for each in outcomes)
    default = WAITING_SINCE if named == (Outcome.AWAITING,) else DEFAULT_SINCE
    return Wanted(times.since(since or default, now), control, named, resource, actor)


def listing(stack: str, region: str | None, asked: Wanted, limit: int, *, as_json: bool) -> None:
    """Print the newest records that match, at most ``limit``; JSON has the whole records.

    Raises:
        CommandError: ``asked.resource`` is a name that matches no resource, or several.
    """
    reader = Reader(stacks.find(stack, region, f"list the audit records of {named(stack)}"))
    now = clock.now()
    if asked.resource and not asked.resource.startswith("arn:"):
        asked = replace(asked, resource=reader.named(asked.resource, asked.since, now))
    found = list(islice(reader.chosen(asked, now), limit + 1))
    more, found = len(found) > limit, found[:limit]
    console.show(found, lambda out: _table(out, found), as_json=as_json)
    if more:
        newest = plural(limit, "record")
        console.errors().print(f"Only the newest {newest}. There are more: give --limit a larger number.")
    elif not found and not as_json:
        console.errors().print(f"No such records since {times.shown(asked.since)} UTC; --since looks further back.")


def _table(out: Console, found: Sequence[Record]) -> None:
    if not found:
        return
    rows = [
        (
            times.shown(times.of_record(record["record_id"])),
            Text(kind(record), style=STYLES.get(kind(record), "")),
            Text(str(record["record_id"]), style="dim"),
            Text(str(record.get("control")), style="bold"),
            arns.short(record["resource"]),
            _name(record),
            _why(record),
        )
        for record in found
    ]
    console.table(out, ("time (UTC)", "outcome", "record", "control", "resource", "who", "reason"), rows)


def _name(record: Record) -> str:
    """Return who caused it, else who approved or released it, in one word: what follows the account in the ARN."""
    actor = record.get("actor") or {}
    principal = actor.get("principal") or actor.get("owner") or record.get("approver") or "-"
    return str(principal).rpartition(":")[2]


def _why(record: Record) -> str:
    """Return the reason and, if nothing was repaired, what prevented it."""
    prevented = record.get("detail") if record.get("outcome") in _PREVENTED else ""
    return "; ".join(" ".join(str(part).split()) for part in (record.get("reason", ""), prevented) if part)


def show(stack: str, region: str | None, record_id: str, resource: str, *, as_json: bool) -> None:
    """Print one record in full.

    Raises:
        CommandError: there is no record with that id.
    """
    if resource:
        arns.check(resource)
    there = stacks.find(stack, region, f"show an audit record of {named(stack)}")
    reader = Reader(there)
    record = reader.record(record_id, resource)
    place = _place(reader, record)
    console.show({**record, "chain": place}, lambda out: _whole(out, record, place, there), as_json=as_json)


def _place(reader: Reader, record: Record) -> dict[str, Any]:
    """Return a record's place in the chain of its control and resource: ``{"position", "length", "trouble"}``."""
    arn, control = str(record["resource"]), str(record.get("control", ""))
    found = [each for each in reader.all_of(arn) if each.get("control") == control]
    head = reader.heads(arn, [control]).get((control, arn), {}).get("head", "")
    try:
        order, trouble = chained(found, head, arn, clock.now()), ""
    except BrokenChainError as error:
        order, trouble = found, str(error)
    except KeyError as error:
        order, trouble = found, f"a record has no {error}; evenkeel audit verify names the record"
    position = next((n for n, each in enumerate(order, 1) if each["record_id"] == record["record_id"]), None)
    return {"position": position, "length": len(order), "trouble": trouble}


def _whole(out: Console, found: Record, place: dict[str, Any], stack: Stack) -> None:
    record = cast("EndedRecord", found)  # a plan has some of its fields; a planted record may have none
    outcome = kind(record)
    out.print(
        Text.assemble((outcome, STYLES.get(outcome) or "bold"), f"  {record.get('title') or record.get('control')}")
    )
    actor, cause = record.get("actor") or {}, record.get("cause") or {}
    facts: dict[str, str | Text] = {
        "record": record["record_id"],
        "resource": record["resource"],
        "control": f"{record.get('control')} ({record.get('severity', '')}, mode {record.get('mode', '')})",
        "when": record.get("at", ""),
        "reason": record.get("reason", ""),
        "remains": record.get("remains", ""),
        "detail": record.get("detail", ""),
        "who": _who(actor),
        "waited": record.get("waited", ""),
        "decided by": record.get("approver", ""),
        "cause": " ".join(filter(None, (cause.get("origin"), cause.get("event_name"), cause.get("event_time")))),
        "state": difference(record.get("before"), record.get("after")),
        "residue": record.get("residue", ""),
        "plan": record.get("plan_id", ""),
        "in one call with": companions(record),
        "undoes": undone(record),
        "settings": record.get("settings_version", ""),
        "chain": _chain(place),
    }
    console.table(out, (), [(Text(f"  {name}", style="dim"), value) for name, value in facts.items() if value])
    if outcome in UNDOABLE and record.get("undo") and "UndoFunctionName" in stack.outputs:
        commands(out, "undo, and keep it so for 30 days", [stack.line("undo", record["record_id"])])
    parts = [(done(outcome), record.get("calls")), *([] if undone(record) else [(back(outcome), record.get("undo"))])]
    for title, calls in parts:
        lines = [cli_line(call, record.get("region", "")) for call in calls_of(calls or [])]
        if lines:
            commands(out, f"{title[0].lower()}{title[1:]}", lines)


def _who(actor: ActorForm) -> str:
    """Return the actor, with client and address if the event has them."""
    client = actor.get("invoked_by") or actor.get("user_agent", "").partition(" ")[0]
    parts = (f"through {client}" if client else "", f"from {actor['source_ip']}" if actor.get("source_ip") else "")
    return " ".join(filter(None, (actor.get("principal") or actor.get("kind"), *parts)))


def _chain(place: dict[str, Any]) -> Text:
    position = f"{place['position']} of {place['length']}" if place["position"] else "not in its chain"
    return Text.assemble(position, (f"  {place['trouble']}", "bold red") if place["trouble"] else "")


def commands(out: Console, title: str, lines: Sequence[str]) -> None:
    """Print AWS CLI lines below a title, each on one line of its own so that it can be copied."""
    out.print(f"  {title}", style="dim")
    for line in lines:
        out.print(f"    {line}", soft_wrap=True)


def difference(before: Any, after: Any) -> Text:
    """Return a state line by line, as a diff; the proof may have read fewer parts than the finding."""
    one, two = (value if isinstance(value, dict) else {} for value in (before, after))
    text = Text(no_wrap=True)
    for name in sorted({*one, *two}):
        was, now = (json.dumps(state.get(name), sort_keys=True, ensure_ascii=False) for state in (one, two))
        if name not in one or name not in two or was == now:
            text.append(f"  {name}: {was if name in one else now}\n", style="dim")
        else:
            text.append(f"- {name}: {was}\n", style="red").append(f"+ {name}: {now}\n", style="green")
    text.rstrip()
    return text
