"""The settings document, typed; where it is not valid, nothing may be changed.

The document is JSON: ``{"schema_version": 1, "settle_seconds": 60, "controls": {id: {"mode", "parameters",
"blast_radius", "overrides"}}, "exemptions": […], "freezes": […]}``; docs/settings.md describes it. Every part may be
left out; defaults live in the controls.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from evenkeel import arns, rules
from evenkeel.control import Control, Env, Radius
from evenkeel.errors import SettingsError
from evenkeel.model import SCHEMA_VERSION, Mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from evenkeel.rules import Exemption, Freeze, Override, Subject

_Rule = TypeVar("_Rule")

DEFAULT_SETTLE_SECONDS = 60
_LARGEST = 1_000_000
_MAX_SETTLE_SECONDS = 900  # SQS delays a message at most 15 minutes


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
    overrides: dict[str, tuple[Override, ...]] = field(default_factory=dict)
    exemptions: tuple[Exemption, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    start_mode: str = "recommended"

    def of(
        self, control: Control, subject: Subject | None = None, variables: Mapping[str, str] = os.environ
    ) -> ControlSettings:
        """Return the settings of a control for a resource; without one, those that no override touches.

        Of several overrides that hold, a more specific one wins: resources before tags before regions before accounts.

        Raises:
            TagsUnknownError: an override depends on tags that are not known.
            SettingsError: a mode, parameter or blast radius is not one that the control knows.
        """
        given = rules.mapping(self.controls.get(control.id, {}), f"controls.{control.id}")
        rules.refuse_unknown(given, f"controls.{control.id}", {"mode", "parameters", "blast_radius", "overrides"})
        layers = [(given, f"controls.{control.id}")]
        if subject:
            holding = [rule for rule in self.overrides.get(control.id, ()) if rule.selector.matches(subject)]
            layers += [(rule.given, rule.where) for rule in sorted(holding, key=lambda rule: rule.selector.specificity)]
        return _layered(control, layers, self.start_mode, variables)

    def needs_tags(self, control: Control, now: datetime) -> bool:
        """Say whether some rule of a control depends on the resource's tags, so that they have to be read."""
        selectors = [rule.selector for rule in self.overrides.get(control.id, ())]
        selectors += [exemption.selector for exemption in self._exemptions(control, now)]
        return any(selector.tags for selector in selectors)

    def exemption(self, control: Control, subject: Subject, now: datetime) -> Exemption | None:
        """Return the exemption that holds for a resource now.

        Raises:
            TagsUnknownError: it depends on tags that are not known.
        """
        return next((each for each in self._exemptions(control, now) if each.selector.matches(subject)), None)

    def _exemptions(self, control: Control, now: datetime) -> Iterator[Exemption]:
        return (each for each in self.exemptions if each.covers(control.id) and each.in_force(now))

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield each control that an exemption or a freeze names, with its place."""
        yield from ((f"{each.where}.controls", name) for each in self.exemptions for name in each.controls)
        yield from ((f"{each.where}.controls", name) for each in self.freezes for name in each.controls)

    def frozen_until(self, control: Control, now: datetime) -> datetime | None:
        """Return when the last of the freezes ends that hold for a control now, or None; not all controls yield."""
        if not control.yields:
            return None
        ends = [end for each in self.freezes if (end := each.ends(control.id, now))]
        return max(ends, default=None)


def check(
    document: str | bytes,
    controls: Iterable[Control],
    start_mode: str = "recommended",
    variables: Mapping[str, str] = os.environ,
) -> Settings:
    """Check a settings document down to every parameter of every control; needs all controls that there are.

    ``variables`` are what the stack gives its functions as defaults of parameters.

    Raises:
        SettingsError: names each thing that is wrong, where it is, and what to write.
    """
    settings = parse(document, start_mode)
    known = {control.id: control for control in controls}
    problems = [
        f"{place}: no such control{quoted}; {_meant(name, known)}"
        for place, name, quoted in (
            *((f"controls.{name}", name, "") for name in sorted(settings.controls)),
            *((place, name, f" {name!r}") for place, name in settings.named() if name != "*"),
        )
        if name not in known
    ]
    problems += [
        f"{each.where}.controls: no freeze holds {name}; set its mode to notify for that time"
        for each in settings.freezes
        for name in each.controls
        if name in known and not known[name].yields
    ]
    problems += _aimless(settings, known)
    for control in known.values():
        try:
            settings.of(control, variables=variables)
            for rule in settings.overrides.get(control.id, ()):
                _layered(control, [(rule.given, rule.where)], start_mode, variables)
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("; ".join(problems))
    return settings


def _aimless(settings: Settings, known: Mapping[str, Control]) -> Iterator[str]:
    """Yield what is wrong with each ARN pattern that fits no resource of the controls that its rule is for."""
    aims = [(each.selector, each.where, each.controls) for each in settings.exemptions]
    aims += [(each.selector, each.where, (name,)) for name, given in settings.overrides.items() for each in given]
    for selector, where, names in aims:
        templates = [known[name].arn if name in known else "" for name in names]
        if not all(templates):
            continue  # all controls, one over many types, or one that is unknown and named as such
        for pattern in selector.resources:
            if not any(arns.may_name(pattern, template) for template in templates):
                wanted = " or ".join(dict.fromkeys(templates))
                yield f"{where}.resources: {pattern!r} fits no resource of {', '.join(names)}; write {wanted}"


def _meant(name: str, known: Iterable[str]) -> str:
    """Name the controls that may have been meant, or all that there are."""
    from difflib import get_close_matches  # noqa: PLC0415 - only where a name is wrong

    close = get_close_matches(name, sorted(known))
    return f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(sorted(known))}"


def parse(document: str | bytes, start_mode: str = "recommended") -> Settings:
    """Check a settings document as far as no control is needed.

    Raises:
        SettingsError: it is not JSON, of another schema version, or has a key or value that Evenkeel does not know.
    """
    try:
        document = document.decode() if isinstance(document, bytes) else document
        raw = rules.mapping(json.loads(document), "settings")
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"settings: not JSON: {error}") from error
    if type(raw.get("schema_version")) is not int or raw["schema_version"] != SCHEMA_VERSION:
        raise SettingsError(f"settings.schema_version: {raw.get('schema_version')!r}; write {SCHEMA_VERSION}")
    rules.refuse_unknown(raw, "settings", {"schema_version", "settle_seconds", "controls", "exemptions", "freezes"})
    settle = raw.get("settle_seconds", DEFAULT_SETTLE_SECONDS)
    if not isinstance(settle, int) or isinstance(settle, bool) or not 0 <= settle <= _MAX_SETTLE_SECONDS:
        raise SettingsError(f"settings.settle_seconds: {settle!r}; write whole seconds from 0 to {_MAX_SETTLE_SECONDS}")
    controls = rules.mapping(raw.get("controls", {}), "settings.controls")
    readings: list[Callable[[], Any]] = [
        partial(_each, raw, "exemptions", rules.exemption),
        partial(_each, raw, "freezes", rules.freeze),
        *(partial(_overrides, name, given) for name, given in controls.items()),
    ]
    exemptions, freezes, *overrides = _all(readings)
    return Settings(
        version=hashlib.sha256(document.encode()).hexdigest()[:12],
        document=document,
        settle_seconds=settle,
        controls=controls,
        overrides=dict(zip(controls, overrides, strict=True)),
        exemptions=exemptions,
        freezes=freezes,
        start_mode=start_mode,
    )


def _overrides(control: str, given: Any) -> tuple[Override, ...]:
    where = f"controls.{control}"
    found = _each(rules.mapping(given, where), "overrides", rules.override, f"{where}.")
    rules.refuse_overlaps(found)
    return found


def _each(raw: Mapping[str, Any], name: str, read: Callable[[Any, str], _Rule], prefix: str = "") -> tuple[_Rule, ...]:
    """Read a list of rules, each with its place in the document."""
    found = raw.get(name, [])
    if not isinstance(found, list):
        raise SettingsError(f"{prefix}{name}: is {rules.kind(found)}; write a list")
    return _all(partial(read, each, f"{prefix}{name}[{number}]") for number, each in enumerate(found))


def _all(readings: Iterable[Callable[[], _Rule]]) -> tuple[_Rule, ...]:
    """Read every part, and tell all that is wrong at once.

    Raises:
        SettingsError: a part, or several, are wrong.
    """
    found: list[_Rule] = []
    problems: list[str] = []
    for reading in readings:
        try:
            found.append(reading())
        except SettingsError as error:
            problems.append(str(error))
    if problems:
        raise SettingsError("; ".join(problems))
    return tuple(found)


def _layered(
    control: Control, layers: Sequence[tuple[Mapping[str, Any], str]], start_mode: str, variables: Mapping[str, str]
) -> ControlSettings:
    """Lay what is given over the defaults, the last layer on top; each comes with its place in the document."""
    mode = Mode.NOTIFY if start_mode == "notify" else control.default_mode
    parameters: dict[str, Any] = {}
    radius = control.blast_radius
    for given, where in layers:
        if "mode" in given:
            mode = _mode(given["mode"], where)
        radius = _radius(given, where, radius)
        parameters |= _given_parameters(control, given, where)
    return ControlSettings(mode, _filled(control, parameters, layers[-1][1], variables), radius)


def _mode(raw: Any, where: str) -> Mode:
    try:
        return Mode(raw)
    except ValueError as error:
        raise SettingsError(f"{where}.mode: {error}; use one of {', '.join(Mode)}") from error


def _given_parameters(control: Control, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    wanted = rules.mapping(given.get("parameters", {}), f"{where}.parameters")
    unknown = set(wanted) - set(control.parameters)
    if unknown:
        known = ", ".join(sorted(control.parameters)) or "none"
        raise SettingsError(f"{where}.parameters: unknown parameter {min(unknown)!r}; {control.id} has: {known}")
    for name, value in wanted.items():
        default = control.parameters[name]
        wants: Any = "" if isinstance(default, Env) else default
        if type(value) is not type(wants):
            raise SettingsError(
                f"{where}.parameters.{name}: {value!r} is {rules.kind(value)}; write {rules.kind(wants)}"
            )
    return wanted


def _filled(control: Control, given: Mapping[str, Any], where: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """Fill in the control's defaults and have the control check the whole."""
    filled: dict[str, Any] = {}
    for name, default in control.parameters.items():
        value = given.get(name, default)
        filled[name] = variables.get(value, "") if isinstance(value, Env) else value
    problem = control.check_parameters(filled)
    if problem:
        raise SettingsError(f"{where}.parameters.{problem}")
    return filled


def _radius(given: Mapping[str, Any], where: str, under: Radius) -> Radius:
    raw = rules.mapping(given.get("blast_radius", {}), f"{where}.blast_radius")
    values = {"limit": under.limit, "window_seconds": under.window_seconds, **raw}
    if set(values) != {"limit", "window_seconds"} or any(
        type(v) is not int or not 1 <= v <= _LARGEST for v in values.values()
    ):
        raise SettingsError(
            f'{where}.blast_radius: write {{"limit": …, "window_seconds": …}} with whole numbers from 1 to {_LARGEST:,}'
        )
    return Radius(**values)
