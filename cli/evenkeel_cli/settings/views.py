"""``evenkeel settings``: check a file, show the live settings, compare, push."""

from __future__ import annotations

import hashlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel import clock
from evenkeel.plurals import plural
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

_LISTED = 20  # findings listed
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def validate(path: Path, *, as_json: bool) -> None:
    """Check a file, without AWS.

    Raises:
        CommandError: with each problem and its line.
    """
    checked = source_file.check(source_file.read(path))
    named = {"control": checked.controls, "exemption": checked.exemptions, "freeze": checked.freezes}
    counts = ", ".join(plural(len(part), what) for what, part in named.items())
    body = {"file": str(path), "ok": True, "settings_version": checked.version}
    console.show(body, lambda out: out.print(f"{path} is valid: {counts}.", soft_wrap=True), as_json=as_json)


def show(stack: str, region: str | None, *, as_json: bool) -> None:
    """Print the live settings.

    Raises:
        CommandError: there are none, although functions have loaded settings before.
    """
    there = stacks.find(stack, region, f"show the settings of {named(stack)}")
    live, coming = Live(there).look()
    if live.missing:
        raise missing(there, coming)
    body = {"stack": there.name, **_described(live), "coming": _described(coming) if coming else None}
    console.show(body, lambda _: _yaml(there, live, coming), as_json=as_json)


def _yaml(there: Stack, live: Deployed, coming: Deployed | None) -> None:
    called = f"version {live.version}" if live.version else _unpushed(there)
    console.errors().print(f"# {there.name}: {called}, in records {_version(live)}", style="dim")
    if coming:
        console.errors().print(f"# version {coming.version} is {coming.state}, {coming.percent:.0f} %", style="yellow")
    sys.stdout.write(comparison.as_yaml(parsed(live.content)))


def _unpushed(stack: Stack) -> str:
    """Return a sentence on what holds before the first push."""
    mode = "the mode notify" if _start_mode(stack) == "notify" else "its recommended mode"
    return f"nothing has been pushed yet; the empty document holds: every control has {mode}"


def _start_mode(stack: Stack) -> str:
    return stack.parameters.get("StartMode") or "recommended"


def _old(live: Deployed, start_mode: str) -> Settings | None:
    """Return the settings in force; None if there are none, or this command cannot read them."""
    return None if live.missing else comparison.loaded(live.content, start_mode)


def _described(deployed: Deployed) -> dict[str, Any]:
    return {
        "version": deployed.version, "settings_version": _version(deployed), "deployment": deployed.number,
        "state": deployed.state, "percent": deployed.percent, "settings": parsed(deployed.content),
    }  # fmt: skip


def _version(deployed: Deployed) -> str:
    """Return the settings version that audit records show for a document."""
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
        with _waiting("reading the last month's findings", show=not as_json):
            compared = comparison.decisions(there, old, new, clock.now())
    body = {"stack": there.name, "live": live.version or live.state, "diff": changes, "findings": compared.findings,
            "decided_otherwise": [each.described() for each in compared.changed],
            "tags_unread": compared.tags.unread}  # fmt: skip

    def words(out: Console) -> None:
        _print_diff(out, changes)
        if changes and old:
            _print_decisions(out, compared)
        elif live.missing:
            out.print("No settings are in force, so nothing is changed now: decisions cannot be compared.")
        elif changes:
            out.print("The live settings are not valid for this version of the command: decisions cannot be compared.")

    console.show(body, words, as_json=as_json)


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
        out.print(f"… and {len(changed) - _LISTED:,} more: --output json lists all.")
    if compared.tags.warning:
        out.print(compared.tags.warning, style="yellow", soft_wrap=True)


def push(  # noqa: PLR0913 - the command's own options
    stack: str, region: str | None, path: Path, *, at_once: bool, yes: bool, as_json: bool
) -> None:
    """Check a file, show what it changes, ask, deploy it, and wait until it is deployed or rolled back.

    Repeating the same push follows the one in progress. If no settings are in force, the push goes to all functions at
    once: until it reached them, functions would have no settings.

    Raises:
        CommandError: the file has problems, the push was rejected or rolled back, or the person did not confirm.
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
            words = f"{there.name} already has these settings."
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
    """Return the announced findings that wait for an event under raised modes, or why they could not be counted."""
    if old is None:
        return {}, ""
    try:
        with _waiting("counting the announced findings that wait", show=not as_json):
            return waiting.waiting(there, old, new, clock.now()), ""
    except CommandError as error:
        return {}, waiting.uncounted(error)


def _follow(stack: Stack, appconfig: Live, number: int, *, as_json: bool) -> str:
    """Wait for a deployment; return its last state.

    Raises:
        CommandError: it was not completed.
    """
    try:
        with _progress(show=not as_json) as tick:
            state = appconfig.follow(number, tick)
    except KeyboardInterrupt:
        next_step = "Run the same command again to follow it; evenkeel settings show prints its progress."
        raise CommandError(f"deployment {number} continues by itself", next_step) from None
    if state != "COMPLETE":
        raise CommandError(
            f"{stack.name}: deployment {number} ended as {state}: {appconfig.why(number)}",
            f"{_in_force(appconfig)} The functions' log groups say what was rejected (settings: …).",
        )
    return state


def _in_force(appconfig: Live) -> str:
    """Return a sentence on what is in force after a push was rolled back."""
    live, _ = appconfig.look()
    if live.missing:
        return "No settings are in force, so nothing is changed: push valid ones."
    return (
        "The settings before it are in force again." if live.version else "The empty document is in force, as before."
    )


def _print_result(  # noqa: PLR0913 - the parts of a result
    stack: str, number: int, state: str, *, as_json: bool, words: str, parts: Mapping[str, Any] | None = None
) -> None:
    body = {"stack": stack, "deployment": number, "state": state, **(parts or {})}
    console.show(body, lambda out: out.print(words, soft_wrap=True), as_json=as_json)


@contextmanager
def _waiting(what: str, *, show: bool) -> Iterator[None]:
    if not show or not console.errors().is_terminal:
        yield
        return
    with console.errors().status(what):
        yield


@contextmanager
def _progress(*, show: bool) -> Iterator[Callable[[str, float], None]]:
    """Yield a function that shows state and percentage: a bar at a terminal, otherwise a line at each change."""
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
