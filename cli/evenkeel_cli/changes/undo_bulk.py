"""``evenkeel undo --since``: undo many changes, the newest first; changes already undone are skipped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel import clock
from evenkeel.audit.records import calls_of, undone
from evenkeel.cli_lines import cli_line
from evenkeel.plurals import plural
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
    from datetime import datetime

    from rich.console import Console

    from evenkeel.audit.record_types import Record
    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.changes.undo_command import Options

_PREVIEWED = 10  # changes listed before the question


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of one change of a bulk undo."""

    record: Record
    outcome: str
    """``UNDONE``, ``FAILED``, ``REFUSED``, ``OVERTAKEN`` (there is a newer repair), or ``UNKNOWN``: the function's
    answer was lost. In a dry run: ``WOULD_UNDO`` or ``WOULD_REFUSE``."""
    record_id: str = ""
    trouble: str = ""

    def described(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "record": self.record["record_id"], "resource": self.record["resource"], "control": self.record["control"],
            "outcome": self.outcome, "record_id": self.record_id, "trouble": self.trouble or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class BulkUndo:
    """The repairs to undo."""

    left: list[Record]
    """Whole records still to be undone, the newest first."""
    already: int
    """Number of repairs that are already undone."""
    overtaken: list[Record]
    """Repairs that the same control repeated later: undoing the later one is enough."""

    @property
    def skipped(self) -> str:
        """Return what is skipped, in words; empty if nothing is."""
        parts = (
            f"{self.already:,} already undone" if self.already else "",
            f"{len(self.overtaken):,} overtaken by a newer repair" if self.overtaken else "",
        )
        return ", ".join(filter(None, parts))


def is_bulk(record: str, since: str, control: str, resource: str) -> bool:
    """Return whether the request is to undo all changes since a time, not a single record.

    Raises:
        CommandError: both are given, or neither.
    """
    if record and (since or control):
        raise CommandError(
            "undo: a record id cannot be combined with --since or --control", "Give one or the other.", Exit.USAGE
        )
    if not record and not since:
        given = " with --control" if control else " with --resource" if resource else ""
        message = f"undo{given}: neither a record id nor --since is given"
        raise CommandError(message, "Give a record id (evenkeel audit list shows them), or --since 1h.", Exit.USAGE)
    return bool(since)


def run(stack: str, region: str | None, since: str, control: str, resource: str, options: Options) -> None:  # noqa: PLR0913, PLR0917 - the command's own options
    """Undo all changes since a time.

    Raises:
        CommandError: one of them was refused or failed; the others were undone.
    """
    if resource:
        arns.check(resource)
    now = clock.now()
    asked = view.wanted(resource, control, (), since, now)
    there = stacks.find(stack, region, f"undo changes of {named(stack)}")
    undoing = Undoing(there, console.progress(show=not options.as_json))
    bulk = _find(Reader(there), asked, now, force=options.force)
    left = bulk.left
    out, err = console.results(), console.errors()
    if not left:
        _print_result(there, [], bulk, options)
        return
    if not options.as_json:
        _preview(err, bulk)
    if not options.dry_run:
        prompts.confirm(_question(there.name, left), "nothing was undone", yes=options.yes)
    ended: list[Ended] = []
    try:
        for number, record in enumerate(left, 1):
            ended.append(_one(undoing, record, force=options.force, dry_run=options.dry_run))
            if not options.as_json:
                _line(out, ended[-1], number, len(left))
    except (KeyboardInterrupt, CommandError) as stop:
        if isinstance(stop, CommandError) and not ended:
            raise
        if ended:
            _print_result(there, ended, bulk, options)
        raise _stopped(there, asked, len(ended), len(left), stop) from None
    _print_result(there, ended, bulk, options)
    _conclude(ended, dry_run=options.dry_run)


def _stopped(stack: Stack, asked: Wanted, ended: int, number: int, stop: BaseException) -> CommandError:
    """Return the error for a bulk undo that was interrupted, by a person or by AWS."""
    why = f": {stop.message}. {stop.next_step}" if isinstance(stop, CommandError) else ""
    since = f"{asked.since:%Y-%m-%dT%H:%M:%SZ}"
    again = stack.line("undo", since=since, control=asked.control, resource=asked.resource)
    message = f"stopped after {ended} of {number}; what was undone stays undone{why}"
    return CommandError(message, f"To continue: {again}")


def _conclude(ended: Sequence[Ended], *, dry_run: bool) -> None:
    bad = sum(bool(each.trouble) for each in ended)
    if dry_run:
        unseen = sum(each.outcome in {"UNKNOWN", "REFUSED"} for each in ended)
        if unseen:
            message = f"for {unseen} of {len(ended)} changes it is not known whether an undo would succeed"
            raise CommandError(message, "See why above, then run the command again.")
        return
    known = "" if all(each.outcome != "UNKNOWN" for each in ended) else " (some are unknown)"
    if bad:
        raise CommandError(
            f"{bad} of {len(ended)} changes were not undone{known}",
            "See why above. Fix that, or add --force for resources that changed since, and run the command again;"
            " changes already undone are skipped.",
        )


def _find(reader: Reader, asked: Wanted, now: datetime, *, force: bool) -> BulkUndo:
    """Return the repairs to undo: the newest of each control and resource, or with ``force`` every one.

    Once the newest is undone, the resource is not as an older repair left it, and undoing that one would be refused.
    By force, an older undo may restore what the newest repair never saw, such as another rule of a security group.
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
    return BulkUndo(left, len(candidates) - len(open_), overtaken)


def _one(undoing: Undoing, record: Record, *, force: bool, dry_run: bool) -> Ended:
    arn, record_id = str(record["resource"]), str(record["record_id"])
    try:
        if dry_run:
            plan = undoing.look(arn, record_id)
            drifted = plan["drifted"] and not force
            trouble = "it changed since; --force undoes it anyway" if drifted else ""
            return Ended(record, "WOULD_REFUSE" if drifted else "WOULD_UNDO", trouble=trouble)
        done = undoing.run(arn, record_id, force=force)
    except functions.UnansweredError as error:
        return Ended(record, "UNKNOWN", trouble=error.message)
    except functions.CrashedError as error:
        return Ended(record, "REFUSED", trouble=error.message)
    except functions.RefusedError as error:
        return Ended(record, "WOULD_REFUSE" if dry_run else "REFUSED", trouble=error.message)
    show = undoing.stack.line("audit", "show", str(done["record_id"]))
    failed = "" if done["outcome"] == "UNDONE" else f"see the record: {show}"
    return Ended(record, str(done["outcome"]), str(done["record_id"]), failed)


def _preview(err: Console, bulk: BulkUndo) -> None:
    left = bulk.left
    for record in left[:_PREVIEWED]:
        calls = [cli_line(call, record.get("region", "")) for call in calls_of(record.get("undo", []))]
        err.print(Text.assemble((record["control"], "bold"), f"  {arns.short(record['resource'])}"), soft_wrap=True)
        for call in calls:
            err.print(f"  {call}", style="dim", soft_wrap=True)
    if len(left) > _PREVIEWED:
        err.print(f"… and {len(left) - _PREVIEWED:,} more")
    if bulk.skipped:
        err.print(f"{bulk.skipped}: skipped")


def _question(stack: str, left: Sequence[Record]) -> str:
    counts = Counter(str(record["control"]) for record in left)
    resources = len({record["resource"] for record in left})
    by_control = ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
    return f"Undo {plural(len(left), 'change')} on {plural(resources, 'resource')} in {stack} ({by_control})?"


def _line(out: Console, ended: Ended, number: int, total: int) -> None:
    style = "red" if ended.trouble else "green"
    words = (
        (f"{number:>{len(str(total))}}/{total} ", "dim"), (f"{ended.outcome:<12}", style), " ",
        (str(ended.record["control"]), "bold"), f"  {arns.short(ended.record['resource'])}",
    )  # fmt: skip
    out.print(Text.assemble(*words), soft_wrap=True)
    if ended.trouble:
        out.print(Text(f"    {ended.trouble}", style="red"), soft_wrap=True)


def _print_result(stack: Stack, ended: Sequence[Ended], bulk: BulkUndo, options: Options) -> None:
    bad, unknown = sum(bool(each.trouble) for each in ended), sum(each.outcome == "UNKNOWN" for each in ended)
    good = len(ended) - bad
    done, would = (0, good) if options.dry_run else (good, 0)
    counts = {"done": done, "would": would, "refused": bad - unknown, "unknown": unknown,
              "already": bulk.already, "overtaken": len(bulk.overtaken)}  # fmt: skip
    results = [each.described() for each in (*ended, *(Ended(record, "OVERTAKEN") for record in bulk.overtaken))]
    body = {"stack": stack.name, "dry_run": options.dry_run, **counts, "results": results}
    console.show(
        body, lambda out: out.print(_summary(counts, bulk, options, nothing=not ended)), as_json=options.as_json
    )


def _summary(counts: dict[str, int], bulk: BulkUndo, options: Options, *, nothing: bool) -> Text:
    if nothing:
        return Text(f"Nothing to undo{f': {bulk.skipped}' if bulk.skipped else ''}.")
    verb, refused = ("would be undone", "would be refused") if options.dry_run else ("undone", "refused")
    doubt = f"{counts['unknown']:,} unknown, " if counts["unknown"] else ""
    overtaken = f" ({counts['overtaken']:,} overtaken by a newer repair)" if counts["overtaken"] else ""
    skipped = f"{counts['already'] + counts['overtaken']:,} skipped{overtaken}"
    summary = f"{counts['done'] + counts['would']:,} {verb}, {counts['refused']:,} {refused}, {doubt}{skipped}."
    return Text(summary, style="bold red" if counts["refused"] + counts["unknown"] else "bold")
