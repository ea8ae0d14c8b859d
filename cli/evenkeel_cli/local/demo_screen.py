"""What the demo shows: finished lines scroll by and stay, what is still awaited stands below them while it runs."""

from __future__ import annotations

import json
import re
import textwrap
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from evenkeel.cli_lines import cli_line
from evenkeel.model import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from evenkeel_cli.local.demo_watch import Alert, Case
    from evenkeel_cli.local.local_stack import Local

LABEL = 31
NAME = 17
TIME = 9
WIDEST = 120
ROOMY = 96
"""Columns from which on a row has room for the control's id, too."""
_MANY = 4
_WORDS = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")


def wrapped(command: str, width: int, prompt: str = "$ ") -> list[str]:
    """Return a shell command on lines of a width, each but the last ending in a backslash, so that it can be pasted.

    A quoted word stays whole, even where it is longer than the width.
    """
    lines: list[str] = []
    line = prompt
    for word in _WORDS.findall(command):
        if len(line) + len(word) + 2 > width and line.strip() not in {"", prompt.strip()}:
            lines.append(f"{line}\\")
            line = "    "
        line = f"{line}{word} "
    return [*lines, line.rstrip()]


def _likeness(call: dict[str, Any], arn: str) -> str:
    """Return what a call has in common with the same call on another resource."""
    name = re.split("[:/]", arn)[-1]
    rest = {key: value for key, value in call["params"].items() if name not in str(value)}
    return f"{call['service']} {call['operation']} {json.dumps(rest, sort_keys=True)}"


class Screen:
    """Writes the demo to a console; on a terminal with a live part, else line by line."""

    def __init__(self, console: Console) -> None:
        """Keep to a width that a README can show."""
        self.out = console
        self.width = min(console.width, WIDEST)
        self._live: Live | None = None
        self._shown: set[str] = set()
        self._began = time.monotonic()

    def begin(self, region: str, account: str) -> None:
        """Return what is about to happen."""
        self.out.print(
            Text.assemble(
                ("Evenkeel", "bold"), f"  the real stack on an AWS on this machine: account {account}, {region}"
            )
        )

    def doing(self, text: str) -> None:
        """Show what is being done, until :meth:`stood` or the next act."""
        self._end_live()
        if self.out.is_terminal:
            self._live = Live(Spinner("dots", f" {text}"), console=self.out, transient=True)
            self._live.start()

    def stood(self, local: Local) -> None:
        """Return what stands."""
        self._end_live()
        steps = (
            ("sandbox started", local.start_seconds),
            (f"template.yaml deployed: {len(local.stack.resources)} resources", local.deploy_seconds),
            (f"{local.properties} properties of it read back, all as claimed", local.readback_seconds),
        )
        for text, seconds in steps:
            self.out.print(Text.assemble(("✓ ", "green"), f"{text:<50}", (f"{seconds:5.1f} s", "dim")))

    def act(self, number: int, title: str) -> None:
        """Open an act."""
        self._end_live()
        self.out.print(Text(f"\n{number}  {title}\n", style="bold"))
        if self.out.is_terminal:
            self._live = Live(Spinner("dots", " at it"), console=self.out, transient=True, refresh_per_second=12)
            self._live.start()

    def tick(self, waiting: Sequence[Case]) -> None:
        """Show what is still awaited."""
        if self._live:
            names = list(dict.fromkeys(case.deed.name for case in waiting))
            more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
            text = Text(f" awaiting {', '.join(names[:_MANY])}{more}", no_wrap=True)
            text.truncate(self.width - 2, overflow="ellipsis")
            self._live.update(Spinner("dots", text))

    def ended(self, case: Case) -> None:
        """Show a case that has ended: its line, and its calls, where the same was not shown for another resource."""
        self.out.print(self._row(case))
        if case.trouble:
            self.out.print(Text(f"    {case.trouble}", style="red"), soft_wrap=True)
        for call in case.record.get("calls", []):
            known = _likeness(call, case.deed.arn)
            if known not in self._shown:
                self._shown.add(known)
                for line in wrapped(cli_line(Call(**call)), self.width - 4):
                    self.out.print(Text(f"    {line}", style="cyan"), soft_wrap=True)

    def _row(self, case: Case) -> Text:
        took = "" if case.milliseconds is None else f"{case.milliseconds:,} ms"
        mark, style = ("✗", "bold red") if case.trouble else ("✓", "green") if case.must_repair else ("·", "dim")
        said = str(case.record.get("reason", "")).partition(";")[0] if case.must_repair else case.reason
        row = Text.assemble(
            (f"{mark} ", style),
            (f"{took or ('nothing' if case.trouble else 'untouched'):>{TIME}}", "bold" if took else "dim"),
            "  ",
            f"{case.deed.name:<{NAME}} ",
        )
        if self.width >= ROOMY:
            label = max(min(LABEL, self.width - row.cell_len - len(said) - 1), len(case.control))
            row.append(f"{case.control:<{label}} ", style="dim")  # narrower where the sentence needs its room
        return row.append(said)

    def alert(self, alert: Alert, number: int) -> None:
        """Show one alert, without the AWS calls at its end."""
        self._end_live()
        self.out.print(Text(f"\nWhat on-call reads (one of {number} alerts)\n", style="bold"))
        self._quoted(alert.subject, "bold")
        *blocks, calls = alert.text.split("\n\n")
        for line in "\n\n".join(blocks or [calls]).splitlines():
            self._quoted(line, "")
        if blocks:
            self._quoted("… and the AWS calls that were made, and those that undo them: see alerts.txt", "dim")

    def _quoted(self, line: str, style: str) -> None:
        """Print a line behind a bar; a longer one goes on below, a command so that it can be pasted."""
        room = self.width - 2
        is_command = line.startswith(("aws ", "evenkeel "))
        cut = (
            wrapped(line, room, prompt="")
            if is_command
            else textwrap.wrap(line, room, break_on_hyphens=False, break_long_words=False)
        )
        for part in cut or [""]:
            self.out.print(Text.assemble(("│ ", "dim"), (part, style)), soft_wrap=True)

    def end(self, cases: Sequence[Case], files: str, announced: int = 0) -> None:
        """Return how it all ended, with the figures and the files; ``announced`` findings were not repaired."""
        self._end_live()
        repairs = [case for case in cases if case.must_repair]
        good = [case for case in repairs if not case.trouble]
        spared = [case for case in cases if not case.must_repair and not case.trouble]
        ok = not any(case.trouble for case in cases)
        mark = ("✓ ", "bold green") if ok else ("✗ ", "bold red")
        self.out.print(
            Text.assemble(
                "\n",
                mark,
                (f"{len(good)} of {len(repairs)} findings repaired", "bold"),
                f" and read again; {len(spared)} near misses left alone",
            )
        )
        if announced:
            self.out.print(f"  notify:   {announced} more were only announced, nothing was called: see alerts.txt")
        self._times(good)
        calls = sum(int(case.record["aws_calls"]) for case in good)
        took = time.monotonic() - self._began
        self.out.print(f"  in all:   {took:.0f} s, {calls} AWS calls for the repairs")
        self.out.print(f"  files:    {files}", style="dim", soft_wrap=True)

    def _times(self, good: Sequence[Case]) -> None:
        """Return how long it took from event to verified, and what of it was waiting on purpose."""
        new = sorted(case.milliseconds or 0 for case in good if case.deed.person == "alice")
        weakened = [case.milliseconds or 0 for case in good if case.deed.person == "bob"]
        if weakened:
            middle = f"{median(weakened):,.0f} ms"
            self.out.print(f"  weakened: verified {middle} after the event (median of {len(weakened)})")
        if new:
            self.out.print(
                f"  new:      {new[0]:,} to {new[-1]:,} ms, with cold starts and 2 s for the maker's own tags"
            )

    def _end_live(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    close = _end_live
