"""``evenkeel exemptions``: the live settings' exemptions with expiry, approver and the findings that each hides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text

from evenkeel import clock
from evenkeel.errors import SettingsError
from evenkeel.settings import parser
from evenkeel.settings.rules import SOON, TagsUnknownError
from evenkeel_cli.audit.reader import Reader
from evenkeel_cli.aws import resource_tags, stacks
from evenkeel_cli.aws.session import named
from evenkeel_cli.settings import comparison
from evenkeel_cli.settings.deployed import Live, missing
from evenkeel_cli.ui import arns, console
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import Console

    from evenkeel.settings.problems import DocumentPath
    from evenkeel.settings.rules import Exemption
    from evenkeel_cli.aws.resource_tags import Tags
    from evenkeel_cli.aws.stacks import Stack

_LISTED = 5  # hidden findings listed for each


class Hidden(NamedTuple):
    """Findings (``control resource``) that an exemption hides, and those that it may hide, whose tags are unknown."""

    hides: list[str]
    unknown: list[str]


def show(stack: str, region: str | None, *, as_json: bool) -> None:
    """List the exemptions, the first to expire at the top.

    Raises:
        CommandError: the live settings are not valid, or there are none although there were.
    """
    there = stacks.find(stack, region, f"list the exemptions of {named(stack)}")
    live, coming = Live(there).look()
    if live.missing:
        raise missing(there, coming)
    try:
        found = parser.parse(live.content).exemptions
    except SettingsError as error:
        raise CommandError(
            f"the live settings of {there.name} (version {live.version}) are not valid: {error}",
            f"Push valid settings: {there.line('settings', 'push', 'settings.yaml')}",
        ) from error
    now = clock.now()
    hidden, tags = _hidden(there, [each for each in found if each.in_force(now)], now)
    nothing = Hidden([], [])
    rows = [
        _described(each, hidden.get(each.where, nothing), now) for each in sorted(found, key=lambda each: each.expires)
    ]
    console.show(rows, lambda out: _table(out, rows), as_json=as_json)
    if tags.warning and not as_json:
        console.errors().print(tags.warning, style="yellow", soft_wrap=True)


def _hidden(stack: Stack, found: Sequence[Exemption], now: datetime) -> tuple[dict[DocumentPath, Hidden], Tags]:
    """Return the last month's findings that each exemption hides, and the tags that were read."""
    hidden = {each.where: Hidden([], []) for each in found}
    seen = comparison.findings(Reader(stack), now) if found else {}
    wanted = [
        subject
        for (control, _), subject in seen.items()
        if any(each.selector.tags for each in found if each.covers(control))
    ]
    tags = resource_tags.read(stack, wanted)
    for (control, arn), subject in seen.items():
        for each in found:
            if not each.covers(control):
                continue
            try:
                if each.selector.matches(tags.of(subject)):
                    hidden[each.where].hides.append(f"{control} {arn}")
            except TagsUnknownError:
                hidden[each.where].unknown.append(f"{control} {arn}")
    return hidden, tags


def _described(exemption: Exemption, hidden: Hidden, now: datetime) -> dict[str, Any]:
    return {
        "where": str(exemption.where),
        **exemption.described(),
        "days_left": (exemption.expires - now.date()).days,
        "in_force": exemption.in_force(now),
        "hides": hidden.hides,
        "unknown": hidden.unknown,
    }


def _table(out: Console, rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        out.print("No exemptions.")
        return
    console.table(out, ("until", "left", "what"), [(row["expires"], _left(row), _what(row)) for row in rows])


def _left(row: dict[str, Any]) -> Text:
    if not row["in_force"]:
        return Text("expired", style="dim")
    soon = row["days_left"] <= SOON.days
    return Text("today" if not row["days_left"] else f"{row['days_left']} d", style="yellow" if soon else "")


def _what(row: dict[str, Any]) -> Text:
    selected = [*row["resources"], *row["accounts"]]
    selected += [f"{key}={'|'.join(values)}" for key, values in row["tags"].items()]
    text = Text.assemble((", ".join(row["controls"]), "bold"), f" on {', '.join(selected)}\n")
    text.append(f"{row['reason']} ({row['approver']})")
    for finding in row["hides"][:_LISTED]:
        control, _, arn = finding.partition(" ")
        text.append(f"\nhides {control} {arns.short(arn)}", style="dim")
    more = len(row["hides"]) - _LISTED
    if more > 0:
        text.append(f"\nand {more:,} more", style="dim")
    if row["unknown"]:
        text.append(f"\nmay hide {len(row['unknown']):,} more, whose tags cannot be read", style="yellow")
    return text
