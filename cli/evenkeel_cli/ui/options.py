"""The options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Output(StrEnum):
    """The form of a result."""

    TABLE = "table"
    JSON = "json"


StackName = Annotated[
    str,
    typer.Option(
        "--stack",
        "-s",
        envvar="EVENKEEL_STACK",
        help="CloudFormation stack; default: the only Evenkeel stack in the region.",
    ),
]
Region = Annotated[str | None, typer.Option(help="AWS region; default: that of your AWS configuration.")]
OutputFormat = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for machines.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]
