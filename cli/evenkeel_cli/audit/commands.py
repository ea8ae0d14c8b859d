"""The ``evenkeel audit`` commands."""

from __future__ import annotations

from typing import Annotated

import typer

from evenkeel_cli.ui.options import Output, OutputFormat, Region, StackName

app = typer.Typer(
    help="What Evenkeel did: list the records, show one, verify that nobody changed them.", no_args_is_help=True
)

OfResource = Annotated[str, typer.Option("--resource", metavar="ARN", help="Only the records of one resource.")]


@app.command("list")
def list_(  # noqa: PLR0913, PLR0917 - a command's options
    stack: StackName = "",
    resource: Annotated[
        str, typer.Option(metavar="ARN|NAME", help="Only the records of one resource; part of its name is enough.")
    ] = "",
    control: Annotated[str, typer.Option(metavar="ID", help="Only the records of one control.")] = "",
    actor: Annotated[str, typer.Option(metavar="NAME", help="Only records whose actor's name contains this.")] = "",
    outcome: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X", help="Only this outcome; can be repeated. AWAITING lists what waits for approval now."
        ),
    ] = None,
    since: Annotated[
        str, typer.Option(help="How far to look back: 90m, 24h, 7d or a date (UTC).", show_default="24h")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="List at most this many, the newest.")] = 50,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """List what Evenkeel did, the newest first; with --resource also what it planned."""
    from evenkeel import clock  # noqa: PLC0415 - keeps --help quick
    from evenkeel_cli.audit import view  # noqa: PLC0415 - as above

    asked = view.wanted(resource, control, outcome or [], since, clock.now(), actor)
    view.listing(stack, region, asked, limit, as_json=output is Output.JSON)


@app.command()
def show(
    record: Annotated[str, typer.Argument(metavar="RECORD", help="The record's id.")],
    stack: StackName = "",
    resource: OfResource = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Show one record in full: before and after, the calls, the undo calls, who, and its place in the chain."""
    from evenkeel_cli.audit import view  # noqa: PLC0415 - as above

    view.show(stack, region, record, resource, as_json=output is Output.JSON)


@app.command()
def verify(
    stack: StackName = "",
    resource: OfResource = "",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted verification.")] = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Verify that every record is as it was written, and list the records that are not."""
    from evenkeel_cli.audit import verify_command  # noqa: PLC0415 - as above

    verify_command.verify(stack, region, resource, resume=resume, as_json=output is Output.JSON)
