"""The settings of one control: its defaults, overridden by what the document gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from evenkeel.control import Control, Env, Radius
from evenkeel.model import Mode
from evenkeel.settings import schema
from evenkeel.settings.schema_collections import Object
from evenkeel.settings.schema_types import WRONG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evenkeel.settings.problems import DocumentPath, Problems

Layer: TypeAlias = "tuple[Any, DocumentPath]"
"""What the document gives (``mode``, ``parameters``, ``blast_radius``), and its place."""


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """The settings of one control, with its defaults filled in."""

    mode: Mode
    parameters: dict[str, Any]
    radius: Radius


def resolve(
    control: Control, layers: Sequence[Layer], start_mode: str, variables: Mapping[str, str], problems: Problems
) -> ControlSettings:
    """Return a control's settings: its defaults, overridden by each layer in turn.

    ``variables`` has the defaults that the stack gives its functions in environment variables.
    """
    form = Object(fields=schema.given(control))
    given: dict[str, Any] = {}
    parameters: dict[str, Any] = {}
    radius = control.blast_radius
    for raw, place in layers:
        read = form.read(raw, place, problems)
        if read is WRONG:
            continue
        given |= read
        parameters |= read.get("parameters", {})
        radius = replace(radius, **read.get("blast_radius", {}))
    mode = Mode(given.get("mode", Mode.NOTIFY if start_mode == "notify" else control.default_mode))
    if control.only_announces and mode in schema.CHANGING:
        mode = Mode.NOTIFY
    if not problems.found:
        check_parameters(control, parameters, layers[-1][1], variables, problems)
    return ControlSettings(mode, with_defaults(control, parameters, variables), radius)


def check_parameters(
    control: Control, given: Mapping[str, Any], place: DocumentPath, variables: Mapping[str, str], problems: Problems
) -> None:
    """Report the problem that the control finds in its parameters, which must have the right types."""
    problem = control.check_parameters(with_defaults(control, given, variables))
    if problem:
        parameter = place / "parameters" / problem.parameter
        problems.add(parameter / problem.key if problem.key else parameter, problem.message, problem.hint)


def with_defaults(control: Control, given: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return a value for each of a control's parameters: as given, or its default."""
    filled: dict[str, Any] = {}
    for name, default in control.parameters.items():
        value = given.get(name, default)
        filled[name] = variables.get(value, "") if isinstance(value, Env) else value
    return filled
