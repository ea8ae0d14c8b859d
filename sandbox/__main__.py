"""A local AWS on 127.0.0.1: ``python -m sandbox --port 0`` prints one line of JSON when it is ready."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from sandbox.options import Options
from sandbox.server.process import run

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCOUNT = re.compile(r"\d{12}")


def _account(text: str) -> str:
    if not ACCOUNT.fullmatch(text):
        message = f"{text!r} is not an account id; give 12 digits"
        raise argparse.ArgumentTypeError(message)
    return text


def parse(arguments: Sequence[str]) -> Options:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=4566, help="port on 127.0.0.1 (0: any free port)")
    parser.add_argument("--region", default="eu-west-1")
    parser.add_argument("--account", type=_account, default="123456789012")
    help_on_seconds = "seconds that a new table stays CREATING, and a database creating or modifying"
    parser.add_argument("--table-seconds", type=float, default=1.5, help=help_on_seconds)
    help_on_minutes = "seconds that a minute of an AppConfig deployment lasts (0: deployments complete at once)"
    parser.add_argument("--minute-seconds", type=float, default=0.0, help=help_on_minutes)
    parser.add_argument("--log-level", default="WARNING", help="log level of the engine, on stderr")
    parser.add_argument(
        "--record",
        action="append",
        default=[],
        metavar="SERVICE",
        help="emit events for this service (boto3 name), too; may be repeated",
    )
    help_on_quiet = "emit no events for resources of Evenkeel's own stacks"
    parser.add_argument("--quiet-stacks", action="store_true", help=help_on_quiet)
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when stdin closes")
    values = parser.parse_args(arguments)
    return Options(
        port=values.port,
        region=values.region,
        account=values.account,
        table_seconds=values.table_seconds,
        minute_seconds=values.minute_seconds,
        log_level=values.log_level.upper(),
        record=tuple(values.record),
        quiet_stacks=values.quiet_stacks,
        exit_with_parent=values.exit_with_parent,
    )


def main() -> int:
    """Serve until a signal arrives (or, with ``--exit-with-parent``, until the parent ends); return the exit code."""
    return run(parse(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
