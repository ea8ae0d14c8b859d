"""The functions of a stack's groups: which one serves a control, and what it answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel.errors import MalformedPayloadError
from evenkeel_cli.cloud import reaching
from evenkeel_cli.failure import CommandError, Exit

if TYPE_CHECKING:
    from evenkeel_cli.stacks import Stack

INVOKE_SECONDS = 75
"""How long a function may take; its own limit is a minute."""


class RefusedError(CommandError):
    """A function refused. ``kind`` is the name of its error."""

    def __init__(self, kind: str, message: str, next_step: str, code: Exit = Exit.FAILED) -> None:
        """Keep the kind beside what to say."""
        super().__init__(message, next_step, code)
        self.kind = kind


def of(stack: Stack, control: str) -> str:
    """Return the name of the function that serves a control.

    Raises:
        CommandError: the stack has none, as where the control's group is not enabled.
    """
    groups = {
        name.removesuffix("FunctionName"): value
        for name, value in stack.outputs.items()
        if name.endswith("FunctionName") and f"{name.removesuffix('FunctionName')}QueueUrl" in stack.outputs
    }
    found = next((value for group, value in groups.items() if control.startswith(f"{group.lower()}-")), "")
    if not found:
        known = ", ".join(sorted(group.lower() for group in groups))
        message = f"stack {stack.name} has no function for a control {control!r}; its groups are {known}"
        next_step = "See evenkeel controls; the stack's parameter EnabledGroups says which groups it has."
        raise CommandError(message, next_step, Exit.USAGE)
    return found


def invoke(stack: Stack, function: str, payload: dict[str, Any], what: str, next_step: str) -> dict[str, Any]:
    """Invoke a function and return its answer; ``what`` is what is being done, for the error's words.

    It is never sent twice: a proof is good for one request, and what a lost answer told is not in the next one.

    Raises:
        RefusedError: the function refused.
        CommandError: AWS refused, or the function crashed.
    """
    with reaching(what):
        client = stack.cloud.client("lambda", seconds=INVOKE_SECONDS, attempts=1)
        answer = client.invoke(FunctionName=function, Payload=json.dumps(payload).encode())
        said: dict[str, Any] = json.loads(answer["Payload"].read() or b"{}")
    if answer.get("FunctionError"):
        ended = f"{said.get('errorType', 'an error')}: {said.get('errorMessage', 'no message')}"
        raise CommandError(f"cannot {what}: function {function} ended with {ended}", next_step)
    if "error" in said:
        kind, _, message = str(said["error"]).partition(": ")
        code = Exit.USAGE if kind == MalformedPayloadError.__name__ else Exit.FAILED
        raise RefusedError(kind, f"cannot {what}: {message or kind}", next_step, code)
    return said
