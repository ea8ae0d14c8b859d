"""``evenkeel pause`` and ``evenkeel resume``: stop all remediators within seconds, and start them again."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel.cli_lines import own_line
from evenkeel.plurals import plural
from evenkeel_cli.aws import event_sources
from evenkeel_cli.aws.session import Cloud, named, reaching
from evenkeel_cli.ui import console
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from evenkeel_cli.aws.event_sources import Source

WAIT_SECONDS = 120.0
"""Time that Lambda may take to switch the sources: usually a few seconds, under load up to a minute."""
_KEEPS_DAYS = 14  # the template's value, used if the queue itself cannot be read


def pause(stack: str, region: str | None, *, as_json: bool) -> None:
    """Disable the event sources of a stack's remediators, without a question.

    Raises:
        CommandError: a source could not be disabled; the others were.
    """
    cloud, stack = _reached("pause", stack, region)
    found = event_sources.find(cloud, stack)
    began = time.monotonic()
    done = _switch(cloud, found, enabled=False, as_json=as_json)
    seconds = time.monotonic() - began
    counted = [event_sources.count(cloud, each) for each in done]
    already = all(each.before == "Disabled" for each in found)
    headline = f"{stack} was already paused." if already else f"{stack} is paused, after {seconds:.1f} s."
    days = min((each.keeps_days for each in counted if each.keeps_days is not None), default=_KEEPS_DAYS)

    def words(out: Console) -> None:
        out.print(
            Text.assemble((headline, "bold"), " No new changes start; a remediation that is already running finishes.")
        )
        out.print(f"Events keep arriving; each waits in its queue for up to {days} days.")
        out.print(f"next:  {own_line(stack, _region(cloud), 'resume')}", style="dim", soft_wrap=True)

    _conclude("pause", stack, counted, words, as_json=as_json)


def resume(stack: str, region: str | None, *, as_json: bool, yes: bool) -> None:
    """Enable the event sources again; asks at a terminal if messages wait, unless ``yes``.

    Raises:
        CommandError: a source could not be enabled, or the person said no.
    """
    cloud, stack = _reached("resume", stack, region)
    found = [event_sources.count(cloud, each) for each in event_sources.find(cloud, stack)]
    waiting = sum(each.waiting or 0 for each in found)
    if waiting and not yes and not as_json and sys.stdin.isatty():
        _ask(cloud, stack, waiting)
    done = _switch(cloud, found, enabled=True, as_json=as_json)
    already = all(each.before == "Enabled" for each in found)
    headline = f"{stack} was not paused." if already else f"{stack} is running again."
    waited = f" {plural(waiting, 'message')} waited; all are processed now." if waiting else ""
    words = Text.assemble((headline, "bold"), waited)
    _conclude("resume", stack, done, lambda out: out.print(words), as_json=as_json)


def _reached(action: str, stack: str, region: str | None) -> tuple[Cloud, str]:
    """Return the clients of a region and the stack's name; without a name, that of the only stack there."""
    with reaching(f"{action} {named(stack)}"):
        cloud = Cloud(region)
        return cloud, stack or event_sources.only(cloud)


def _region(cloud: Cloud) -> str:
    return str(cloud("cloudformation").meta.region_name)


def _ask(cloud: Cloud, stack: str, waiting: int) -> None:
    import typer  # noqa: PLC0415 - only where a person is asked

    if not typer.confirm(f"{plural(waiting, 'message')} waited: {stack} will act on them at once. Resume?"):
        again = own_line(stack, _region(cloud), "resume", yes=True)
        raise CommandError(f"{stack} was not resumed", f"To resume without a question: {again}", Exit.FAILED)


def _switch(cloud: Cloud, found: list[Source], *, enabled: bool, as_json: bool) -> list[Source]:
    if as_json or not console.errors().is_terminal:
        return event_sources.switch(cloud, found, enabled=enabled, seconds=WAIT_SECONDS)
    wanted = "Enabled" if enabled else "Disabled"
    with console.errors().status("") as status:

        def tick(seen: list[Source]) -> None:
            done = sum(each.state == wanted for each in seen)
            status.update(f"{done} of {len(seen)} event sources {wanted.lower()}")

        return event_sources.switch(cloud, found, enabled=enabled, seconds=WAIT_SECONDS, tick=tick)


def _conclude(action: str, stack: str, done: list[Source], words: Callable[[Console], None], *, as_json: bool) -> None:
    """Print each source and, if all were switched, the closing words.

    Raises:
        CommandError: a source could not be switched.
    """
    failed = [each for each in done if each.trouble]
    body = {"stack": stack, "action": action, "ok": not failed, "sources": [_described(each) for each in done]}

    def people(out: Console) -> None:
        _table(out, done)
        if not failed:
            words(out)

    console.show(body, people, as_json=as_json)
    if failed:
        raise _not_switched(action, stack, failed, len(done))


def _table(out: Console, done: list[Source]) -> None:
    rows = [
        (
            each.function,
            each.before,
            "unknown" if each.waiting is None else f"{each.waiting:,}",
            Text(each.trouble or each.state, style="red" if each.trouble else "green"),
        )
        for each in done
    ]
    console.table(out, ("function", "was", "waiting", "is"), rows)


def _described(source: Source) -> dict[str, Any]:
    return {
        "function": source.function,
        "queue": source.queue,
        "uuid": source.uuid,
        "before": source.before,
        "state": source.state,
        "waiting": source.waiting,
        "trouble": source.trouble or None,
    }


def _not_switched(action: str, stack: str, failed: list[Source], total: int) -> CommandError:
    names = "; ".join(f"{each.function} ({each.trouble})" for each in failed)
    done, flag = ("paused", "--no-enabled") if action == "pause" else ("resumed", "--enabled")
    return CommandError(
        f"{len(failed)} of {total} remediators of {stack} not {done}: {names}",
        f"Run the command again, or: aws lambda update-event-source-mapping {flag} --uuid {failed[0].uuid}",
    )
