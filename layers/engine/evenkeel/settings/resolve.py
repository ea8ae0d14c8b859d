"""What the settings say about one control, laid over what the control itself says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from evenkeel.control import Control, Env, Radius
from evenkeel.model import Mode
from evenkeel.settings.problems import Mistakes, kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANGING = (Mode.ENFORCE, Mode.APPROVE)
"""Modes without effect for a control that only announces. Such a mode is refused when pushed, and counts as notify
where it is in force already: what was valid yesterday never stops a running stack."""
_LARGEST = 1_000_000

Layer: TypeAlias = "tuple[Mapping[str, Any], str]"
"""What is given (``mode``, ``parameters``, ``blast_radius``), and its place in the document."""


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """What the settings say about one control, with the control's defaults filled in."""

    mode: Mode
    parameters: dict[str, Any]
    radius: Radius


def layered(
    control: Control, layers: Sequence[Layer], start_mode: str, variables: Mapping[str, str], mistakes: Mistakes
) -> ControlSettings:
    """Lay what is given over the control's defaults, the last layer on top.

    ``variables`` are what the stack gives its functions as defaults of parameters.
    """
    mode = Mode.NOTIFY if start_mode == "notify" else control.default_mode
    radius = control.blast_radius
    for given, where in layers:
        mode = _mode(given["mode"], where, mistakes) if "mode" in given else mode
        radius = _radius(given, where, radius, mistakes)
    if control.only_announces and mode in CHANGING:
        mode = Mode.NOTIFY
    told = len(mistakes.told)
    parameters: dict[str, Any] = {}
    for given, where in layers:
        parameters |= _given_parameters(control, given, where, mistakes)
    filled = with_defaults(control, parameters, variables)
    # The control compares its parameters with each other: it can only judge them where each is of its kind.
    problem = control.check_parameters(filled) if len(mistakes.told) == told else None
    if problem:
        mistakes.tell(f"{layers[-1][1]}.parameters.{problem.place}", f"{problem.message}; {problem.hint}")
    return ControlSettings(mode, filled, radius)


def _mode(raw: Any, where: str, mistakes: Mistakes) -> Mode:
    try:
        return Mode(raw)
    except ValueError as error:
        mistakes.tell(f"{where}.mode", f"{error}; use one of {', '.join(Mode)}")
        return Mode.OFF


def _given_parameters(control: Control, given: Mapping[str, Any], where: str, mistakes: Mistakes) -> dict[str, Any]:
    where = f"{where}.parameters"
    wanted = mistakes.mapping(given.get("parameters", {}), where)
    known = ", ".join(sorted(control.parameters)) or "none"
    for name in sorted(wanted.keys() - control.parameters.keys()):
        mistakes.tell(where, f"unknown parameter {name!r}; {control.id} has: {known}")
    taken: dict[str, Any] = {}
    for name, value in wanted.items():
        default = control.parameters.get(name, value)
        wants: Any = "" if isinstance(default, Env) else default
        if type(value) is type(wants):
            taken[name] = value
        else:
            mistakes.tell(f"{where}.{name}", f"{value!r} is {kind(value)}; write {kind(wants)}")
    return taken


def with_defaults(control: Control, given: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return a value for each of a control's parameters: as given, or its default."""
    filled: dict[str, Any] = {}
    for name, default in control.parameters.items():
        value = given.get(name, default)
        filled[name] = variables.get(value, "") if isinstance(value, Env) else value
    return filled


def _radius(given: Mapping[str, Any], where: str, under: Radius, mistakes: Mistakes) -> Radius:
    raw = given.get("blast_radius", {})
    if not isinstance(raw, dict):
        mistakes.mapping(raw, f"{where}.blast_radius")
        return under
    values = {"limit": under.limit, "window_seconds": under.window_seconds, **raw}
    if set(values) == {"limit", "window_seconds"} and all(
        type(v) is int and 1 <= v <= _LARGEST for v in values.values()
    ):
        return Radius(**values)
    mistakes.tell(
        f"{where}.blast_radius",
        f'write {{"limit": …, "window_seconds": …}} with whole numbers from 1 to {_LARGEST:,}',
    )
    return under
