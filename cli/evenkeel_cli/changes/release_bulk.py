"""``evenkeel release --undone-since``: release every resource that a mistaken bulk undo left weak."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from evenkeel import clock
from evenkeel.plurals import plural
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
    """Check the options, before any call to AWS.

    Raises:
        CommandError: neither a control nor a time is given, or both a time and one resource.
    """
    if not control and not undone_since:
        raise CommandError("release: no control is given", "Give a control id, or --undone-since 1h.", Exit.USAGE)
    if undone_since and resource:
        message = "--undone-since cannot be combined with --resource"
        raise CommandError(message, "Leave one of them out.", Exit.USAGE)


def run(  # noqa: PLR0913 - the command's own options
    stack: str, region: str | None, control: str, since: str, *, yes: bool, as_json: bool
) -> None:
    """Release each resource that was undone since a time and is still held, the oldest first.

    Raises:
        CommandError: one of them could not be released; the others were.
    """
    now = clock.now()
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
    if as_json or not held:
        nothing = "Nothing that was undone since then is still held."
        console.show(results, lambda out: out.print(nothing), as_json=as_json)
    if troubles:
        message = f"{len(troubles)} of {len(held)} were not released: {'; '.join(troubles)}"
        raise CommandError(message, "Run the command again; released resources are skipped.")


def _one(stack: Stack, record: Record, results: list[dict[str, Any]], troubles: list[str], *, as_json: bool) -> None:
    """Release one resource; a refusal does not stop the others."""
    payload = {"release": record["control"], "resource": record["resource"]}
    try:
        found = approvals.ask(stack, record["control"], payload, as_json=as_json)
    except CommandError as error:
        troubles.append(error.message)
        return
    results += found
    if not as_json:
        approvals.show(console.results(), stack, found, sent=False)


def _question(stack: str, held: Sequence[Record]) -> str:
    counts = Counter(str(record["control"]) for record in held)
    by_control = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    resources = plural(len(held), "resource")
    return f"Release {resources} in {stack}, so that Evenkeel repairs them again ({by_control})?"
