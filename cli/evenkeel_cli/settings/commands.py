"""The ``evenkeel settings`` commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from evenkeel_cli.ui.options import Output, OutputFormat, Region, StackName, Yes

app = typer.Typer(help="The settings: check, show, compare, push.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="The settings, YAML or JSON.")]


@app.command()
def validate(file: File, output: OutputFormat = Output.TABLE) -> None:
    """Check a file as the functions would, and report every problem with its line. Needs no AWS account."""
    from evenkeel_cli.settings import views  # noqa: PLC0415 - keeps --help quick

    views.validate(file, as_json=output is Output.JSON)


@app.command()
def show(
    stack: StackName = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Print the live settings as YAML."""
    from evenkeel_cli.settings import views  # noqa: PLC0415 - keeps --help quick

    views.show(stack, region, as_json=output is Output.JSON)


@app.command()
def diff(
    file: File,
    stack: StackName = "",
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Compare a file with the live settings, and list the last month's findings whose decision would change."""
    from evenkeel_cli.settings import views  # noqa: PLC0415 - keeps --help quick

    views.diff(stack, region, file, as_json=output is Output.JSON)


@app.command()
def push(  # noqa: PLR0913, PLR0917 - a command's options
    file: File,
    stack: StackName = "",
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Deploy to all functions at once, without monitoring for a rollback.")
    ] = False,
    yes: Yes = False,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """Deploy a file in steps; it is rolled back if a function rejects it. Shows the difference and asks first."""
    from evenkeel_cli.settings import views  # noqa: PLC0415 - keeps --help quick

    views.push(stack, region, file, at_once=at_once, yes=yes, as_json=output is Output.JSON)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the file, for editors that complete and check it."""
    from evenkeel_cli.settings import json_schema  # noqa: PLC0415 - as above

    sys.stdout.write(json_schema.text())
