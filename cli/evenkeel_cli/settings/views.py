"""``evenkeel settings``: check a file, see what is live, compare, push."""

from __future__ import annotations

import hashlib
import json
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel_cli.aws import stacks
from evenkeel_cli.aws.resource_tags import Tags
from evenkeel_cli.aws.session import named
from evenkeel_cli.settings import comparison, source_file, waiting
from evenkeel_cli.settings.deployed import Live, busy, missing, parsed
from evenkeel_cli.ui import arns, console, prompts
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from rich.console import Console

    from evenkeel.settings.parser import Settings
    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.settings.comparison import Compared
    from evenkeel_cli.settings.deployed import Deployed

_LISTED = 20  # findings that a person is shown
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def validate(path: Path, *, as_json: bool) -> None:
    """Check a file, without AWS.

    Raises:
        CommandError: with each problem and its line.
    """
    checked = source_file.check(source_file.read(path))
    if as_json:
        sys.stdout.write(json.dumps({"file": str(path), "ok": True, "settings_version": checked.version}) + "\n")
    else:
        named = {"control": checked.controls, "exemption": checked.exemptions, "freeze": checked.freezes}
        counts = ", ".join(
            f"{number} {what}{'' if number == 1 else 's'}"
            for what, number in ((what, len(part)) for what, part in named.items())
        )
        console.results().print(f"{path} is valid: {counts}.", soft_wrap=True)


def show(stack: str, region: str | None, *, as_json: bool) -> None:
    """Print what is live.

    Raises:
        CommandError: nothing is, though functions have loaded settings before.
    """
    there = stacks.find(stack, region, f"show the settings of {named(stack)}")
    live, coming = Live(there).look()
    if live.missing:
        raise missing(there, coming)
    if as_json:
        body = {"stack": there.name, **_described(live), "coming": _described(coming) if coming else None}
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
        return
    called = f"version {live.version}" if live.version else _unpushed(there)
    console.errors().print(f"# {there.name}: {called}, in records {_version(live)}", style="dim")
    if coming:
        console.errors().print(f"# version {coming.version} is {coming.state}, {coming.percent:.0f} %", style="yellow")
    sys.stdout.write(comparison.as_yaml(parsed(live.content)))


def _unpushed(stack: Stack) -> str:
    """Return what it means that nothing was pushed."""
    mode = "the mode notify" if _start_mode(stack) == "notify" else "its recommended mode"
    return f"nothing has been pushed yet; the empty document holds: every control has {mode}"


def _start_mode(stack: Stack) -> str:
    return stack.parameters.get("StartMode") or "recommended"


def _old(live: Deployed, start_mode: str) -> Settings | None:
    """Return the settings that decide now; None where none do, or this command cannot read them."""
    return None if live.missing else comparison.loaded(live.content, start_mode)


def _described(deployed: Deployed) -> dict[str, Any]:
    return {
        "version": deployed.version, "settings_version": _version(deployed), "deployment": deployed.number,
        "state": deployed.state, "percent": deployed.percent, "settings": parsed(deployed.content),
    }  # fmt: skip


def _version(deployed: Deployed) -> str:
    """Return the name that audit records give to a document."""
    return hashlib.sha256(deployed.content.encode()).hexdigest()[:12]


def diff(stack: str, region: str | None, path: Path, *, as_json: bool) -> None:
    """Compare a file with the live settings, and list last month's findings whose decision would change."""
    there = stacks.find(stack, region, f"compare {path} with the settings of {named(stack)}")
    found = source_file.read(path)
    start_mode = _start_mode(there)
    new = source_file.check(found, start_mode=start_mode)
    live, _ = Live(there).look()
    changes = comparison.lines(parsed(live.content), found.document, live.name, str(path))
    old = _old(live, start_mode)
    compared = comparison.Compared((), 0, Tags())
    if old and changes:
        with _waiting("looking through the last month's findings", show=not as_json):
            compared = comparison.decisions(there, old, new, datetime.now(UTC))
    if as_json:
        body = {"stack": there.name, "live": live.version or live.state, "diff": changes, "findings": compared.findings,
                "decided_otherwise": [each.described() for each in compared.changed],
                "tags_unread": compared.tags.unread}  # fmt: skip
        sys.stdout.write(json.dumps(body, indent=2) + "\n")
        return
    out = console.results()
    _print_diff(out, changes)
    if changes and old:
        _print_decisions(out, compared)
    elif live.missing:
        out.print("No settings are in force, so nothing is changed now: decisions cannot be compared.")
    elif changes:
        out.print("The live settings are not valid for this version of the command, so decisions cannot be compared.")


def _print_diff(out: Console, changes: list[str]) -> None:
    if not changes:
        out.print("No difference.")
    for line in changes:
        out.print(Text(line, style=_STYLES.get(line[:1], "")), soft_wrap=True)


def _print_decisions(out: Console, compared: Compared) -> None:
    changed = compared.changed
    summary = f"The decision on {len(changed):,} of {compared.findings:,} findings of the last 30 days would change."
    out.print(f"\n{summary}", style="bold")
    for each in changed[:_LISTED]:
        what = Text.assemble((each.control, "bold"), f"  {arns.short(each.resource)}: ", (each.before, "red"), " → ",
                             (each.after, "green"))  # fmt: skip
        out.print(what, soft_wrap=True)
    if len(changed) > _LISTED:
        out.print(f"… and {len(changed) - _LISTED:,} more: --output json has all.")
    if compared.tags.told:
        out.print(compared.tags.told, style="yellow", soft_wrap=True)


def push(  # noqa: PLR0913 - the command's own options
    stack: str, region: str | None, path: Path, *, at_once: bool, yes: bool, as_json: bool
) -> None:
    """Check a file, show what it changes, ask, deploy it, and wait until it is deployed or rolled back.

    The same push again follows the one that is under way. If no settings are in force, the push reaches all functions
    at once: functions that it has not reached yet would have no settings.

    Raises:
        CommandError: the file is wrong, the push was refused or rolled back, or the person did not confirm.
    """
    there = stacks.find(stack, region, f"push {path} to {named(stack)}")
    found = source_file.read(path)
    start_mode = _start_mode(there)
    new = source_file.check(found, start_mode=start_mode)
    appconfig = Live(there)
    live, coming = appconfig.look()
    if coming and parsed(coming.content) != found.document:
        raise busy(there, f"version {coming.version} is {coming.state}, {coming.percent:.0f} %")
    if coming:
        number = coming.number
    else:
        at_once = at_once or not live.version
        changes = comparison.lines(parsed(live.content), found.document, live.name, str(path))
        if not as_json:
            _print_diff(console.errors(), changes)
        if live.version and not changes:
            words = f"{there.name} has these settings already."
            _print_result(there.name, live.number, "COMPLETE", as_json=as_json, words=words)
            return
        how = "at once, without monitoring" if at_once else "a fifth of the functions at a time, then monitored"
        prompts.confirm(f"Push this to {there.name} ({how})?", "nothing was pushed", yes=yes)
        number = appconfig.start(found.text, at_once=at_once)
    state = _follow(there, appconfig, number, as_json=as_json)
    counts, uncounted = _waiting_findings(there, _old(live, start_mode), new, as_json=as_json)
    parts = {"announced_waiting": counts, **({"uncounted": uncounted} if uncounted else {})}
    said = [f"{there.name} has the new settings; every worker sees them within a minute."]
    words = "\n".join([*said, *waiting.sentences(there, counts), *filter(None, [uncounted])])
    _print_result(there.name, number, state, as_json=as_json, words=words, parts=parts)


def _waiting_findings(
    there: Stack, old: Settings | None, new: Settings, *, as_json: bool
) -> tuple[dict[str, int], str]:
    """Count the announced findings that wait for an event under raised modes; or return why they are not counted."""
    if old is None:
        return {}, ""
    try:
        with _waiting("counting the announced findings that wait", show=not as_json):
            return waiting.waiting(there, old, new, datetime.now(UTC)), ""
    except CommandError as error:
        return {}, waiting.uncounted(error)


def _follow(stack: Stack, appconfig: Live, number: int, *, as_json: bool) -> str:
    """Wait for a deployment; return its last state.

    Raises:
        CommandError: it did not come to its end.
    """
    try:
        with _progress(show=not as_json) as tick:
            state = appconfig.follow(number, tick)
    except KeyboardInterrupt:
        next_step = "Run the same command again to follow it; settings show says how far it is."
        raise CommandError(f"deployment {number} goes on by itself", next_step) from None
    if state != "COMPLETE":
        raise CommandError(
            f"{stack.name}: deployment {number} ended as {state}: {appconfig.why(number)}",
            f"{_in_force(appconfig)} The functions' log groups say what was refused (settings: …).",
        )
    return state


def _in_force(appconfig: Live) -> str:
    """Return what is in force after a push that was rolled back."""
    live, _ = appconfig.look()
    if live.missing:
        return "None are in force, so nothing is changed: push others."
    return (
        "The settings before it are in force again." if live.version else "The empty document is in force, as before."
    )


def _print_result(  # noqa: PLR0913 - the parts of a result
    stack: str, number: int, state: str, *, as_json: bool, words: str, parts: Mapping[str, Any] | None = None
) -> None:
    if as_json:
        body = {"stack": stack, "deployment": number, "state": state, **(parts or {})}
        sys.stdout.write(json.dumps(body) + "\n")
    else:
        console.results().print(words, soft_wrap=True)


@contextmanager
def _waiting(what: str, *, show: bool) -> Iterator[None]:
    if not show or not console.errors().is_terminal:
        yield
        return
    with console.errors().status(what):
        yield


@contextmanager
def _progress(*, show: bool) -> Iterator[Callable[[str, float], None]]:
    """Show state and percentage: as a bar at a terminal, else as a line when either changes."""
    err = console.errors()
    if not show:
        yield lambda _state, _percent: None
        return
    if not err.is_terminal:
        said: list[str] = []

        def show_line(state: str, percent: float) -> None:
            line = f"{state} {percent:.0f} %"
            if said[-1:] != [line]:
                said.append(line)
                err.print(line)

        yield show_line
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - only at a terminal

    with Progress(TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=err) as bar:
        task = bar.add_task("", total=100)
        yield lambda state, percent: bar.update(task, description=state, completed=percent)
