"""The ``evenkeel dlq`` commands."""

from __future__ import annotations

from typing import Annotated

import typer

from evenkeel_cli.ui.failure import CommandError, Exit
from evenkeel_cli.ui.options import Output, OutputFormat, Region, StackName, Yes

app = typer.Typer(help="Dead letters: list them, send them back, drop them.", no_args_is_help=True)


@app.command("list")
def list_(
    stack: StackName = "",
    limit: Annotated[int, typer.Option(min=1, help="List at most this many.")] = 100,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """List the dead letters: why each one failed and where it came from. Nothing is removed."""
    from evenkeel_cli.dead_letters import view  # noqa: PLC0415 - keeps --help quick

    view.show(stack, region, limit, as_json=output is Output.JSON)


@app.command()
def redrive(  # noqa: PLR0913, PLR0917 - a command's options
    stack: StackName = "",
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of messages.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="All messages that are in the queue now.")] = False,
    to: Annotated[str, typer.Option(metavar="GROUP", help="The group to send to, if the message does not say.")] = "",
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Send dead letters back to the queues that they came from."""
    if bool(ids) == all_:
        raise CommandError("dlq redrive: no message is given", "Give the messages' ids, or --all.", Exit.USAGE)
    if to and all_:
        raise CommandError("dlq redrive: --to cannot be combined with --all", "Give the messages' ids.", Exit.USAGE)
    from evenkeel_cli.dead_letters import view  # noqa: PLC0415 - as above

    view.redrive(stack, region, ids or [], to, yes=yes, as_json=output is Output.JSON)


@app.command()
def drop(  # noqa: PLR0913, PLR0917 - a command's options
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of messages.")],
    because: Annotated[str, typer.Option(metavar="TEXT", help="The reason; it is written to the audit.")],
    stack: StackName = "",
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Delete dead letters permanently, audited in your name. Prints each as a line of JSON, for you to keep."""
    from evenkeel_cli.dead_letters import view  # noqa: PLC0415 - as above

    view.drop(stack, region, ids, because, yes=yes, as_json=output is Output.JSON)
