"""The ``evenkeel`` command: what is asked for is imported only when it is asked for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from evenkeel_cli.failure import told

app = typer.Typer(
    name="evenkeel",
    help="Keeps AWS accounts upright: repairs weakened resources within seconds, proves it, and can take it back.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Output(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"


StackName = Annotated[
    str, typer.Option("--stack", "-s", envvar="EVENKEEL_STACK", help="Name of the CloudFormation stack.")
]
Region = Annotated[str | None, typer.Option(help="AWS region; else the one of your AWS configuration.")]
OutputFormat = Annotated[Output, typer.Option("--output", "-o", help="table for people, json for machines.")]
SandboxRegion = Annotated[str, typer.Option(help="Region that the local AWS plays.")]
SandboxAccount = Annotated[str, typer.Option(help="Account that the local AWS plays: 12 digits.")]


@app.command()
def controls(
    control: Annotated[str | None, typer.Argument(metavar="[CONTROL_ID]", help="Tell all about one control.")] = None,
    output: OutputFormat = Output.TABLE,
) -> None:
    """List the controls: what Evenkeel keeps right, and how."""
    with told(as_json=output is Output.JSON):
        from evenkeel_cli import registry_view  # noqa: PLC0415 - keeps --help quick

        registry_view.show(control, as_json=output is Output.JSON)


@app.command()
def demo(
    output_dir: Annotated[Path, typer.Option(help="Where summary.json and the full texts go.")] = Path("build/demo"),
    timeout: Annotated[float, typer.Option(min=1, help="Seconds each resource may take to be repaired.")] = 60,
    region: SandboxRegion = "eu-west-1",
    account: SandboxAccount = "123456789012",
) -> None:
    """Watch the real stack repair real resources, on an AWS on this machine; no AWS account is touched."""
    with told():
        from evenkeel_cli import demo as story  # noqa: PLC0415 - as above

        story.run(output_dir, timeout, region, account)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 4566,
    region: SandboxRegion = "eu-west-1",
    account: SandboxAccount = "123456789012",
) -> None:
    """Start an AWS on this machine with the stack deployed; point any AWS tool at it. Ctrl-C ends it."""
    with told():
        from evenkeel_cli import serve  # noqa: PLC0415 - as above

        serve.run(port, region, account)


@app.command()
def pause(stack: StackName, region: Region = None, output: OutputFormat = Output.TABLE) -> None:
    """Stop all acting of a stack within seconds. Never asks; events wait in their queues."""
    with told(as_json=output is Output.JSON):
        from evenkeel_cli import pause as switch  # noqa: PLC0415 - as above

        switch.pause(stack, region, as_json=output is Output.JSON)


@app.command()
def resume(
    stack: StackName,
    region: Region = None,
    output: OutputFormat = Output.TABLE,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask at a terminal.")] = False,
) -> None:
    """Let a paused stack act again, on what has waited, too."""
    with told(as_json=output is Output.JSON):
        from evenkeel_cli import pause as switch  # noqa: PLC0415 - as above

        switch.resume(stack, region, as_json=output is Output.JSON, yes=yes)
