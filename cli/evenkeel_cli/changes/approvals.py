"""``evenkeel approve``, ``reject`` and ``release``: what people decide about changes that are kept."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel.audit.records import calls_of
from evenkeel.cli_lines import cli_line
from evenkeel.control.registry import all_controls
from evenkeel.model import Outcome
from evenkeel.remediation.holds import FROZEN
from evenkeel_cli.audit import view
from evenkeel_cli.audit.reader import Reader, kind
from evenkeel_cli.aws import functions, proved, stacks
from evenkeel_cli.ui import arns, console, prompts
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evenkeel.audit.record_types import Record
    from evenkeel_cli.aws.stacks import Stack

_CHANGED = frozenset(each for each in Outcome if each.meaning.changed)
_DONE = frozenset({"REMEDIATED", "PARTIAL", "REJECTED", "COMPLIANT", "NOT_APPLICABLE", "ANNOUNCED"})


def approve(  # noqa: PLR0913 - a command's options
    stack: str, region: str | None, record_id: str, resource: str, *, yes: bool, as_json: bool
) -> None:
    """Have a planned change made, after a look at it.

    Raises:
        CommandError: it cannot be approved so, or not by this person, or they said no.
    """
    there, record = _kept(stack, region, record_id, resource, "approve")
    if not as_json:
        out = console.results()
        out.print(Text.assemble((record["control"], "bold"), f" on {record['resource']}"), soft_wrap=True)
        out.print(Text.assemble(("  found  ", "dim"), record["reason"]), soft_wrap=True)
        view.commands(out, "will call", [cli_line(call, there.region) for call in calls_of(record["calls"])])
    prompts.confirm("Make this change now?", "nothing was changed; the change still waits", yes=yes)
    _ask(there, record["control"], {"approve": record_id, "resource": record["resource"]}, as_json=as_json)


def reject(  # noqa: PLR0913 - a command's options
    stack: str, region: str | None, record_id: str, resource: str, because: str, *, as_json: bool
) -> None:
    """Decide against a planned change, with a reason; the resource is left alone for 30 days."""
    there, record = _kept(stack, region, record_id, resource, "reject")
    payload = {"reject": record_id, "resource": record["resource"], "because": because}
    _ask(there, record["control"], payload, as_json=as_json)


def release(  # noqa: PLR0913 - a command's options
    stack: str, region: str | None, control: str, resource: str, *, yes: bool, as_json: bool
) -> None:
    """Have what a control holds looked at again: one resource, or all, with a new allowance for the control."""
    arns.check_one_of("control", control, list(all_controls()))
    if resource:
        arns.check(resource)
    there = stacks.find(stack, region, f"release what {control} holds")
    every = f"Let {control} change resources again, and look at all that it holds?"
    question = f"Let {control} look at {resource} now, and change it where it has to?" if resource else every
    prompts.confirm(question, "nothing was released", yes=yes)
    _ask(there, control, {"release": control, "resource": resource or "all"}, as_json=as_json)


def drop(  # noqa: PLR0913 - a command's options
    stack: str, region: str | None, control: str, resource: str, because: str, *, as_json: bool
) -> None:
    """Give up what is held of one resource, with a reason; it is left alone for 30 days."""
    arns.check_one_of("control", control, list(all_controls()))
    if not resource:
        next_step = "Give --resource ARN; evenkeel audit list shows with --outcome HELD what is held."
        raise CommandError("--drop needs --resource: it gives up one resource", next_step, Exit.USAGE)
    if not because.strip():
        raise CommandError("--drop needs --because: say why", 'E.g. --because "the key is deleted".', Exit.USAGE)
    arns.check(resource)
    there = stacks.find(stack, region, f"drop what {control} holds")
    _ask(there, control, {"drop": control, "resource": resource, "because": because}, as_json=as_json)


def _kept(stack: str, region: str | None, record_id: str, resource: str, verb: str) -> tuple[Stack, Record]:
    if resource:
        arns.check(resource)
    there = stacks.find(stack, region, f"{verb} record {record_id}")
    record = Reader(there).record(record_id, resource)
    if kind(record) != Outcome.AWAITING:
        raise CommandError(
            f"cannot {verb} record {record_id} of {record['resource']}: it is {kind(record)} and does not wait",
            f"What waits for approval: {there.line('audit', 'list', outcome=Outcome.AWAITING.value)}",
            Exit.USAGE,
        )
    return there, record


def _ask(stack: Stack, control: str, payload: dict[str, Any], *, as_json: bool) -> None:
    """Invoke the control's function in the person's own name, round after round, and say what became of it."""
    verb = next(iter(payload))
    what = f"{verb} {payload[verb]}"
    about = {"control": control} if payload["resource"] == "all" else {"resource": payload["resource"]}
    next_step = f"See the records: {stack.line('audit', 'list', since='30d', **about)}"
    results: list[dict[str, Any]] = []
    sent = payload["resource"] == "all"  # one resource is looked at here, or not at all
    try:
        for found in _rounds(stack, control, payload, what, next_step, say=console.teller(show=not as_json)):
            results += found
    except (KeyboardInterrupt, CommandError) as stop:
        if not results and not (verb == "release" and _nothing_held(stop)):
            raise
        _show(stack, results, sent=sent, as_json=as_json)
        if not results:
            return
        why = f": {stop.message}" if isinstance(stop, CommandError) else ""
        message = f"{what}: stopped after {len(results):,}; what was released stays so{why}"
        raise CommandError(message, "To go on, run the command again.") from None
    _show(stack, results, sent=sent, as_json=as_json)
    done = _DONE | ({"RETURNED"} if sent else set()) | ({"AWAITING"} if verb == "release" else set())
    if any(result["outcome"] not in done for result in results):
        raise CommandError(f"{what}: not everything was done", "The outcomes above say what was not, and why.")


def ask(stack: Stack, control: str, payload: dict[str, Any], *, as_json: bool) -> list[dict[str, Any]]:
    """Have one resource released in the person's own name; return what became of it.

    Raises:
        CommandError: the function refused, or did not answer.
    """
    next_step = f"See the records: {stack.line('audit', 'list', since='30d', resource=payload['resource'])}"
    what = f"release {payload['release']} on {payload['resource']}"
    rounds = _rounds(stack, control, payload, what, next_step, say=console.teller(show=not as_json))
    return [each for found in rounds for each in found]


def _nothing_held(stop: BaseException) -> bool:
    """Say whether the function refused to release one resource for there is no hold, as decisions.py words it."""
    return isinstance(stop, functions.RefusedError) and stop.message.endswith("holds nothing there")


def _rounds(  # noqa: PLR0913 - as functions.invoke
    stack: Stack, control: str, payload: dict[str, Any], what: str, next_step: str, *, say: Callable[[str], None]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the results of each round; a release of all goes as far as the function's minute reaches, then on."""
    function, told = functions.of(stack, control), 0
    asked = payload
    while True:
        said = proved.ask(stack, function, asked, what, next_step, say=say)
        yield said["results"]
        if not said.get("next"):  # a stack that is older than this command has none
            return
        asked, told = {**payload, "after": said["next"]}, told + len(said["results"])
        say(f"{told:,} so far; there is more")


def _show(stack: Stack, results: list[dict[str, Any]], *, sent: bool, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(results) + "\n")
    else:
        show(stack, results, sent=sent)


def show(stack: Stack, results: list[dict[str, Any]], *, sent: bool) -> None:
    """Print the outcomes; ``sent`` where what is returned went to the queue by the person's own request."""
    out = console.results()
    for result in results:
        released = sent and result["outcome"] == "RETURNED"
        outcome = "RELEASED" if released else result["outcome"]
        out.print(Text.assemble((outcome, "bold"), f"  {result['control']} on {result['resource']}"), soft_wrap=True)
        reason = result["reason"] or ("there was nothing left to change" if outcome == "COMPLIANT" else "")
        if outcome in _CHANGED:
            reason = f"found before: {reason}"
        if released:
            again = ", and held again while the freeze lasts" if FROZEN in reason else ""
            reason = f"{reason}; it is read again within seconds{again}"
        out.print(f"  {reason}", style="dim", soft_wrap=True)
        if outcome == "AWAITING":
            approve = stack.line("approve", result["record_id"], resource=result["resource"])
            out.print(f"  next, somebody else: {approve}", style="dim", soft_wrap=True)
    if not results:
        out.print(
            "Nothing was held (what was undone is released with --undone-since or --resource, what was rejected with"
            " --resource).",
            soft_wrap=True,
        )
