"""Asks one of the stack's functions in the person's own name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel.caller import sign
from evenkeel_cli.cloud import reaching
from evenkeel_cli.failure import CommandError

if TYPE_CHECKING:
    from evenkeel_cli.stacks import Stack

INVOKE_SECONDS = 75
"""How long a function may take; its own limit is a minute."""


def ask(stack: Stack, function: str, payload: dict[str, Any], what: str, next_step: str) -> dict[str, Any]:
    """Invoke a function with a payload and the proof of who asks; return its answer.

    It is never sent twice: a proof is good for one request.

    Raises:
        CommandError: AWS or the function refused, or the function crashed.
    """
    cloud = stack.cloud
    with reaching(what):
        caller = sign(cloud.session, cloud("sts").meta.endpoint_url, stack.name, payload)
        client = cloud.client("lambda", seconds=INVOKE_SECONDS, attempts=1)
        answer = client.invoke(FunctionName=function, Payload=json.dumps({**payload, "caller": caller}).encode())
        said: dict[str, Any] = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError") or "error" in said:
        message = str(said.get("error") or said.get("errorMessage", "no message"))
        raise CommandError(f"cannot {what}: {message.partition(': ')[2] or message}", next_step)
    return said
