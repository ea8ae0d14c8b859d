"""Prints how much of each AWS quota the stack uses, today and with thirty groups."""

from __future__ import annotations

import sys

from evenkeel.control.registry import groups
from evenkeel_cli.ui import closed_pipe
from tools.aws_quotas.measure import Measure, measured, worst
from tools.aws_quotas.thirty_groups import thirty_groups
from tools.generate import ROOT, built


def main() -> int:
    """Print the table; return 1 if a limit is exceeded."""
    real = groups()
    today, later = (worst(measured(*built(ROOT, catalogue))) for catalogue in (real, thirty_groups(real)))
    print("| quota | limit | allowed | today | 30 groups, 110 controls | largest | source |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for now, then in zip(today, later, strict=True):
        limit = then.limit
        cells = [
            _name(then),
            f"{limit.most:,}",
            f"{limit.share:.0%}",
            _cell(now),
            _cell(then),
            then.where,
            limit.source,
        ]
        print(f"| {' | '.join(cells)} |")
    return int(any(each.exceeded for each in (*today, *later)))


def _name(measure: Measure) -> str:
    """Return the quota's name; for a template, with whether it is the root or the largest group."""
    part = "" if " " in measure.where or measure.where == "stack" else "root" if measure.where == "root" else "a group"
    return f"{part}: {measure.limit.name}" if part else measure.limit.name


def _cell(measure: Measure) -> str:
    return f"{measure.value:,} ({measure.value / measure.limit.most:.0%}{', too high' if measure.exceeded else ''})"


if __name__ == "__main__":
    with closed_pipe.quiet():
        sys.exit(main())
