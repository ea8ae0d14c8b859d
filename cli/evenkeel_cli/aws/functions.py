"""The functions of a stack's groups: which one serves a control, and what it answers."""

from __future__ import annotations

import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from botocore import exceptions as botocore_errors
from botocore.exceptions import BotoCoreError, ClientError

from evenkeel import names
from evenkeel.errors import MalformedPayloadError, code
from evenkeel_cli.aws.session import explained
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel_cli.aws.stacks import Stack

INVOKE_SECONDS = 75
"""Seconds to wait for a function; its own limit is a minute."""
PAUSES = (1.0, 3.0, 9.0, 20.0)
"""Seconds to wait before each retry; after the last one, the command gives up."""
OLDER = "The stack is older than this command: deploy it again."
"""The next step after an answer that this command does not understand."""
_FIX = "Fix what it names; if that is right, the stack is older than this command: deploy it again."
_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException"})
_UNREACHED = (botocore_errors.EndpointConnectionError, botocore_errors.ConnectTimeoutError)
_CUT_OFF = (
    botocore_errors.ReadTimeoutError,
    botocore_errors.ConnectionClosedError,
    botocore_errors.ResponseStreamingError,
    botocore_errors.IncompleteReadError,
)


class RefusedError(CommandError):
    """A function refused. ``kind`` is the name of its error."""

    def __init__(self, kind: str, message: str, next_step: str, exit_code: Exit = Exit.FAILED) -> None:
        """Keep the kind, the message and the next step."""
        super().__init__(message, next_step, exit_code)
        self.kind = kind


class CrashedError(CommandError):
    """A function crashed or timed out."""


class NotTakenError(CommandError):
    """Lambda did not accept the invocation: the function did not run."""


class UnansweredError(CommandError):
    """The answer was lost: the function may have finished, or may still be running."""


def of(stack: Stack, control: str) -> str:
    """Return the name of the function that serves a control.

    Raises:
        CommandError: the stack has none, for example because the control's group is not enabled.
    """
    found = next((group for group in stack.groups if control.startswith(f"{group}-")), "")
    if not found:
        known = ", ".join(sorted(stack.groups))
        message = f"stack {stack.name} has no function for a control {control!r}; its groups are {known}"
        next_step = "See evenkeel controls; the stack's parameter EnabledGroups says which groups it has."
        raise CommandError(message, next_step, Exit.USAGE)
    return names.function(stack.name, found)


def invoke(  # noqa: PLR0913 - what, of whom, in which words
    stack: Stack,
    function: str,
    payload: dict[str, Any],
    what: str,
    next_step: str,
    *,
    say: Callable[[str], None],
    harmless: bool = False,
) -> dict[str, Any]:
    """Invoke a function and return its answer; ``what`` describes the request in error messages.

    An invocation that Lambda did not accept is retried a few times; ``say`` is called for each. One that it may have
    accepted is retried only if it is ``harmless``: a proof is good for one request.

    Raises:
        RefusedError: the function refused.
        CrashedError, NotTakenError, UnansweredError: as they say.
        CommandError: AWS refused.
    """
    repeated = (NotTakenError, UnansweredError) if harmless else (NotTakenError,)
    for pause in PAUSES:
        try:
            return _once(stack, function, payload, what, next_step)
        except repeated as error:
            wait(error, pause, say)
    return _once(stack, function, payload, what, next_step)


def wait(error: CommandError, pause: float, say: Callable[[str], None]) -> None:
    """Wait before a retry, after saying why."""
    say(f"{error.message}; trying again in {pause:.0f} s")
    time.sleep(pause)


def _once(stack: Stack, function: str, payload: dict[str, Any], what: str, next_step: str) -> dict[str, Any]:
    try:
        client = stack.cloud.client("lambda", seconds=INVOKE_SECONDS, attempts=1)
        answer = client.invoke(FunctionName=function, Payload=json.dumps(payload).encode())
        said: dict[str, Any] = json.loads(answer["Payload"].read() or b"{}")
    except (ClientError, BotoCoreError) as error:
        raise _failed(function, what, next_step, error) from error
    if answer.get("FunctionError"):
        ended = f"{said.get('errorType', 'an error')}: {said.get('errorMessage', 'no message')}"
        raise CrashedError(f"cannot {what}: function {function} ended with {ended}", next_step)
    if "error" in said:
        raise _refused(said["error"], what, next_step)
    return said


def _refused(error: Any, what: str, next_step: str) -> RefusedError:
    """Return the error for a function's refusal: ``{"kind", "message"}``, or one text from release 0.1."""
    if isinstance(error, str):
        return RefusedError("", f"cannot {what}: {error}", OLDER)
    message = f"cannot {what}: {error['message']}"
    if error["kind"] == MalformedPayloadError.__name__:
        return RefusedError(error["kind"], message, _FIX, Exit.USAGE)
    return RefusedError(error["kind"], message, next_step)


def _failed(function: str, what: str, next_step: str, error: ClientError | BotoCoreError) -> CommandError:
    """Return the error for an invocation that AWS refused or did not answer.

    HTTP 429 is an invocation that was not accepted (Lambda API reference, "Invoke"); after 500 and above, or a cut
    connection, it is not known whether it was.
    """
    if isinstance(error, _UNREACHED):
        again = explained(what, error)
        return NotTakenError(again.message, again.next_step, again.code)
    lost, why = isinstance(error, _CUT_OFF), f"{error}"
    if isinstance(error, ClientError):
        why = code(error)
        lost = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= HTTPStatus.INTERNAL_SERVER_ERROR
    if why in _THROTTLED:
        later = "The account's Lambda concurrency is used up: run the command again in a few minutes."
        return NotTakenError(f"cannot {what}: Lambda throttles function {function} ({why})", later)
    if lost:
        return UnansweredError(f"cannot {what}: the answer of function {function} was lost ({why})", next_step)
    return explained(what, error)
