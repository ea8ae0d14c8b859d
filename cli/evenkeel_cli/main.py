"""The ``evenkeel`` command; each subcommand imports its code only when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from evenkeel_cli.audit import commands as audit
from evenkeel_cli.dead_letters import commands as dead_letters
from evenkeel_cli.settings import commands as settings
from evenkeel_cli.ui.options import Output, OutputFormat, Region, StackName, Yes
from evenkeel_cli.ui.usage import Commands

app = typer.Typer(
    name="evenkeel",
    help="Keeps AWS accounts upright: repairs weakened resources within seconds, proves it, and can undo it.",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from evenkeel import __version__  # noqa: PLC0415 - keeps --help quick

        typer.echo(f"evenkeel {__version__}")
        raise typer.Exit


@app.callback()
def _evenkeel(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


app.add_typer(audit.app, name="audit")
app.add_typer(dead_letters.app, name="dlq")
app.add_typer(settings.app, name="settings")

Resource = Annotated[str, typer.Option(metavar="ARN", help="ARN of the resource, if you know it.")]
Because = Annotated[str, typer.Option(help="The reason; it is written to the audit.")]
SandboxRegion = Annotated[str, typer.Option(help="Region of the local AWS.")]
SandboxAccount = Annotated[str, typer.Option(help="Account id of the local AWS: 12 digits.")]


@app.command()
def controls(
    control: Annotated[str | None, typer.Argument(metavar="[CONTROL_ID]", help="Show this control in full.")] = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """List the controls, or show one in full."""
    from evenkeel_cli import controls_view  # noqa: PLC0415 - keeps --help quick

    controls_view.show(control, as_json=output is Output.JSON)


@app.command()
def demo(
    output_dir: Annotated[Path, typer.Option(help="Folder for summary.json and the full texts.")] = Path("build/demo"),
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for each repair.")] = 60,
    region: SandboxRegion = "eu-west-1",
    account: SandboxAccount = "123456789012",
) -> None:
    """Watch the real stack repair real resources on a local AWS; no AWS account is touched."""
    from evenkeel_cli.local import demo as story  # noqa: PLC0415 - as above

    story.run(output_dir, timeout, region, account)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 4566,
    region: SandboxRegion = "eu-west-1",
    account: SandboxAccount = "123456789012",
) -> None:
    """Start a local AWS with the stack deployed; point any AWS tool at it. Ctrl-C ends it."""
    from evenkeel_cli.local import serve  # noqa: PLC0415 - as above

    serve.run(port, region, account)


@app.command()
def pause(
    stack: StackName = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Stop a stack from changing anything, within seconds. Never asks; events wait in their queues."""
    from evenkeel_cli.changes import pause as switch  # noqa: PLC0415 - as above

    switch.pause(stack, region, as_json=output is Output.JSON)


@app.command()
def resume(
    stack: StackName = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
    yes: Yes = False,
) -> None:
    """Let a paused stack act again, also on the events that waited."""
    from evenkeel_cli.changes import pause as switch  # noqa: PLC0415 - as above

    switch.resume(stack, region, as_json=output is Output.JSON, yes=yes)


@app.command()
def undo(  # noqa: PLR0913, PLR0917 - a command's options
    stack: StackName = "",
    record: Annotated[str, typer.Argument(metavar="[RECORD]", help="Id of the record to undo.")] = "",
    resource: Annotated[str, typer.Option(metavar="ARN", help="ARN of the record's resource, if you know it.")] = "",
    since: Annotated[str, typer.Option(help="Instead of a record: all changes since then (1h, a UTC date).")] = "",
    control: Annotated[str, typer.Option(metavar="ID", help="With --since: only those of one control.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Undo even if the resource changed since.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be called, and stop.")] = False,
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Undo a change, or all changes since a time, the newest first. Shows the calls and asks first."""
    from evenkeel_cli.changes import undo_bulk, undo_command  # noqa: PLC0415 - as above

    options = undo_command.Options(force, dry_run, yes, output is Output.JSON)
    if undo_bulk.is_bulk(record, since, control, resource):
        undo_bulk.run(stack, region, since, control, resource, options)
    else:
        undo_command.one(stack, region, record, resource, options)


@app.command()
def approve(  # noqa: PLR0913, PLR0917 - a command's options
    record: Annotated[str, typer.Argument(metavar="RECORD", help="Id of the record that waits for approval.")],
    stack: StackName = "",
    resource: Resource = "",
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Approve a planned change. Refused if the resource changed since, or if you caused the finding."""
    from evenkeel_cli.changes import approvals  # noqa: PLC0415 - as above

    approvals.approve(stack, region, record, resource, yes=yes, as_json=output is Output.JSON)


@app.command()
def reject(  # noqa: PLR0913, PLR0917 - a command's options
    record: Annotated[str, typer.Argument(metavar="RECORD", help="Id of the record that waits for approval.")],
    because: Because,
    stack: StackName = "",
    resource: Resource = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Reject a planned change; the resource is left unchanged for 30 days."""
    from evenkeel_cli.changes import approvals  # noqa: PLC0415 - as above

    approvals.reject(stack, region, record, resource, because, as_json=output is Output.JSON)


@app.command()
def release(  # noqa: PLR0913, PLR0917 - a command's options
    control: Annotated[str, typer.Argument(metavar="[CONTROL_ID]", help="The control whose holds to release.")] = "",
    stack: StackName = "",
    resource: Resource = "",
    undone_since: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Release what was undone since then (1h, a UTC date), by one control or all."
        ),
    ] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Drop the held change; needs --resource, --because.")] = False,
    because: Annotated[str, typer.Option(help="With --drop: the reason.")] = "",
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Release what a control holds (blast radius, freeze, tug of war), one resource or all: it is checked again."""
    from evenkeel_cli.changes import approvals, release_bulk  # noqa: PLC0415 - as above

    as_json = output is Output.JSON
    release_bulk.check(control, resource, undone_since)
    if undone_since:
        release_bulk.run(stack, region, control, undone_since, yes=yes, as_json=as_json)
    elif drop:
        approvals.drop(stack, region, control, resource, because, as_json=as_json)
    else:
        approvals.release(stack, region, control, resource, yes=yes, as_json=as_json)


@app.command()
def run(  # noqa: PLR0913, PLR0917 - a command's options
    control: Annotated[str, typer.Argument(metavar="CONTROL_ID", help="The control to apply.")],
    stack: StackName = "",
    resource: Annotated[
        list[str] | None, typer.Option(metavar="ARN", help="ARN of a resource; can be repeated.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All resources of the control's type.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Make the changes; without it, nothing is changed.")] = False,
    at_most: Annotated[int | None, typer.Option(min=1, metavar="N", help="Change at most N resources.")] = None,
    after: Annotated[str, typer.Option(metavar="ARN", help="Continue an interrupted run after this resource.")] = "",
    all_outcomes: Annotated[bool, typer.Option("--all-outcomes", help="Also list compliant resources.")] = False,
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Check existing resources with a control and, with --apply, repair them. Obeys mode, scope and blast radius."""
    from evenkeel_cli.changes import run_command, run_rounds  # noqa: PLC0415 - as above

    wanted = run_rounds.RunRequest(control, tuple(resource or ()), after, at_most or 0)
    wanted.check(everything=all_)
    run_command.run(
        stack, region, wanted, run_command.Options(apply, yes, output is Output.JSON, all_outcomes=all_outcomes)
    )


@app.command()
def selftest(  # noqa: PLR0913, PLR0917 - a command's options
    stack: StackName = "",
    control: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this control; can be repeated.")] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Create test resources; without it, none are created.")
    ] = False,
    clean: Annotated[
        list[str] | None, typer.Option(metavar="RUN", help="Only delete what this run left behind; can be repeated.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, max=400, help="Seconds to wait for each step.")] = 300,
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Test each control on resources that the test creates: repair, record, alert, undo. Dry run unless --apply."""
    from evenkeel_cli.selftest import command  # noqa: PLC0415 - as above

    options = command.Options(apply, yes, output is Output.JSON, timeout)
    if clean:
        command.clean(stack, region, clean, options)
    else:
        command.run(stack, region, tuple(control or ()), options)


@app.command()
def exemptions(
    stack: StackName = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """List the exemptions: expiry, reason, approver, and the findings of the last month that each hides."""
    from evenkeel_cli.settings import exemptions as listing  # noqa: PLC0415 - as above

    listing.show(stack, region, as_json=output is Output.JSON)
