"""``evenkeel undo --since``: take a wave of changes back, newest first; what was taken back already is skipped."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel.audit.records import calls_of, undone
from evenkeel.cli_lines import cli_line
from evenkeel_cli.audit import view
from evenkeel_cli.audit.reader import Reader, Wanted, kind
from evenkeel_cli.audit.view import UNDOABLE
from evenkeel_cli.aws import functions, stacks
from evenkeel_cli.aws.session import named
from evenkeel_cli.changes.undo_command import Undoing
from evenkeel_cli.ui import arns, console, prompts
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from evenkeel.audit.record_types import Record
    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.changes.undo_command import How

_PREVIEWED = 10  # changes that are shown before the question


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one change of a wave."""

    record: Record
    outcome: str
    """``UNDONE``, ``FAILED``, ``REFUSED``, ``OVERTAKEN`` (there is a newer repair), or ``UNKNOWN``: the function's
    answer was lost. Of a dry run: ``WOULD_UNDO`` or ``WOULD_REFUSE``."""
    record_id: str = ""
    trouble: str = ""

    def described(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "record": self.record["record_id"], "resource": self.record["resource"], "control": self.record["control"],
            "outcome": self.outcome, "record_id": self.record_id, "trouble": self.trouble or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wave:
    """The repairs that a person asked for."""

    left: list[Record]
    """Whole records still to be taken back, the newest first."""
    already: int
    """How many were taken back already."""
    overtaken: list[Record]
    """Those that the same control repaired again later: taking the later one back is enough."""

    @property
    def skipped(self) -> str:
        """What is left out, in words; empty where nothing is."""
        parts = (
            f"{self.already:,} undone already" if self.already else "",
            f"{len(self.overtaken):,} overtaken by a newer repair" if self.overtaken else "",
        )
        return ", ".join(filter(None, parts))


def is_wave(record: str, since: str, control: str, resource: str) -> bool:
    """Say which of the command's two forms was typed.

    Raises:
        CommandError: both, or neither.
    """
    if record and (since or control):
        raise CommandError("undo: a record and --since or --control are given", "Give one or the other.", Exit.USAGE)
    if not record and not since:
        given = " with --control" if control else " with --resource" if resource else ""
        message = f"undo{given}: which change? Neither a record nor --since is given"
        raise CommandError(message, "Give a record's id (evenkeel audit list shows them), or --since 1h.", Exit.USAGE)
    return bool(since)


def run(stack: str, region: str | None, since: str, control: str, resource: str, how: How) -> None:  # noqa: PLR0913, PLR0917 - the command's own options
    """Take all changes since a time back.

    Raises:
        CommandError: one of them was refused or failed; the others were taken back.
    """
    if resource:
        arns.check(resource)
    now = datetime.now(UTC)
    asked = view.wanted(resource, control, (), since, now)
    there = stacks.find(stack, region, f"undo changes of {named(stack)}")
    undoing = Undoing(there, console.teller(show=not how.as_json))
    wave = _wave(Reader(there), asked, now, force=how.force)
    left = wave.left
    out, err = console.results(), console.errors()
    if not left:
        _tell(there, [], wave, how)
        return
    if not how.as_json:
        _preview(err, wave)
    if not how.dry_run:
        prompts.confirm(_question(there.name, left), "nothing was undone", yes=how.yes)
    ended: list[Ended] = []
    try:
        for number, record in enumerate(left, 1):
            ended.append(_one(undoing, record, force=how.force, dry_run=how.dry_run))
            if not how.as_json:
                _line(out, ended[-1], number, len(left))
    except (KeyboardInterrupt, CommandError) as stop:
        if isinstance(stop, CommandError) and not ended:
            raise
        if ended:
            _tell(there, ended, wave, how)
        raise _stopped(there, asked, len(ended), len(left), stop) from None
    _tell(there, ended, wave, how)
    _conclude(ended, dry_run=how.dry_run)


def _stopped(stack: Stack, asked: Wanted, ended: int, number: int, stop: BaseException) -> CommandError:
    """Return the error for a wave that was interrupted, by a person or by AWS."""
    why = f": {stop.message}. {stop.next_step}" if isinstance(stop, CommandError) else ""
    since = f"{asked.since:%Y-%m-%dT%H:%M:%SZ}"
    again = stack.line("undo", since=since, control=asked.control, resource=asked.resource)
    message = f"stopped after {ended} of {number}; what was undone stays so{why}"
    return CommandError(message, f"To go on: {again}")


def _conclude(ended: Sequence[Ended], *, dry_run: bool) -> None:
    bad = sum(bool(each.trouble) for each in ended)
    if dry_run:
        unseen = sum(each.outcome in {"UNKNOWN", "REFUSED"} for each in ended)
        if unseen:
            message = f"of {unseen} of {len(ended)} changes it is not known whether they would be undone"
            raise CommandError(message, "See why above, then run the command again.")
        return
    known = "" if all(each.outcome != "UNKNOWN" for each in ended) else ", as far as is known"
    if bad:
        raise CommandError(
            f"{bad} of {len(ended)} changes were not undone{known}",
            "See why above; fix that, or add --force for what changed since, and run the command again: what was"
            " undone is skipped.",
        )


def _wave(reader: Reader, asked: Wanted, now: datetime, *, force: bool) -> Wave:
    """Find what is to be taken back: of each control and resource the newest repair, by ``force`` each.

    Once the newest is taken back, an older one's resource is not as that one left it: it would be refused. By force the
    older one may bring back what the newest never had, such as another rule of a security group.
    """
    wanted = Wanted(asked.since, asked.control, (*UNDOABLE, "UNDONE"), asked.resource)
    found = list(reader.newest(wanted, now))
    records = reader.whole(found)
    already = {undone(each) for each in records if kind(each) == "UNDONE"}
    candidates = [each for each in records if kind(each) in UNDOABLE and "control" in each and not undone(each)]
    open_ = [each for each in candidates if each["record_id"] not in already]
    newest = {(each["control"], each["resource"]): each["record_id"] for each in reversed(candidates)}
    left = [each for each in open_ if force or newest[each["control"], each["resource"]] == each["record_id"]]
    overtaken = [each for each in open_ if each not in left]
    return Wave(left, len(candidates) - len(open_), overtaken)


def _one(undoing: Undoing, record: Record, *, force: bool, dry_run: bool) -> Ended:
    arn, record_id = str(record["resource"]), str(record["record_id"])
    try:
        if dry_run:
            plan = undoing.look(arn, record_id)
            drifted = plan["drifted"] and not force
            trouble = "it changed since; --force undoes it all the same" if drifted else ""
            return Ended(record, "WOULD_REFUSE" if drifted else "WOULD_UNDO", trouble=trouble)
        done = undoing.run(arn, record_id, force=force)
    except functions.UnansweredError as error:
        return Ended(record, "UNKNOWN", trouble=error.message)
    except functions.CrashedError as error:
        return Ended(record, "REFUSED", trouble=error.message)
    except functions.RefusedError as error:
        return Ended(record, "WOULD_REFUSE" if dry_run else "REFUSED", trouble=error.message)
    show = undoing.stack.line("audit", "show", str(done["record_id"]))
    failed = "" if done["outcome"] == "UNDONE" else f"see how far it came: {show}"
    return Ended(record, str(done["outcome"]), str(done["record_id"]), failed)


def _preview(err: Console, wave: Wave) -> None:
    left = wave.left
    for record in left[:_PREVIEWED]:
        calls = [cli_line(call, record.get("region", "")) for call in calls_of(record.get("undo", []))]
        err.print(Text.assemble((record["control"], "bold"), f"  {arns.short(record['resource'])}"), soft_wrap=True)
        for call in calls:
            err.print(f"  {call}", style="dim", soft_wrap=True)
    if len(left) > _PREVIEWED:
        err.print(f"… and {len(left) - _PREVIEWED:,} more")
    if wave.skipped:
        err.print(f"{wave.skipped}: skipped")


def _question(stack: str, left: Sequence[Record]) -> str:
    counts = Counter(str(record["control"]) for record in left)
    resources = len({record["resource"] for record in left})
    told = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    changes = "1 change" if len(left) == 1 else f"{len(left):,} changes"
    on = "1 resource" if resources == 1 else f"{resources:,} resources"
    return f"Undo {changes} on {on} in {stack} ({told})?"


def _line(out: Console, ended: Ended, number: int, total: int) -> None:
    style = "red" if ended.trouble else "green"
    words = (
        (f"{number:>{len(str(total))}}/{total} ", "dim"), (f"{ended.outcome:<12}", style), " ",
        (str(ended.record["control"]), "bold"), f"  {arns.short(ended.record['resource'])}",
    )  # fmt: skip
    out.print(Text.assemble(*words), soft_wrap=True)
    if ended.trouble:
        out.print(Text(f"    {ended.trouble}", style="red"), soft_wrap=True)


def _tell(stack: Stack, ended: Sequence[Ended], wave: Wave, how: How) -> None:
    bad, unknown = sum(bool(each.trouble) for each in ended), sum(each.outcome == "UNKNOWN" for each in ended)
    good = len(ended) - bad
    done, would = (0, good) if how.dry_run else (good, 0)
    if how.as_json:
        counts = {"done": done, "would": would, "refused": bad - unknown, "unknown": unknown,
                  "already": wave.already, "overtaken": len(wave.overtaken)}  # fmt: skip
        results = [each.described() for each in (*ended, *(Ended(record, "OVERTAKEN") for record in wave.overtaken))]
        body = {"stack": stack.name, "dry_run": how.dry_run, **counts, "results": results}
        sys.stdout.write(json.dumps(body) + "\n")
        return
    if not ended:
        console.results().print(f"Nothing to undo{f': {wave.skipped}' if wave.skipped else ''}.")
        return
    verb, refused = ("would be undone", "would be refused") if how.dry_run else ("undone", "refused")
    doubt = f"{unknown:,} not known, " if unknown else ""
    overtaken = f" ({len(wave.overtaken):,} overtaken by a newer repair)" if wave.overtaken else ""
    skipped = f"{wave.already + len(wave.overtaken):,} skipped{overtaken}"
    told = f"{good:,} {verb}, {bad - unknown:,} {refused}, {doubt}{skipped}."
    console.results().print(Text(told, style="bold red" if bad else "bold"))
