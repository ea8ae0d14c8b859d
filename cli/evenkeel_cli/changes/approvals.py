"""``evenkeel approve``, ``reject`` and ``release``: decisions about changes that wait for approval or are held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel.audit.records import calls_of
from evenkeel.audit.state_item import HoldKind
from evenkeel.cli_lines import cli_line
from evenkeel.control.registry import all_controls
from evenkeel.errors import NothingHeldError
from evenkeel.model import Outcome
from evenkeel_cli.audit import view
from evenkeel_cli.audit.reader import Reader, kind
from evenkeel_cli.aws import functions, proved, stacks
from evenkeel_cli.ui import arns, console, prompts
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

    from evenkeel.audit.record_types import Record
    from evenkeel_cli.aws.stacks import Stack

_CHANGED = frozenset(each for each in Outcome if each.meaning.changed)
_DONE = frozenset({"REMEDIATED", "PARTIAL", "REJECTED", "COMPLIANT", "NOT_APPLICABLE", "ANNOUNCED"})


def approve(  # noqa: PLR0913 - a command's options
    stack: str, region: str | None, record_id: str, resource: str, *, yes: bool, as_json: bool
) -> None:
    """Show a planned change, ask, and approve it.

    Raises:
        CommandError: it cannot be approved, not by this person, or they said no.
    """
    there, record = _kept(stack, region, record_id, resource, "approve")
    if not as_json:
        out = console.results()
        out.print(Text.assemble((record["control"], "bold"), f" on {record['resource']}"), soft_wrap=True)
        out.print(Text.assemble(("  found  ", "dim"), record["reason"]), soft_wrap=True)
        view.commands(out, "will call", [cli_line(call, there.region) for call in calls_of(record["calls"])])
    prompts.confirm("Make this change now?", "nothing was changed; the change still waits for approval", yes=yes)
    _ask(there, record["control"], {"approve": record_id, "resource": record["resource"]}, as_json=as_json)


def reject(  # noqa: PLR0913 - a command's options
    stack: str, region: str | None, record_id: str, resource: str, because: str, *, as_json: bool
) -> None:
    """Reject a planned change, with a reason; the resource is left unchanged for 30 days."""
    there, record = _kept(stack, region, record_id, resource, "reject")
    payload = {"reject": record_id, "resource": record["resource"], "because": because}
    _ask(there, record["control"], payload, as_json=as_json)


def release(  # noqa: PLR0913 - a command's options
    stack: str, region: str | None, control: str, resource: str, *, yes: bool, as_json: bool
) -> None:
    """Release what a control holds: one resource, or all, which also resets the control's blast radius."""
    arns.check_one_of("control", control, list(all_controls()))
    if resource:
        arns.check(resource)
    there = stacks.find(stack, region, f"release what {control} holds")
    every = f"Let {control} change resources again, and check everything that it holds?"
    question = f"Let {control} check {resource} now, and repair it if necessary?" if resource else every
    prompts.confirm(question, "nothing was released", yes=yes)
    _ask(there, control, {"release": control, "resource": resource or "all"}, as_json=as_json)


def drop(  # noqa: PLR0913 - a command's options
    stack: str, region: str | None, control: str, resource: str, because: str, *, as_json: bool
) -> None:
    """Drop the held change of one resource, with a reason; it is left unchanged for 30 days."""
    arns.check_one_of("control", control, list(all_controls()))
    if not resource:
        next_step = "Give --resource ARN. To list held changes: evenkeel audit list --outcome HELD"
        raise CommandError("--drop needs --resource", next_step, Exit.USAGE)
    if not because.strip():
        raise CommandError("--drop needs --because, the reason", 'E.g. --because "the key is deleted".', Exit.USAGE)
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
            f"cannot {verb} record {record_id} of {record['resource']}: it is {kind(record)}, not waiting for approval",
            f"To list what waits for approval: {there.line('audit', 'list', outcome=Outcome.AWAITING.value)}",
            Exit.USAGE,
        )
    return there, record


def _ask(stack: Stack, control: str, payload: dict[str, Any], *, as_json: bool) -> None:
    """Invoke the control's function with proof of identity, round after round, and print the outcomes."""
    verb = next(iter(payload))
    what = f"{verb} {payload[verb]}"
    about = {"control": control} if payload["resource"] == "all" else {"resource": payload["resource"]}
    next_step = f"See the records: {stack.line('audit', 'list', since='30d', **about)}"
    results: list[dict[str, Any]] = []
    sent = payload["resource"] == "all"  # one resource is checked here, or not at all
    try:
        for found in _rounds(stack, control, payload, what, next_step, say=console.progress(show=not as_json)):
            results += found
    except (KeyboardInterrupt, CommandError) as stop:
        if not results and not (verb == "release" and _nothing_held(stop)):
            raise
        _show(stack, results, sent=sent, as_json=as_json)
        if not results:
            return
        why = f": {stop.message}" if isinstance(stop, CommandError) else ""
        message = f"{what}: stopped after {len(results):,}; what was released stays released{why}"
        raise CommandError(message, "To continue, run the command again.") from None
    _show(stack, results, sent=sent, as_json=as_json)
    done = _DONE | ({"RETURNED"} if sent else set()) | ({"AWAITING"} if verb == "release" else set())
    if any(result["outcome"] not in done for result in results):
        raise CommandError(f"{what}: not everything was done", "The outcomes above say what failed, and why.")


def ask(stack: Stack, control: str, payload: dict[str, Any], *, as_json: bool) -> list[dict[str, Any]]:
    """Release one resource with proof of identity; return the results.

    Raises:
        CommandError: the function refused, or did not answer.
    """
    next_step = f"See the records: {stack.line('audit', 'list', since='30d', resource=payload['resource'])}"
    what = f"release {payload['release']} on {payload['resource']}"
    rounds = _rounds(stack, control, payload, what, next_step, say=console.progress(show=not as_json))
    return [each for found in rounds for each in found]


def _nothing_held(stop: BaseException) -> bool:
    """Return whether the function refused to release one resource because nothing holds it."""
    return isinstance(stop, functions.RefusedError) and stop.kind == NothingHeldError.__name__


def _rounds(  # noqa: PLR0913 - as functions.invoke
    stack: Stack, control: str, payload: dict[str, Any], what: str, next_step: str, *, say: Callable[[str], None]
) -> Iterator[list[dict[str, Any]]]:
    """Yield the results of each round; a release of all takes as many invocations of a minute as it needs."""
    function, released = functions.of(stack, control), 0
    asked = payload
    while True:
        said = proved.ask(stack, function, asked, what, next_step, say=say)
        yield said["results"]
        if not said.get("next"):  # absent in a stack that is older than this command
            return
        asked, released = {**payload, "after": said["next"]}, released + len(said["results"])
        say(f"{released:,} so far; there are more")


def _show(stack: Stack, results: list[dict[str, Any]], *, sent: bool, as_json: bool) -> None:
    console.show(results, lambda out: show(out, stack, results, sent=sent), as_json=as_json)


def show(out: Console, stack: Stack, results: list[dict[str, Any]], *, sent: bool) -> None:
    """Print the outcomes; ``sent`` if returned resources went to the queue by the person's own request."""
    for result in results:
        released = sent and result["outcome"] == "RETURNED"
        outcome = "RELEASED" if released else result["outcome"]
        out.print(Text.assemble((outcome, "bold"), f"  {result['control']} on {result['resource']}"), soft_wrap=True)
        reason = result["reason"] or ("nothing was left to change" if outcome == "COMPLIANT" else "")
        if outcome in _CHANGED:
            reason = f"previous finding: {reason}"
        if released:
            frozen = (result.get("held_by") or {}).get("kind") == HoldKind.FREEZE
            again = ", and is held again while the freeze lasts" if frozen else ""
            reason = f"{reason}; it is checked again within seconds{again}"
        out.print(f"  {reason}", style="dim", soft_wrap=True)
        if outcome == "AWAITING":
            approve = stack.line("approve", result["record_id"], resource=result["resource"])
            out.print(f"  next, another person: {approve}", style="dim", soft_wrap=True)
    if not results:
        out.print(
            "Nothing was held. (To release what was undone, give --undone-since or --resource; what was rejected,"
            " --resource.)",
            soft_wrap=True,
        )
