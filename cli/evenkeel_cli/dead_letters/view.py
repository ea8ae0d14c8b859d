"""``evenkeel dlq``: list the dead letters, send them back to their queues, or drop them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from rich.text import Text

from evenkeel import clock
from evenkeel.operators import dead_letters
from evenkeel.plurals import plural
from evenkeel_cli.aws import proved, stacks
from evenkeel_cli.aws.session import named
from evenkeel_cli.dead_letters.messages import DeadLetters, described, meant, queue_of
from evenkeel_cli.dead_letters.stream import GROUP as STREAM
from evenkeel_cli.ui import console, prompts, times
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from rich.console import Console

    from evenkeel.operators.dead_letters import DeadLetter
    from evenkeel_cli.aws.stacks import Stack

BODY_START = 160
_BUSY = "somebody else is reading it, or the time was up: run the command again in a few minutes"


def show(stack: str, region: str | None, limit: int, *, as_json: bool) -> None:
    """List the dead letters; each stays where it is."""
    there = stacks.find(stack, region, f"list the dead letters of {named(stack)}")
    now = clock.now()
    with DeadLetters(there) as queue:
        found = list(islice(queue.messages(), limit + 1))
        others = queue.others()
    more, found = len(found) > limit, sorted(found[:limit], key=lambda each: each.sent_at)
    listed = [described(each, there, now) for each in found]
    console.show(listed, lambda out: _table(out, found, there, now), as_json=as_json)
    err = console.errors()
    if more:
        err.print(f"There are more; give --limit a number above {limit}.")
    if others:
        err.print(f"{others:,} more are being read by somebody else; they are visible again within minutes.")
    if found and not as_json:
        err.print(f"next:  fix the cause, then: {there.line('dlq', 'redrive', all=True)}", style="dim", soft_wrap=True)


def _table(out: Console, found: Sequence[DeadLetter], stack: Stack, now: datetime) -> None:
    if not found:
        out.print("No dead letters.")
        return
    rows = []
    for message in found:
        start = message.body[:BODY_START] + ("…" if len(message.body) > BODY_START else "")
        what = Text.assemble((message.reason, "bold"), f"\n{start}\n", (f"message {message.id}", "dim"), no_wrap=True)
        rows.append((times.age(now.timestamp() - message.sent_at), _origin(message, stack), what))
    console.table(out, ("age", "from", "what"), rows)


def _origin(message: DeadLetter, stack: Stack) -> str:
    possible = meant(message, stack)
    if queue_of(message, stack) or possible == [STREAM]:
        return possible[0]
    return " or ".join(possible) + "?"


def redrive(  # noqa: PLR0913 - the command's own options
    stack: str, region: str | None, wanted: Sequence[str], to: str, *, yes: bool, as_json: bool
) -> None:
    """Have the clerk audit the request and send dead letters back: the given ones, or all if none is given.

    Raises:
        CommandError: one could not be sent, or its destination is unknown; it stays in the queue.
    """
    there = stacks.find(stack, region, f"send the dead letters of {named(stack)} back")
    _check_group(to, there)
    if not wanted and not yes:
        if _is_empty(there):
            _sum(there.name, [], [], [], as_json=as_json)
            return
        question = f"Send all dead letters of {there.name} back? Evenkeel processes them at once."
        prompts.confirm(question, "nothing was sent", yes=False)
    sent: list[dict[str, str]] = []
    kept: list[dict[str, str]] = []
    groups: dict[str, str] = {}

    def ended(message: str, group: str, trouble: str) -> None:
        (kept if trouble else sent).append({"id": message, **({"trouble": trouble} if trouble else {"group": group})})
        _line(message, "KEPT" if trouble else "SENT", trouble or f"to {group}", as_json=as_json)

    with DeadLetters(there) as queue:
        for message in _chosen(queue, wanted):
            group, trouble = _group_of(queue, message, there, to, ask=not yes and not as_json)
            if trouble or group == STREAM:
                ended(message.id, group, trouble)
            else:
                groups[message.id] = group
    for each in _have_sent(there, groups, console.progress(show=not as_json)):
        ended(*each)
    missing = [each for each in wanted if each not in {message["id"] for message in (*sent, *kept)}]
    _sum(there.name, sent, kept, missing, as_json=as_json)
    _check_missing(missing, there)
    if kept:
        raise CommandError(
            f"{plural(len(kept), 'message')} kept, for the reasons above",
            f"Give each by id with --to GROUP ({', '.join(sorted(there.queues))}), or drop it.",
        )


def _check_group(to: str, stack: Stack) -> None:
    if to and to not in stack.queues:
        known = ", ".join(sorted(stack.queues))
        raise CommandError(f"--to {to}: the stack has no such group", f"Its groups are {known}.", Exit.USAGE)


def _is_empty(stack: Stack) -> bool:
    """Return whether there is no dead letter; messages that were read become visible again."""
    with DeadLetters(stack) as queue:
        return next(queue.messages(), None) is None


def _sum(
    stack: str, sent: Sequence[dict[str, str]], kept: Sequence[dict[str, str]], missing: Sequence[str], *, as_json: bool
) -> None:
    """Print the result of a redrive."""
    words = Text(f"{len(sent):,} sent back, {len(kept):,} kept.", style="bold")
    if not (sent or kept or missing):
        words = Text("No dead letters.")
    body = {"stack": stack, "sent": sent, "kept": kept, "missing": missing}
    console.show(body, lambda out: out.print(words), as_json=as_json)


def _group_of(queue: DeadLetters, message: DeadLetter, stack: Stack, to: str, *, ask: bool) -> tuple[str, str]:
    """Return the group for a message, or why it is kept; the alerts of a notifier's message are sent at once."""
    possible = meant(message, stack)
    group = STREAM if possible == [STREAM] else to or _group(message, possible, ask=ask)
    if not group:
        return "", _unknown(possible)
    if group == STREAM:
        try:
            queue.announce(message)
        except CommandError as error:
            return (
                group,
                f"{error}. {error.next_step}",
            )  # a message that the notifier cannot process must not block the others
    return group, ""


def _have_sent(stack: Stack, groups: dict[str, str], say: Callable[[str], None]) -> Iterator[tuple[str, str, str]]:
    """Have the clerk send messages to their groups, in the person's name; yield each id, group and error."""
    ids = list(groups)
    for start in range(0, len(ids), dead_letters.MAX_MESSAGES):
        wanted: dict[str, list[str]] = {}
        for each in ids[start : start + dead_letters.MAX_MESSAGES]:
            wanted.setdefault(groups[each], []).append(each)
        next_step = f"List what is left: {stack.line('dlq', 'list')}"
        clerk, what = stack.output("ClerkFunctionName"), "send dead letters back"
        said = proved.ask(stack, clerk, {"redrive": wanted}, what, next_step, say=say)
        if "sent" not in said:
            raise CommandError(f"the clerk of stack {stack.name} is older than this command", "Deploy the stack again.")
        yield from ((each, groups[each], "") for each in said["sent"])
        yield from ((each, groups[each], _BUSY) for each in said["missing"])


def _group(message: DeadLetter, possible: Sequence[str], *, ask: bool) -> str:
    """Return the group whose queue a message goes to; if several are possible, ask the person."""
    if len(possible) == 1:
        return possible[0]
    if not possible or not ask or not prompts.at_terminal():
        return ""
    import typer  # noqa: PLC0415 - only where a person is asked

    console.errors().print(f"{message.id}: {message.body[:BODY_START]}", soft_wrap=True)
    answer = str(typer.prompt(f"Which group ({', '.join(possible)}; empty keeps it)", default="", err=True))
    return answer if answer in possible else ""


def _unknown(possible: Sequence[str]) -> str:
    if possible:
        return f"it could belong to {' or '.join(possible)}: give its id and --to"
    return "no group has a control that this event triggers: check the message, then drop it"


def drop(  # noqa: PLR0913 - the command's own options
    stack: str, region: str | None, wanted: Sequence[str], because: str, *, yes: bool, as_json: bool
) -> None:
    """Have the clerk audit and delete dead letters, and print them whole, so that they are not lost by mistake.

    Raises:
        CommandError: one does not exist, no reason is given, the person said no, or the clerk refused.
    """
    if not because.strip():
        raise CommandError("--because is empty", 'Write a reason: --because "the table was deleted".', Exit.USAGE)
    there = stacks.find(stack, region, f"drop dead letters of {named(stack)}")
    now = clock.now()
    with DeadLetters(there) as queue:
        found = list(_chosen(queue, wanted))
    _check_missing([each for each in wanted if each not in {message.id for message in found}], there)
    if not as_json:
        _table(console.errors(), found, there, now)
    prompts.confirm(f"Delete {plural(len(found), 'message')} permanently?", "nothing was dropped", yes=yes)
    left: list[str] = []
    for start in range(0, len(found), dead_letters.MAX_MESSAGES):
        some = {message.id: message for message in found[start : start + dead_letters.MAX_MESSAGES]}
        said = _have_dropped(there, list(some), because, console.progress(show=not as_json))
        left += said["missing"]
        for each in said["dropped"]:
            console.write_json({**described(some[each], there, now), "dropped_because": because})
    if not as_json:
        console.errors().print(f"{len(found) - len(left)} dropped, printed whole on stdout.", style="bold")
    if left:
        raise CommandError(
            f"{plural(len(left), 'message')} could not be dropped: {', '.join(left)}",
            "Somebody else was reading them, or the time was up: run the command again in a few minutes.",
        )


def _have_dropped(stack: Stack, messages: list[str], because: str, say: Callable[[str], None]) -> dict[str, list[str]]:
    payload = {"drop": messages, "because": because}
    next_step = f"List what is left: {stack.line('dlq', 'list')}"
    said = proved.ask(stack, stack.output("ClerkFunctionName"), payload, "drop dead letters", next_step, say=say)
    if "dropped" not in said:
        raise CommandError(f"the clerk of stack {stack.name} is older than this command", "Deploy the stack again.")
    return said


def _chosen(queue: DeadLetters, wanted: Sequence[str]) -> Iterator[DeadLetter]:
    """Yield the given messages, or all; stop reading when each was found."""
    missing = set(wanted)
    for message in queue.messages():
        if not wanted:
            yield message
        elif message.id in missing:
            missing.remove(message.id)
            yield message
        if wanted and not missing:
            return


def _check_missing(missing: Sequence[str], stack: Stack) -> None:
    if missing:
        raise CommandError(
            f"there is no dead letter {', '.join(missing)}",
            "A message that somebody else is reading is visible again within minutes. To list them:"
            f" {stack.line('dlq', 'list')}",
            Exit.USAGE,
        )


def _line(message: str, word: str, what: str, *, as_json: bool) -> None:
    if not as_json:
        style = "green" if word == "SENT" else "yellow"
        console.results().print(Text.assemble((word, style), f"  {message}  {what}"), soft_wrap=True)
