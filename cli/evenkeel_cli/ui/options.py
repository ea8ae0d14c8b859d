"""The options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Output(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"


StackName = Annotated[
    str,
    typer.Option(
        "--stack", "-s", envvar="EVENKEEL_STACK", help="The CloudFormation stack; else the only one in the region."
    ),
]
Region = Annotated[str | None, typer.Option(help="AWS region; else the one of your AWS configuration.")]
OutputFormat = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for machines.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
