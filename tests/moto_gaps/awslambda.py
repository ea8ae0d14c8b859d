"""Functions: moto drops a change of their tracing, and takes changes of functions that are being changed.

UpdateFunctionConfiguration takes TracingConfig, and refuses with ResourceConflictException while another change is in
progress (Lambda API reference). ``updating`` keeps a function in that state.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from moto.awslambda.exceptions import LambdaClientError
from moto.awslambda.models import LambdaFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

_changing: set[str] = set()


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gaps until ``patch`` is undone."""
    _changing.clear()
    patch.setattr(LambdaFunction, "update_configuration", _with_tracing(LambdaFunction.update_configuration))
    patch.setattr(LambdaFunction, "get_configuration", _with_progress(LambdaFunction.get_configuration))


@contextmanager
def updating(function: str) -> Iterator[None]:
    """Hold a function's update in progress."""
    _changing.add(function)
    yield
    _changing.discard(function)


def _with_tracing(real: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def update(self: LambdaFunction, config_updates: dict[str, Any]) -> dict[str, Any]:
        if self.function_name in _changing:
            raise LambdaClientError(
                "ResourceConflictException", f"An update is in progress for resource: {self.function_arn}"
            )
        self.tracing_config = config_updates.get("TracingConfig") or self.tracing_config
        return real(self, config_updates)

    return update


def _with_progress(real: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def configuration(self: LambdaFunction, **given: Any) -> dict[str, Any]:
        answer = real(self, **given)
        return {**answer, "LastUpdateStatus": "InProgress"} if self.function_name in _changing else answer

    return configuration
