"""``evenkeel undo RECORD``: undo one change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel.cli_lines import cli_line
from evenkeel.errors import BrokenChainError, GroupNotEnabledError, LeaseHeldError, StaleStateError
from evenkeel.model import Call
from evenkeel.operators.caller_proof import UnprovedCallerError, sign
from evenkeel_cli.audit import view
from evenkeel_cli.audit.reader import Reader, kind
from evenkeel_cli.aws import functions, proved, stacks
from evenkeel_cli.aws.session import reaching
from evenkeel_cli.ui import arns, console, prompts
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from evenkeel_cli.aws.stacks import Stack

_BUSY = (LeaseHeldError.__name__, StaleStateError.__name__)


@dataclass(frozen=True, slots=True)
class How:
    """How a person wants it done."""

    force: bool
    """Also where the resource changed since."""
    dry_run: bool
    yes: bool
    """Do not ask."""
    as_json: bool


class Undoing:
    """The undo function of a stack, asked in the person's own name."""

    def __init__(self, stack: Stack, say: Callable[[str], None], record: str = "RECORD") -> None:
        """Find the function; ``say`` hears why something takes longer, ``record`` is the one that is meant.

        Raises:
            CommandError: the stack has none.
        """
        if "UndoFunctionName" not in stack.outputs:
            raise CommandError(
                f"stack {stack.name} has no undo function, so nothing can be undone through it",
                "Deploy it with EnableUndo=true; or exempt the resource, then undo the change by hand with these calls:"
                f" {stack.line('audit', 'show', record)}",
                Exit.USAGE,
            )
        self.stack = stack
        self._say = say
        self.function = stack.outputs["UndoFunctionName"]

    def look(self, resource: str, record: str) -> dict[str, Any]:
        """Return what would be called: ``{"calls": [CLI lines], "drifted", "residue", "control", …}``."""
        return self._ask({"resource": resource, "record": record, "dry_run": True})

    def run(self, resource: str, record: str, *, force: bool) -> dict[str, Any]:
        """Undo a record's change; wait up to half a minute for another worker that is busy with the resource.

        Where an answer was lost, the function is asked again. It undoes nothing twice, so what it then refuses may
        be done already: the audit says whether, and by whom.

        Raises:
            RefusedError: the function refused.
            UnansweredError: it is not known whether it was done.
        """
        lost: functions.UnansweredError | None = None
        trouble: CommandError
        for pause in (*functions.PAUSES, None):
            try:
                return self._run(resource, record, force=force)
            except functions.UnansweredError as error:
                lost, trouble = error, error
            except functions.RefusedError as refused:
                if lost and refused.kind not in _BUSY:
                    return self._done(resource, record, refused)
                if refused.kind not in _BUSY or (pause is None and not lost):
                    raise
                trouble = refused
            if pause is not None:
                functions.wait(trouble, pause, self._say)
        raise lost or AssertionError("the last attempt returns or raises")

    def _run(self, resource: str, record: str, *, force: bool) -> dict[str, Any]:
        cloud = self.stack.cloud
        payload = {"resource": resource, "record": record, "dry_run": False, "force": force}
        with reaching(f"undo record {record}"):
            caller = sign(cloud.session, cloud("sts").meta.endpoint_url, self.stack.name, payload)
        return self._ask({**payload, "caller": caller})

    def _done(self, resource: str, record: str, refused: functions.RefusedError) -> dict[str, Any]:
        """Return what the function answered to an invocation whose answer was lost, as the audit has it.

        Raises:
            UnansweredError: the audit does not say that this caller had it done.
        """
        with reaching("ask who you are"):
            caller = self.stack.cloud("sts").get_caller_identity()["Arn"]
        for found in Reader(self.stack).all_of(resource):
            if found.get("undoes") == record and kind(found) == "UNDONE" and found["actor"]["principal"] == caller:
                calls = [cli_line(Call(**call), found["region"]) for call in found["calls"]]
                return {
                    "resource": resource, "control": found["control"], "record": record, "calls": calls,
                    "residue": found["residue"], "drifted": None, "outcome": "UNDONE", "record_id": found["record_id"],
                }  # fmt: skip
        told = f"{refused.message}; that was the second try: the answer to the first was lost, and may be the reason"
        raise functions.UnansweredError(told, refused.next_step) from refused

    def _ask(self, payload: dict[str, Any]) -> dict[str, Any]:
        log = (
            "Its log group says more; then see what was done:"
            f" {self.stack.line('audit', 'list', resource=payload['resource'])}"
        )
        what, harmless = f"undo record {payload['record']}", bool(payload["dry_run"])
        try:
            return functions.invoke(self.stack, self.function, payload, what, log, say=self._say, harmless=harmless)
        except functions.RefusedError as refused:
            next_step = self._next_step(refused.kind, payload)
            raise functions.RefusedError(refused.kind, refused.message, next_step) from refused

    def _next_step(self, kind: str, payload: dict[str, Any]) -> str:
        arn = payload["resource"]
        if not kind:
            return functions.OLDER
        if kind == GroupNotEnabledError.__name__:
            return f"By hand, with these calls: {self.stack.line('audit', 'show', payload['record'], resource=arn)}"
        if kind == BrokenChainError.__name__:
            return f"Find out which record was altered: {self.stack.line('audit', 'verify', resource=arn)}"
        if kind in _BUSY:
            return "Run the command again in a minute."
        if kind == UnprovedCallerError.__name__:
            return proved.WHO
        return f"See its records: {self.stack.line('audit', 'list', resource=arn, since='30d')}"


def one(stack: str, region: str | None, record_id: str, resource: str, how: How) -> None:
    """Undo one change: show what would be called, ask, run.

    Raises:
        CommandError: it cannot be undone, the resource changed since, or the person said no.
    """
    if resource:
        arns.check(resource)
    there = stacks.find(stack, region, f"undo record {record_id}")
    undoing = Undoing(there, console.progress(show=not how.as_json), record_id)
    record = Reader(there).record(record_id, resource)
    arn = str(record["resource"])
    plan = undoing.look(arn, record_id)
    if how.dry_run or not how.as_json:
        console.show(plan, lambda out: _preview(out, plan, dry_run=how.dry_run), as_json=how.as_json)
    if how.dry_run:
        return
    if plan["drifted"] and not how.force:
        raise CommandError(
            f"{arn} changed since record {record_id}, so undoing it might undo somebody else's work, too",
            f"Look at it, then add --force: {there.line('undo', record_id, force=True)}",
        )
    prompts.confirm(f"Make {_calls(len(plan['calls']))} now?", "nothing was undone", yes=how.yes)
    done = undoing.run(arn, record_id, force=how.force)
    console.show(done, lambda out: _undone(out, done, there), as_json=how.as_json)
    _check(done, there)


def _undone(out: Console, done: dict[str, Any], stack: Stack) -> None:
    if done["outcome"] == "UNDONE":
        out.print(Text.assemble(("UNDONE", "bold green"), f"  {done['control']} on {done['resource']}"), soft_wrap=True)
        out.print(f"  record {done['record_id']}; it is on hold now: Evenkeel does not repair it again", style="dim")
        again = stack.line("release", done["control"], resource=done["resource"])
        out.print(f"  to have it repaired again: {again}", style="dim", soft_wrap=True)


def _check(done: dict[str, Any], stack: Stack) -> None:
    if done["outcome"] != "UNDONE":
        raise CommandError(
            f"{done['resource']}: it is not proved to be as it was before ({done['outcome']})",
            f"See how far it came: {stack.line('audit', 'show', done['record_id'])}",
        )


def _calls(number: int) -> str:
    return "this call" if number == 1 else f"these {number} calls"


def _preview(out: Console, plan: dict[str, Any], *, dry_run: bool) -> None:
    out.print(Text.assemble((plan["control"], "bold"), f" on {plan['resource']}"), soft_wrap=True)
    view.commands(out, "would call" if dry_run else "will call", plan["calls"])
    if plan["residue"]:
        out.print(Text.assemble(("  stays  ", "dim"), plan["residue"]), soft_wrap=True)
    drift = ("it changed since", "bold red") if plan["drifted"] else "as Evenkeel left it"
    out.print(Text.assemble(("  is now  ", "dim"), drift))
