"""What the demo shows: finished lines scroll by and stay, what is still awaited stands below them while it runs."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
from rich.text import Text

from evenkeel.model import Call
from evenkeel.render import cli_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from evenkeel_cli.demo_watch import Alert, Case
    from evenkeel_cli.local import Local

LABEL = 31
NAME = 20
TIME = 8
INDENT = TIME + 4
WIDEST = 120
_MANY = 4


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
        """Say what is about to happen."""
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
        """Say what stands."""
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
        self._shown.clear()
        self.out.print(Text(f"\n{number}  {title}\n", style="bold"))
        if self.out.is_terminal:
            self._live = Live(console=self.out, transient=True, refresh_per_second=12)
            self._live.start()

    def tick(self, waiting: Sequence[Case]) -> None:
        """Show what is still awaited."""
        if self._live:
            names = list(dict.fromkeys(case.deed.name for case in waiting))
            more = f" and {len(names) - _MANY} more" if len(names) > _MANY else ""
            self._live.update(Spinner("dots", f" awaiting {', '.join(names[:_MANY])}{more}"))

    def ended(self, case: Case) -> None:
        """Show a case that has ended: its line, and the calls the first time they appear in an act."""
        self.out.print(self._row(case))
        if case.trouble:
            self.out.print(Padding(Text(case.trouble, style="red"), (0, 0, 0, INDENT)), width=self.width)
        for call in case.record.get("calls", []):
            known = f"{call['service']} {call['operation']}"
            if known not in self._shown:
                self._shown.add(known)
                line = Text(cli_line(Call(**call)), style="cyan", overflow="fold")
                self.out.print(Padding(line, (0, 0, 0, INDENT)), width=self.width)

    def _row(self, case: Case) -> Text:
        took = "" if case.milliseconds is None else f"{case.milliseconds:,} ms"
        mark, style = ("✗", "bold red") if case.trouble else ("✓", "green") if case.must_repair else ("·", "dim")
        said = str(case.record.get("reason", "")) if case.must_repair else f"left alone: {case.reason}"
        row = Text.assemble(
            (f"{mark} ", style),
            (f"{took or 'looked':>{TIME}}", "bold" if took else "dim"),
            "  ",
            f"{case.deed.name:<{NAME}} ",
            (f"{case.control:<{LABEL}} ", "dim"),
            said,
        )
        row.truncate(self.width, overflow="ellipsis")
        return row

    def alert(self, alert: Alert, number: int) -> None:
        """Show one alert to the letter."""
        self._end_live()
        self.out.print(Text(f"\nWhat on-call reads (one of {number} alerts)\n", style="bold"))
        self._quoted(alert.subject, "bold")
        self._quoted("", "")
        for line in alert.text.splitlines():
            self._quoted(line, "")

    def _quoted(self, line: str, style: str) -> None:
        """Print a line behind a bar; a longer one goes on under its own value."""
        hanging = 12 if line[:12].strip() and line[11:12] == " " else 0
        room = self.width - 2
        first, rest = line[:room], line[room:]
        self.out.print(Text.assemble(("│ ", "dim"), (first, style)), soft_wrap=True)
        while rest:
            cut, rest = rest[: room - hanging], rest[room - hanging :]
            self.out.print(Text.assemble(("│ ", "dim"), (" " * hanging + cut, style)), soft_wrap=True)

    def end(self, cases: Sequence[Case], files: Sequence[str]) -> None:
        """Say how it all ended, with the figures and the files."""
        self._end_live()
        repairs = [case for case in cases if case.must_repair]
        good = [case for case in repairs if not case.trouble]
        spared = [case for case in cases if not case.must_repair and not case.trouble]
        ok = not any(case.trouble for case in cases)
        mark = ("✓ ", "bold green") if ok else ("✗ ", "bold red")
        calls = sum(int(case.record["aws_calls"]) for case in good)
        self.out.print(
            Text.assemble(
                "\n",
                mark,
                (f"{len(good)} of {len(repairs)} findings repaired", "bold"),
                f", each read again by the demo itself; {len(spared)} near misses left alone; {calls} AWS calls",
            )
        )
        self._times(good)
        self.out.print(f"  {time.monotonic() - self._began:.0f} s in all.  {'  '.join(files)}", style="dim")

    def _times(self, good: Sequence[Case]) -> None:
        """Say how long it took from event to verified, and what of it was waiting on purpose."""
        new = sorted(case.milliseconds or 0 for case in good if case.deed.person == "alice")
        weakened = [case.milliseconds or 0 for case in good if case.deed.person == "bob"]
        if weakened:
            self.out.print(f"  weakened: verified {median(weakened):,.0f} ms after the event (median)")
        if new:
            self.out.print(
                f"  new: {new[0]:,} to {new[-1]:,} ms, with the functions' cold start; tags wait 2 s for their maker,\n"
                "  and a table is CREATING for a while, as in AWS"
            )

    def _end_live(self) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    close = _end_live
