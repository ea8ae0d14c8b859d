"""Run the ``evenkeel`` command in this process, as a person would."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from evenkeel_cli.main import app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.testing import Result


def evenkeel(*arguments: str, env: Mapping[str, str | None] | None = None) -> Result:
    """Run a command; stdout and stderr are apart, and an unforeseen exception is raised, not swallowed."""
    result = CliRunner().invoke(app, list(arguments), env=env)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refuses(kind: str, message: str) -> dict[str, Any]:
    """Return what a function answers when it refuses."""
    return {"error": {"kind": kind, "message": message}}
