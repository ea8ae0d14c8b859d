"""``evenkeel exemptions``: what is exempt by the live settings, until when, by whose word, and what it hides."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from evenkeel import settings
from evenkeel.errors import SettingsError
from evenkeel.rules import Subject, TagsUnknownError
from evenkeel_cli import arns, console, stacks
from evenkeel_cli.audit_reader import Reader, Wanted
from evenkeel_cli.failure import CommandError
from evenkeel_cli.settings_diff import MONTH
from evenkeel_cli.settings_live import Live

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.rules import Exemption

_LISTED = 5  # hidden findings that a person is shown of each


def show(stack: str, region: str | None, *, as_json: bool) -> None:
    """List the exemptions, the one that ends first at the top.

    Raises:
        CommandError: the live settings are not valid.
    """
    there = stacks.find(stack, region, f"list the exemptions of stack {stack}")
    live, _ = Live(there).look()
    try:
        found = settings.parse(live.content).exemptions
    except SettingsError as error:
        raise CommandError(
            f"the live settings of {stack} (version {live.version}) are not valid: {error}",
            f"Push settings that are: evenkeel settings push FILE --stack {stack}.",
        ) from error
    now = datetime.now(UTC)
    hidden = _hidden(Reader(there), found, now)
    rows = [_described(each, hidden[each.where], now) for each in sorted(found, key=lambda each: each.expires)]
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        _table(rows)


def _hidden(reader: Reader, found: Sequence[Exemption], now: datetime) -> dict[str, list[str] | None]:
    """Return which of the last month's findings each hides (``control resource``); None where tags decide."""
    hidden: dict[str, list[str] | None] = {each.where: [] for each in found}
    seen: set[tuple[str, str]] = set()
    for record in reader.newest(Wanted(now - MONTH), now) if found else ():
        key = (str(record["control"]), str(record["resource"]))
        if key in seen:
            continue
        seen.add(key)
        subject = Subject(key[1], str(record.get("account", "")), str(record.get("region", "")))
        for each in found:
            _note(hidden, each, key[0], subject)
    return hidden


def _note(hidden: dict[str, list[str] | None], exemption: Exemption, control: str, subject: Subject) -> None:
    listed = hidden[exemption.where]
    if listed is None or not exemption.covers(control):
        return
    try:
        if exemption.selector.matches(subject):
            listed.append(f"{control} {subject.arn}")
    except TagsUnknownError:
        hidden[exemption.where] = None


def _described(exemption: Exemption, hides: list[str] | None, now: datetime) -> dict[str, Any]:
    selector = exemption.selector
    return {
        "where": exemption.where,
        "controls": list(exemption.controls),
        "resources": list(selector.resources),
        "accounts": list(selector.accounts),
        "tags": {key: list(values) for key, values in selector.tags},
        "reason": exemption.reason,
        "approver": exemption.approver,
        "expires": f"{exemption.expires}",
        "days_left": (exemption.expires - now.date()).days,
        "in_force": exemption.in_force(now),
        "hides": hides if exemption.in_force(now) else [],
    }


def _table(rows: Sequence[dict[str, Any]]) -> None:
    out = console.results()
    if not rows:
        out.print("No exemptions.")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("until", no_wrap=True)
    table.add_column("left", no_wrap=True)
    table.add_column("what", overflow="fold", ratio=1)
    for row in rows:
        table.add_row(row["expires"], _left(row), _what(row))
    out.print(table)


def _left(row: dict[str, Any]) -> Text:
    if not row["in_force"]:
        return Text("expired", style="dim")
    soon = row["days_left"] <= 14  # noqa: PLR2004 - as the engine announces it
    return Text("today" if not row["days_left"] else f"{row['days_left']} d", style="yellow" if soon else "")


def _what(row: dict[str, Any]) -> Text:
    selected = [*row["resources"], *row["accounts"]]
    selected += [f"{key}={'|'.join(values)}" for key, values in row["tags"].items()]
    text = Text.assemble((", ".join(row["controls"]), "bold"), f" on {', '.join(selected)}\n")
    text.append(f"{row['reason']} ({row['approver']})")
    if row["hides"] is None:
        text.append("\nwhat it hides depends on tags", style="dim")
    for finding in (row["hides"] or [])[:_LISTED]:
        control, _, arn = finding.partition(" ")
        text.append(f"\nhides {control} {arns.short(arn)}", style="dim")
    more = len(row["hides"] or []) - _LISTED
    if more > 0:
        text.append(f"\nand {more:,} more", style="dim")
    return text
