"""Prints the plan and the results of ``evenkeel selftest``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel.cli_lines import cli_line
from evenkeel.plurals import plural
from evenkeel_cli.audit import view
from evenkeel_cli.selftest.report import Row, StepName, Verdict
from evenkeel_cli.ui import console

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import Console

    from evenkeel.model import Call
    from evenkeel_cli.aws.stacks import Stack
    from evenkeel_cli.selftest.leftovers import Found
    from evenkeel_cli.selftest.planning import Plan, Trial
    from evenkeel_cli.selftest.report import Removal

_STYLES = {Verdict.OK: "green", Verdict.FAILED: "bold red", Verdict.SKIPPED: "dim"}
_TIMED = (StepName.AUDIT, StepName.STATE, StepName.ALERT, StepName.UNDO, StepName.DELETE)


def planned(plan: Plan, found: Found, receiving: Sequence[Call], now: datetime, *, as_json: bool) -> None:
    """Print a dry run; ``receiving`` are the calls that set up the alerts' queue."""
    alerts = [cli_line(call, plan.site.region) for call in receiving] if plan.tried else []
    rows = [Row(trial).described() | {"calls": _lines(trial, plan.site.region)} for trial in plan.trials]
    old = [{"resource": each.arn, "run": each.target.run, "due": each.is_due(now)} for each in found.resources]
    body = _report(plan, {
        "applied": False, "ok": not found.troubles, "results": rows, "leftovers": old, "troubles": found.troubles,
        "alerts": {"calls": alerts},
    })  # fmt: skip

    def words(out: Console) -> None:
        _show(out, plan, found, now)
        for trial in plan.tried:
            view.commands(out, f"{trial.control.id} would call", _lines(trial, plan.site.region))
        if alerts:
            view.commands(out, "to receive the alerts, it would call", alerts)
        out.print(f"\n{_price(plan)} Nothing was created.")
        out.print(f"next:  {plan.stack.line('selftest', apply=True)}", style="dim", soft_wrap=True)

    console.show(body, words, as_json=as_json)


def preview(plan: Plan, found: Found, now: datetime) -> None:
    """Print the plan on stderr, before the question."""
    _show(console.errors(), plan, found, now)


def question(plan: Plan, found: Found, now: datetime) -> str:
    """Return the question to ask before anything is created."""
    due = sum(each.is_due(now) for each in found.resources)
    deletes = f", and delete {plural(due, 'resource')} that earlier runs left" if due else ""
    where = f"account {plan.site.account}, {plan.site.region}"
    tried = plural(len(plan.tried), "control")
    return f"Test {tried} in {where}{deletes}? {_price(plan)} The stack sends its alerts as usual."


def _show(out: Console, plan: Plan, found: Found, now: datetime) -> None:
    rows = [_planned(trial) for trial in plan.trials]
    console.table(out, ("control", "mode", "cents", "seconds", "what it would do"), rows)
    for each in found.resources:
        what = "would be deleted" if each.is_due(now) else "younger than an hour: a self-test may be using it"
        out.print(f"left by run {each.target.run}: {each.arn}: {what}", soft_wrap=True)
    for trouble in found.troubles:
        out.print(Text(trouble, style="yellow"), soft_wrap=True)


def _planned(trial: Trial) -> tuple[Text | str, ...]:
    name = Text(trial.control.id, style="bold")
    if trial.why_not or not trial.maker:
        return (name, trial.mode, "", "", Text(trial.why_not, style="dim"))
    maker = trial.maker
    what = f"creates {maker.what}; expects it to be {trial.expects}"
    return (name, trial.mode, f"{maker.cents_at_most:.1f}", f"{maker.seconds}", what)


def _price(plan: Plan) -> str:
    seconds = max((each.maker.seconds for each in plan.tried if each.maker), default=0)
    return (
        f"It costs at most {plan.cents_at_most:.0f} cents (mostly AWS Config items, if Config records these types) and"
        f" takes about {plural(max(1, round(seconds / 60)), 'minute')}, longer if AWS delivers events late."
    )


def _lines(trial: Trial, region: str) -> list[str]:
    if trial.why_not or not (trial.maker and trial.target):
        return []
    return [cli_line(_shown(call), region) for call in trial.maker.calls(trial.target)]


def _shown(call: Call) -> Call:
    """Return a call with a placeholder for the bytes of a function's code."""
    if "Code" not in call.params:
        return call
    return type(call)(call.service, call.operation, {**call.params, "Code": {"ZipFile": "<a one-line handler>"}})


def tried(
    plan: Plan, rows: Sequence[Row], removals: Sequence[Removal], troubles: Sequence[str], *, as_json: bool
) -> None:
    """Print the results of a self-test."""
    bad = Verdict.FAILED in {*(row.verdict for row in rows), *(each.verdict for each in removals)}
    body = _report(plan, {
        "applied": True, "ok": not bad and not troubles, "results": [row.described() for row in rows],
        "leftovers": [each.described() for each in removals], "troubles": list(troubles),
    })  # fmt: skip
    console.show(body, lambda out: _tried(out, plan, rows, removals, troubles), as_json=as_json)


def _tried(out: Console, plan: Plan, rows: Sequence[Row], removals: Sequence[Removal], troubles: Sequence[str]) -> None:
    heads = ("control", "mode", "result", "outcome", *(str(name) for name in _TIMED), "why")
    console.table(out, heads, [_row(row) for row in rows])
    removed(removals, on=out)
    for trouble in troubles:
        out.print(Text(trouble, style="yellow"), soft_wrap=True)
    counted = {verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict}
    counts = ", ".join(f"{number} {verdict}" for verdict, number in counted.items() if number)
    out.print(f"\n{counts}. Run {plan.run}.", style="bold")


def _row(row: Row) -> tuple[Text | str, ...]:
    trial, verdict = row.trial, row.verdict
    why = trial.why_not or "; ".join(f"{step.name}: {step.detail}" for step in row.steps if step.detail)
    return (
        Text(trial.control.id, style="bold"),
        trial.mode,
        Text(str(verdict), style=_STYLES[verdict]),
        row.outcome,
        *(_seconds(row, name) for name in _TIMED),
        Text(why, style="" if row.failures else "dim"),
    )


def _seconds(row: Row, name: StepName) -> Text:
    step = row.step(name)
    if step is None or step.verdict is Verdict.SKIPPED:
        return Text("-", style="dim")
    shown = f"{step.seconds:.1f} s" if step.verdict is Verdict.OK else "failed"
    return Text(shown, style=_STYLES[step.verdict] if step.verdict is Verdict.FAILED else "")


def removed(removals: Sequence[Removal], *, on: Console) -> None:
    """Print what happened to the leftovers of earlier runs."""
    for each in removals:
        line = f"left by run {each.leftover.target.run}: {each.leftover.arn}: {each.detail}"
        on.print(Text(line, style=_STYLES[each.verdict]), soft_wrap=True)


def cleaned(  # noqa: PLR0913 - the results, and the form to print them in
    stack: Stack,
    runs: Sequence[str],
    removals: Sequence[Removal],
    troubles: Sequence[str],
    *,
    applied: bool,
    as_json: bool,
) -> None:
    """Print the results of a clean-up."""
    ok = not troubles and all(each.verdict is not Verdict.FAILED for each in removals)
    body = {"stack": stack.name, "region": stack.region, "runs": list(runs), "applied": applied, "ok": ok,
            "leftovers": [each.described() for each in removals], "troubles": list(troubles)}  # fmt: skip

    def words(out: Console) -> None:
        removed(removals, on=out)
        for trouble in troubles:
            out.print(Text(trouble, style="yellow"), soft_wrap=True)
        out.print(
            f"Found {plural(len(removals), 'resource')} of {'run' if len(runs) == 1 else 'runs'} {', '.join(runs)}."
        )
        if removals and not applied:
            line = stack.line("selftest", clean=tuple(runs), apply=True)
            out.print(f"next:  {line}", style="dim", soft_wrap=True)

    console.show(body, words, as_json=as_json)


def _report(plan: Plan, more: dict[str, Any]) -> dict[str, Any]:
    return {"stack": plan.stack.name, "region": plan.site.region, "account": plan.site.account, "run": plan.run,
            "cents_at_most": round(plan.cents_at_most, 1), **more}  # fmt: skip
