"""Invokes one of the stack's functions with a proof of the person's identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.operators.caller_proof import UnprovedCallerError, sign
from evenkeel_cli.aws import functions
from evenkeel_cli.aws.session import reaching

if TYPE_CHECKING:
    from collections.abc import Callable

    from evenkeel_cli.aws.stacks import Stack


WHO = "Check your credentials (aws sts get-caller-identity) and this machine's clock."
"""The next step after a proof that was not accepted."""


def ask(  # noqa: PLR0913 - as functions.invoke
    stack: Stack,
    function: str,
    payload: dict[str, Any],
    what: str,
    next_step: str,
    *,
    say: Callable[[str], None],
    harmless: bool = False,
) -> dict[str, Any]:
    """Invoke a function with a payload and a proof of the caller's identity; return its answer.

    If the answer was lost, a ``harmless`` request is repeated with a new proof.

    Raises:
        CommandError: as :func:`functions.invoke`.
    """
    for pause in functions.PAUSES if harmless else ():
        try:
            return _once(stack, function, payload, what, next_step, say=say)
        except functions.UnansweredError as error:
            functions.wait(error, pause, say)
    return _once(stack, function, payload, what, next_step, say=say)


def _once(  # noqa: PLR0913 - as above
    stack: Stack,
    function: str,
    payload: dict[str, Any],
    what: str,
    next_step: str,
    *,
    say: Callable[[str], None],
) -> dict[str, Any]:
    cloud = stack.cloud
    with reaching(what):
        caller = sign(cloud.session, cloud("sts").meta.endpoint_url, stack.name, payload)
    try:
        return functions.invoke(stack, function, {**payload, "caller": caller}, what, next_step, say=say)
    except functions.RefusedError as refused:
        unproved = refused.kind == UnprovedCallerError.__name__
        raise functions.RefusedError(
            refused.kind, refused.message, WHO if unproved else refused.next_step, refused.code
        ) from refused
