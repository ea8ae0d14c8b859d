"""``evenkeel sandbox``: a local AWS with the stack deployed, until Ctrl-C."""

from __future__ import annotations

import shlex
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from evenkeel_cli.local import local_stack
from evenkeel_cli.ui import console
from evenkeel_cli.ui.failure import CommandError

if TYPE_CHECKING:
    from types import FrameType

    from evenkeel_cli.local.local_stack import Local

USER = "captain"
"""The IAM user created for people, not root: no policy limits root's calls."""
_LOOK_SECONDS = 1.0


def run(port: int, region: str, account: str) -> None:
    """Serve until SIGINT or SIGTERM.

    Prints one line of JSON on stdout when ready: ``{"endpoint", "region", "account", "access_key_id",
    "secret_access_key", "stack", "outputs"}``; everything else goes to stderr.

    Raises:
        CommandError: it cannot start, or the server exited.
    """
    err = console.errors()
    told_to_stop = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        told_to_stop.set()

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with local_stack.started(port, region, account, lambda text: err.print(f"{text} ...", style="dim")) as running:
            announce(ready(running))
            while not told_to_stop.wait(_LOOK_SECONDS):
                _check_alive(running)
    except (CommandError, BotoCoreError):
        # A terminal's Ctrl-C reaches the server, too: an error while both stop is not a failure.
        if not told_to_stop.is_set():
            raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def ready(running: Local) -> dict[str, object]:
    """Return the ready line: endpoint, region, and credentials of an IAM user that may do everything."""
    sandbox = running.sandbox
    credentials = sandbox.create_user(USER).get_credentials()
    if credentials is None:
        raise RuntimeError(f"the sandbox gave the user {USER} no credentials")
    return {
        "endpoint": sandbox.endpoint,
        "region": sandbox.region,
        "account": sandbox.account,
        "access_key_id": credentials.access_key,
        "secret_access_key": credentials.secret_key,
        "stack": running.stack.name,
        "outputs": running.stack.outputs,
    }


def _check_alive(running: Local) -> None:
    port = int(running.sandbox.endpoint.rpartition(":")[2])
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError as error:
        said = running.sandbox.server_log()[-2000:]
        raise CommandError(f"the sandbox exited ({error}): {said}", "Start it again.") from error


def announce(line: dict[str, object]) -> None:
    """Print the ready line on stdout, and on stderr the commands for another terminal."""
    console.write_json(line)
    sys.stdout.flush()
    err = console.errors()
    err.print(f"\n{line['stack']} is ready. In another terminal:\n", style="bold")
    for name, key in (
        ("AWS_ENDPOINT_URL", "endpoint"),
        ("AWS_REGION", "region"),
        ("AWS_DEFAULT_REGION", "region"),
        ("AWS_ACCESS_KEY_ID", "access_key_id"),
        ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
        ("EVENKEEL_STACK", "stack"),
    ):
        err.print(f"  export {name}={line[key]}", soft_wrap=True)
    err.print(f"  export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH", soft_wrap=True)
    err.print("\n  aws logs create-log-group --log-group-name /my/first")
    err.print("  aws logs describe-log-groups --log-group-name-prefix /my  # its key and retention a second later")
    err.print("  evenkeel audit list  # what Evenkeel did, and why")
    err.print("\nCtrl-C ends it.", style="dim")
