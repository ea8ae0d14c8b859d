"""The demo's output: finished lines stay, and a live line below them shows what is awaited."""

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
"""Width in columns from which a row also has room for the control's id."""
_MANY = 4
_WORDS = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")


def wrapped(command: str, width: int, prompt: str = "$ ") -> list[str]:
    """Return a shell command wrapped to a width with backslashes, so that it can be pasted.

    A quoted word stays whole, even if it is longer than the width.
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
    """Return a key that is the same for the same call on another resource."""
    name = re.split("[:/]", arn)[-1]
    rest = {key: value for key, value in call["params"].items() if name not in str(value)}
    return f"{call['service']} {call['operation']} {json.dumps(rest, sort_keys=True)}"


class Screen:
    """Prints the demo on a console; at a terminal with a live line, otherwise line by line."""

    def __init__(self, console: Console) -> None:
        """Limit the width to one that a README can show."""
        self.out = console
        self.width = min(console.width, WIDEST)
        self._live: Live | None = None
        self._shown: set[str] = set()
        self._began = time.monotonic()

    def begin(self, region: str, account: str) -> None:
        """Print the headline."""
        self.out.print(
            Text.assemble(("Evenkeel", "bold"), f"  the real stack on a local AWS: account {account}, {region}")
        )

    def doing(self, text: str) -> None:
        """Show a step in progress, until :meth:`started` or the next act."""
        self._end_live()
        if self.out.is_terminal:
            self._live = Live(Spinner("dots", f" {text}"), console=self.out, transient=True)
            self._live.start()

    def started(self, local: Local) -> None:
        """Print how long sandbox and stack took to start."""
        self._end_live()
        steps = (
            ("sandbox started", local.start_seconds),
            (f"template.yaml deployed: {len(local.stack.resources)} resources", local.deploy_seconds),
            (f"{local.properties} properties read back, all as in the template", local.readback_seconds),
        )
        for text, seconds in steps:
            self.out.print(Text.assemble(("✓ ", "green"), f"{text:<50}", (f"{seconds:5.1f} s", "dim")))

    def act(self, number: int, title: str) -> None:
        """Print an act's title and start its live line."""
        self._end_live()
        self.out.print(Text(f"\n{number}  {title}\n", style="bold"))
        if self.out.is_terminal:
            self._live = Live(Spinner("dots", " working"), console=self.out, transient=True, refresh_per_second=12)
            self._live.start()

    def tick(self, waiting: Sequence[Case]) -> None:
        """Show which resources are still awaited."""
        if self._live:
            names = list(dict.fromkeys(case.deed.name for case in waiting))
            more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
            text = Text(f" awaiting {', '.join(names[:_MANY])}{more}", no_wrap=True)
            text.truncate(self.width - 2, overflow="ellipsis")
            self._live.update(Spinner("dots", text))

    def ended(self, case: Case) -> None:
        """Print a case that has ended: its row, and those of its calls that no other resource has shown yet."""
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
            row.append(f"{case.control:<{label}} ", style="dim")  # narrower if the reason needs the room
        return row.append(said)

    def alert(self, alert: Alert, number: int) -> None:
        """Print one alert, without the AWS calls at its end."""
        self._end_live()
        self.out.print(Text(f"\nWhat on-call reads (one of {number} alerts)\n", style="bold"))
        self._quoted(alert.subject, "bold")
        *blocks, calls = alert.text.split("\n\n")
        for line in "\n\n".join(blocks or [calls]).splitlines():
            self._quoted(line, "")
        if blocks:
            self._quoted("… the AWS calls, and the calls that undo them, are in alerts.txt", "dim")

    def _quoted(self, line: str, style: str) -> None:
        """Print a line after a bar, wrapped; a command is wrapped so that it can be pasted."""
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
        """Print the result, the figures and the files; ``announced`` findings were not repaired."""
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
            self.out.print(f"  notify:   {announced} more were only announced: see alerts.txt")
        self._times(good)
        calls = sum(int(case.record["aws_calls"]) for case in good)
        took = time.monotonic() - self._began
        self.out.print(f"  in all:   {took:.0f} s, {calls} AWS calls for the repairs")
        self.out.print(f"  files:    {files}", style="dim", soft_wrap=True)

    def _times(self, good: Sequence[Case]) -> None:
        """Print the times from event to verified repair."""
        new = sorted(case.milliseconds or 0 for case in good if case.deed.person == "alice")
        weakened = [case.milliseconds or 0 for case in good if case.deed.person == "bob"]
        if weakened:
            middle = f"{median(weakened):,.0f} ms"
            self.out.print(f"  weakened: verified {middle} after the event (median of {len(weakened)})")
        if new:
            self.out.print(
                f"  new:      {new[0]:,} to {new[-1]:,} ms, with cold starts and 2 s for the creator to add tags"
            )

    def _end_live(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    close = _end_live
