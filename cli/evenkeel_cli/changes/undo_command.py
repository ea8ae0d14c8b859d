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
class Options:
    """The options of the command."""

    force: bool
    """Undo even if the resource changed since."""
    dry_run: bool
    yes: bool
    """Do not ask."""
    as_json: bool


class Undoing:
    """The undo function of a stack, invoked with proof of the person's identity."""

    def __init__(self, stack: Stack, say: Callable[[str], None], record: str = "RECORD") -> None:
        """Find the function; ``say`` is called with the reason for each wait, ``record`` is used in an error message.

        Raises:
            CommandError: the stack has no undo function.
        """
        if "UndoFunctionName" not in stack.outputs:
            raise CommandError(
                f"stack {stack.name} has no undo function",
                "Deploy it with EnableUndo=true. Or exempt the resource, then make the record's undo calls by hand:"
                f" {stack.line('audit', 'show', record)}",
                Exit.USAGE,
            )
        self.stack = stack
        self._say = say
        self.function = stack.outputs["UndoFunctionName"]

    def look(self, resource: str, record: str) -> dict[str, Any]:
        """Return the plan: ``{"calls": [CLI lines], "drifted", "residue", "control", …}``."""
        return self._ask({"resource": resource, "record": record, "dry_run": True})

    def run(self, resource: str, record: str, *, force: bool) -> dict[str, Any]:
        """Undo a record's change; wait up to half a minute if another worker holds the resource's lease.

        If the answer was lost, the function is invoked again. It undoes nothing twice, so a refusal may mean that the
        change is already undone: the audit says whether, and by whom.

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
        """Return the result of an invocation whose answer was lost, from the audit.

        Raises:
            UnansweredError: the audit has no undo by this caller.
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
        message = f"{refused.message}; this was a retry: the first answer was lost, and may be the reason"
        raise functions.UnansweredError(message, refused.next_step) from refused

    def _ask(self, payload: dict[str, Any]) -> dict[str, Any]:
        log = f"See its log group, then what was done: {self.stack.line('audit', 'list', resource=payload['resource'])}"
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
            return f"Make these calls by hand: {self.stack.line('audit', 'show', payload['record'], resource=arn)}"
        if kind == BrokenChainError.__name__:
            return f"Find out which record was changed: {self.stack.line('audit', 'verify', resource=arn)}"
        if kind in _BUSY:
            return "Run the command again in a minute."
        if kind == UnprovedCallerError.__name__:
            return proved.WHO
        return f"See the resource's records: {self.stack.line('audit', 'list', resource=arn, since='30d')}"


def one(stack: str, region: str | None, record_id: str, resource: str, options: Options) -> None:
    """Undo one change: show the calls, ask, make them.

    Raises:
        CommandError: it cannot be undone, the resource changed since, or the person said no.
    """
    if resource:
        arns.check(resource)
    there = stacks.find(stack, region, f"undo record {record_id}")
    undoing = Undoing(there, console.progress(show=not options.as_json), record_id)
    record = Reader(there).record(record_id, resource)
    arn = str(record["resource"])
    plan = undoing.look(arn, record_id)
    if options.dry_run or not options.as_json:
        console.show(plan, lambda out: _preview(out, plan, dry_run=options.dry_run), as_json=options.as_json)
    if options.dry_run:
        return
    if plan["drifted"] and not options.force:
        raise CommandError(
            f"{arn} changed since record {record_id}, so an undo might revert somebody else's change, too",
            f"Check the resource, then add --force: {there.line('undo', record_id, force=True)}",
        )
    prompts.confirm(f"Make {_calls(len(plan['calls']))} now?", "nothing was undone", yes=options.yes)
    done = undoing.run(arn, record_id, force=options.force)
    console.show(done, lambda out: _undone(out, done, there), as_json=options.as_json)
    _check(done, there)


def _undone(out: Console, done: dict[str, Any], stack: Stack) -> None:
    if done["outcome"] == "UNDONE":
        out.print(Text.assemble(("UNDONE", "bold green"), f"  {done['control']} on {done['resource']}"), soft_wrap=True)
        out.print(f"  record {done['record_id']}; Evenkeel does not repair it again while it is held", style="dim")
        again = stack.line("release", done["control"], resource=done["resource"])
        out.print(f"  to repair it again: {again}", style="dim", soft_wrap=True)


def _check(done: dict[str, Any], stack: Stack) -> None:
    if done["outcome"] != "UNDONE":
        raise CommandError(
            f"{done['resource']}: the undo is not proved ({done['outcome']})",
            f"See the record: {stack.line('audit', 'show', done['record_id'])}",
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
