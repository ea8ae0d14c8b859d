"""``evenkeel release --undone-since``: have what a wrong wave of undos left weak repaired again, in one go."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evenkeel_cli.audit import view
from evenkeel_cli.audit.reader import Reader
from evenkeel_cli.aws import stacks
from evenkeel_cli.changes import approvals
from evenkeel_cli.ui import console, prompts
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evenkeel.audit.record_types import Record
    from evenkeel_cli.aws.stacks import Stack


def check(control: str, resource: str, undone_since: str) -> None:
    """Refuse what cannot be meant, before AWS is asked.

    Raises:
        CommandError: neither a control nor a time is given, or both a time and one resource.
    """
    if not control and not undone_since:
        raise CommandError("release: of which control?", "Give its id, or --undone-since 1h.", Exit.USAGE)
    if undone_since and resource:
        message = "--undone-since and --resource are given: one resource needs no time"
        raise CommandError(message, "Leave one of them out.", Exit.USAGE)


def run(  # noqa: PLR0913 - the command's own options
    stack: str, region: str | None, control: str, since: str, *, yes: bool, as_json: bool
) -> None:
    """Release each resource that was undone since a time and is still held for it, the oldest first.

    Raises:
        CommandError: one of them could not be released; the others are.
    """
    now = datetime.now(UTC)
    asked = view.wanted("", control, ("UNDONE",), since, now)
    there = stacks.find(stack, region, "release what was undone")
    reader = Reader(there)
    held = [record for record in reader.chosen(asked, now) if reader.holds(record, now)][::-1]
    if held:
        prompts.confirm(_question(there.name, held), "nothing was released", yes=yes)
    results: list[dict[str, Any]] = []
    troubles: list[str] = []
    for record in held:
        _one(there, record, results, troubles, as_json=as_json)
    if as_json:
        sys.stdout.write(json.dumps(results) + "\n")
    elif not held:
        console.results().print("Nothing that was undone since then is still held.")
    if troubles:
        message = f"{len(troubles)} of {len(held)} were not released: {'; '.join(troubles)}"
        raise CommandError(message, "Run the command again: what was released is left out.")


def _one(stack: Stack, record: Record, results: list[dict[str, Any]], troubles: list[str], *, as_json: bool) -> None:
    """Release one resource; what refuses does not stop the others."""
    payload = {"release": record["control"], "resource": record["resource"]}
    try:
        found = approvals.ask(stack, record["control"], payload, as_json=as_json)
    except CommandError as error:
        troubles.append(error.message)
        return
    results += found
    if not as_json:
        approvals.show(stack, found, sent=False)


def _question(stack: str, held: Sequence[Record]) -> str:
    counts = Counter(str(record["control"]) for record in held)
    told = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    resources = "1 resource" if len(held) == 1 else f"{len(held):,} resources"
    return f"Have {resources} that were undone looked at again in {stack}, and repaired ({told})?"
