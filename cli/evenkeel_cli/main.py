"""The ``evenkeel`` command: what is asked for is imported only when it is asked for."""

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

Resource = Annotated[str, typer.Option(metavar="ARN", help="The resource, where it is known.")]
Because = Annotated[str, typer.Option(help="Why; it is written into the audit.")]
SandboxRegion = Annotated[str, typer.Option(help="Region that the local AWS plays.")]
SandboxAccount = Annotated[str, typer.Option(help="Account that the local AWS plays: 12 digits.")]


@app.command()
def controls(
    control: Annotated[str | None, typer.Argument(metavar="[CONTROL_ID]", help="Tell all about one control.")] = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """List the controls: what Evenkeel keeps right, and how."""
    from evenkeel_cli import controls_view  # noqa: PLC0415 - keeps --help quick

    controls_view.show(control, as_json=output is Output.JSON)


@app.command()
def demo(
    output_dir: Annotated[Path, typer.Option(help="Where summary.json and the full texts go.")] = Path("build/demo"),
    timeout: Annotated[float, typer.Option(min=1, help="Seconds each resource may take to be repaired.")] = 60,
    region: SandboxRegion = "eu-west-1",
    account: SandboxAccount = "123456789012",
) -> None:
    """Watch the real stack repair real resources, on an AWS on this machine; no AWS account is touched."""
    from evenkeel_cli.local import demo as story  # noqa: PLC0415 - as above

    story.run(output_dir, timeout, region, account)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 4566,
    region: SandboxRegion = "eu-west-1",
    account: SandboxAccount = "123456789012",
) -> None:
    """Start an AWS on this machine with the stack deployed; point any AWS tool at it. Ctrl-C ends it."""
    from evenkeel_cli.local import serve  # noqa: PLC0415 - as above

    serve.run(port, region, account)


@app.command()
def pause(
    stack: StackName = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Stop all acting of a stack within seconds. Never asks; events wait in their queues."""
    from evenkeel_cli.changes import pause as switch  # noqa: PLC0415 - as above

    switch.pause(stack, region, as_json=output is Output.JSON)


@app.command()
def resume(
    stack: StackName = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
    yes: Yes = False,
) -> None:
    """Let a paused stack act again, on what has waited, too."""
    from evenkeel_cli.changes import pause as switch  # noqa: PLC0415 - as above

    switch.resume(stack, region, as_json=output is Output.JSON, yes=yes)


@app.command()
def undo(  # noqa: PLR0913, PLR0917 - a command's options
    stack: StackName = "",
    record: Annotated[str, typer.Argument(metavar="[RECORD]", help="Id of the record to undo.")] = "",
    resource: Annotated[str, typer.Option(metavar="ARN", help="The record's resource, where it is known.")] = "",
    since: Annotated[str, typer.Option(help="In place of a record: all changes since then (1h, a date in UTC).")] = "",
    control: Annotated[str, typer.Option(metavar="ID", help="With --since: only those of one control.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Also where the resource changed since.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be called, and stop.")] = False,
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Undo a change, or all changes since a time, the newest first. Shows what will be called and asks."""
    from evenkeel_cli.changes import undo_bulk, undo_command  # noqa: PLC0415 - as above

    how = undo_command.How(force, dry_run, yes, output is Output.JSON)
    if undo_bulk.is_bulk(record, since, control, resource):
        undo_bulk.run(stack, region, since, control, resource, how)
    else:
        undo_command.one(stack, region, record, resource, how)


@app.command()
def approve(  # noqa: PLR0913, PLR0917 - a command's options
    record: Annotated[str, typer.Argument(metavar="RECORD", help="Id of the record that waits for approval.")],
    stack: StackName = "",
    resource: Resource = "",
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Have a planned change made. It is refused where the resource changed since, and to whoever caused it."""
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
    """Decide against a planned change; the resource is left alone for 30 days."""
    from evenkeel_cli.changes import approvals  # noqa: PLC0415 - as above

    approvals.reject(stack, region, record, resource, because, as_json=output is Output.JSON)


@app.command()
def release(  # noqa: PLR0913, PLR0917 - a command's options
    control: Annotated[str, typer.Argument(metavar="[CONTROL_ID]", help="The control that holds something.")] = "",
    stack: StackName = "",
    resource: Resource = "",
    undone_since: Annotated[
        str,
        typer.Option(metavar="TIME", help="What was undone since then (1h, a date in UTC), of all controls or one."),
    ] = "",
    drop: Annotated[bool, typer.Option("--drop", help="Give it up instead; needs --resource and --because.")] = False,
    because: Annotated[str, typer.Option(help="With --drop: why.")] = "",
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Have what a control holds (blast radius, freeze, tug of war) looked at again: one resource, or all."""
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
    control: Annotated[str, typer.Argument(metavar="CONTROL_ID", help="The control to bring resources in line with.")],
    stack: StackName = "",
    resource: Annotated[list[str] | None, typer.Option(metavar="ARN", help="A resource; may be repeated.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All resources of the control's type.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Change them; without it nothing is changed.")] = False,
    at_most: Annotated[int | None, typer.Option(min=1, metavar="N", help="Change at most so many resources.")] = None,
    after: Annotated[str, typer.Option(metavar="ARN", help="Go on where an interrupted run came to.")] = "",
    all_outcomes: Annotated[bool, typer.Option("--all-outcomes", help="List what is in line, too.")] = False,
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Bring existing resources in line by hand; a dry run, unless --apply is given. Obeys mode, scope, blast radius."""
    from evenkeel_cli.changes import run_command, run_rounds  # noqa: PLC0415 - as above

    wanted = run_rounds.RunRequest(control, tuple(resource or ()), after, at_most or 0)
    wanted.check(everything=all_)
    run_command.run(
        stack, region, wanted, run_command.How(apply, yes, output is Output.JSON, all_outcomes=all_outcomes)
    )


@app.command()
def selftest(  # noqa: PLR0913, PLR0917 - a command's options
    stack: StackName = "",
    control: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this control; may be repeated.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Make resources; without it nothing is made.")] = False,
    clean: Annotated[
        list[str] | None, typer.Option(metavar="RUN", help="Only remove what this run left; may be repeated.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=1, max=400, help="Seconds that each thing is waited for.")] = 300,
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Prove on resources of its own that each control works here: repair, record, alert, undo. Dry run by default."""
    from evenkeel_cli.selftest import command  # noqa: PLC0415 - as above

    how = command.How(apply, yes, output is Output.JSON, timeout)
    if clean:
        command.clean(stack, region, clean, how)
    else:
        command.run(stack, region, tuple(control or ()), how)


@app.command()
def exemptions(
    stack: StackName = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """List what is exempt: until when, why, by whose word, and which findings of the last month it hides."""
    from evenkeel_cli.settings import exemptions as listing  # noqa: PLC0415 - as above

    listing.show(stack, region, as_json=output is Output.JSON)
