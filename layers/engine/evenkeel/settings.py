"""The settings document and the stack's environment, typed; where either is not valid, nothing may be changed.

The document is JSON: ``{"schema_version": 1, "settle_seconds": 60, "controls": {id: {"mode", "parameters",
"blast_radius"}}}``. Every part may be left out; defaults live in the controls.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evenkeel.control import Control, Env, Radius
from evenkeel.errors import SettingsError
from evenkeel.model import SCHEMA_VERSION, Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_SETTLE_SECONDS = 60
_MAX_SETTLE_SECONDS = 900  # SQS delays a message at most 15 minutes


@dataclass(frozen=True, slots=True)
class Environment:
    """What the stack tells its functions; :meth:`read` takes it from the process's environment."""

    stack: str
    audit_table: str
    state_table: str
    settings_name: str
    region: str
    start_mode: str = "recommended"
    scope: tuple[str, ...] = ("*",)
    retention_days: int = 400
    queue_url: str = ""
    dlq_url: str = ""

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """Read the environment.

        Raises:
            SettingsError: a variable is missing or not of its kind.
        """
        try:
            return cls(
                stack=variables["EVENKEEL_STACK"],
                audit_table=variables["EVENKEEL_AUDIT_TABLE"],
                state_table=variables["EVENKEEL_STATE_TABLE"],
                settings_name=variables["EVENKEEL_SETTINGS"],
                region=variables["AWS_REGION"],
                start_mode=variables.get("EVENKEEL_START_MODE", "recommended"),
                scope=tuple(part.strip() for part in variables.get("EVENKEEL_SCOPE", "*").split(",") if part.strip()),
                retention_days=int(variables.get("EVENKEEL_RETENTION_DAYS", "400")),
                queue_url=variables.get("EVENKEEL_QUEUE_URL", ""),
                dlq_url=variables.get("EVENKEEL_DLQ_URL", ""),
            )
        except (KeyError, ValueError) as error:
            raise SettingsError(
                f"environment variable missing or not valid: {error}; deploy the stack again"
            ) from error


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """What the settings say about one control, with the control's defaults filled in."""

    mode: Mode
    parameters: dict[str, Any]
    radius: Radius


@dataclass(frozen=True, slots=True)
class Settings:
    """A document that was checked. ``version`` is the first 12 hex digits of its SHA-256."""

    version: str
    document: str = ""
    settle_seconds: int = DEFAULT_SETTLE_SECONDS
    controls: dict[str, dict[str, Any]] = field(default_factory=dict)
    start_mode: str = "recommended"

    def of(self, control: Control, variables: Mapping[str, str] = os.environ) -> ControlSettings:
        """Return the settings of a control.

        Raises:
            SettingsError: a mode, parameter or blast radius is not one that the control knows.
        """
        given = _mapping(self.controls.get(control.id, {}), f"controls.{control.id}")
        unknown = set(given) - {"mode", "parameters", "blast_radius"}
        if unknown:
            raise SettingsError(f"controls.{control.id}: unknown key {min(unknown)!r}")
        fallback = Mode.NOTIFY if self.start_mode == "notify" else control.default_mode
        try:
            mode = Mode(given.get("mode", fallback))
        except ValueError as error:
            raise SettingsError(f"controls.{control.id}.mode: {error}; use one of {', '.join(Mode)}") from error
        return ControlSettings(mode, _parameters(control, given, variables), _radius(control, given))


def check(document: str | bytes, controls: Iterable[Control], start_mode: str = "recommended") -> Settings:
    """Check a settings document down to every parameter of every control; needs all controls that there are.

    Raises:
        SettingsError: names each thing that is wrong, where it is, and what to write.
    """
    settings = parse(document, start_mode)
    known = {control.id: control for control in controls}
    unknown = sorted(set(settings.controls) - set(known))
    problems = [f"controls.{name}: no such control; there are {', '.join(sorted(known))}" for name in unknown]
    for control in known.values():
        try:
            settings.of(control)
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def parse(document: str | bytes, start_mode: str = "recommended") -> Settings:
    """Check a settings document as far as no control is needed.

    Raises:
        SettingsError: it is not JSON, of another schema version, or has a key or value that Evenkeel does not know.
    """
    try:
        document = document.decode() if isinstance(document, bytes) else document
        raw = _mapping(json.loads(document), "settings")
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"settings: not JSON: {error}") from error
    if raw.get("schema_version") != SCHEMA_VERSION:
        raise SettingsError(f"settings.schema_version: {raw.get('schema_version')!r}; write {SCHEMA_VERSION}")
    unknown = set(raw) - {"schema_version", "settle_seconds", "controls"}
    if unknown:
        raise SettingsError(f"settings: unknown key {min(unknown)!r}")
    settle = raw.get("settle_seconds", DEFAULT_SETTLE_SECONDS)
    if not isinstance(settle, int) or isinstance(settle, bool) or not 0 <= settle <= _MAX_SETTLE_SECONDS:
        raise SettingsError(f"settings.settle_seconds: {settle!r}; write whole seconds from 0 to {_MAX_SETTLE_SECONDS}")
    return Settings(
        version=hashlib.sha256(document.encode()).hexdigest()[:12],
        document=document,
        settle_seconds=settle,
        controls=_mapping(raw.get("controls", {}), "settings.controls"),
        start_mode=start_mode,
    )


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError(f"{where}: expected an object, got {type(value).__name__}")
    return value


def _parameters(control: Control, given: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Fill in the control's defaults and refuse what it does not know."""
    where = f"controls.{control.id}.parameters"
    wanted = _mapping(given.get("parameters", {}), where)
    unknown = set(wanted) - set(control.parameters)
    if unknown:
        known = ", ".join(sorted(control.parameters)) or "none"
        raise SettingsError(f"{where}: unknown parameter {min(unknown)!r}; {control.id} has: {known}")
    filled: dict[str, Any] = {}
    for name, default in control.parameters.items():
        value = wanted.get(name, default)
        if isinstance(value, Env):
            value = variables.get(value, "")
        kind = str if isinstance(default, Env) else type(default)
        if type(value) is not kind:
            raise SettingsError(f"{where}.{name}: expected {kind.__name__}, got {type(value).__name__}")
        filled[name] = value
    problem = control.check_parameters(filled)
    if problem:
        raise SettingsError(f"{where}.{problem}")
    return filled


def _radius(control: Control, given: Mapping[str, Any]) -> Radius:
    where = f"controls.{control.id}.blast_radius"
    raw = _mapping(given.get("blast_radius", {}), where)
    default = control.blast_radius
    values = {"limit": default.limit, "window_seconds": default.window_seconds, **raw}
    if set(values) != {"limit", "window_seconds"} or any(type(v) is not int or v < 1 for v in values.values()):
        raise SettingsError(f'{where}: write {{"limit": …, "window_seconds": …}} with whole numbers above 0')
    return Radius(**values)
