"""Asks one of the stack's functions in the person's own name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evenkeel.caller import sign
from evenkeel_cli import functions
from evenkeel_cli.cloud import reaching

if TYPE_CHECKING:
    from evenkeel_cli.stacks import Stack


def ask(stack: Stack, function: str, payload: dict[str, Any], what: str, next_step: str) -> dict[str, Any]:
    """Invoke a function with a payload and the proof of who asks; return its answer.

    Raises:
        CommandError: as :func:`functions.invoke`.
    """
    cloud = stack.cloud
    with reaching(what):
        caller = sign(cloud.session, cloud("sts").meta.endpoint_url, stack.name, payload)
    return functions.invoke(stack, function, {**payload, "caller": caller}, what, next_step)
