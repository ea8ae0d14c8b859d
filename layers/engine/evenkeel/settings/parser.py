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
from typing import TYPE_CHECKING, Any

from evenkeel import arns
from evenkeel.errors import SettingsError
from evenkeel.settings import rules
from evenkeel.settings.problems import Mistakes, gathered, kind
from evenkeel.settings.resolve import CHANGING, layered
from evenkeel.suggestions import suggestion
from evenkeel.versions import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date, datetime

    from evenkeel.control import Control
    from evenkeel.settings.resolve import ControlSettings, Layer
    from evenkeel.settings.rules import Exemption, Freeze, Override, Subject

EMPTY_DOCUMENT = json.dumps({"schema_version": SETTINGS.version})
"""What holds until a first document is loaded: each control's own mode, or what ``StartMode`` says."""
DEFAULT_SETTLE_SECONDS = 60
_MAX_SETTLE_SECONDS = 900  # SQS delays a message at most 15 minutes
_PARTS = frozenset({"schema_version", "settle_seconds", "controls", "exemptions", "freezes"})
_OF_CONTROL = frozenset({"mode", "parameters", "blast_radius", "overrides"})


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
        holding: list[Override] = []
        if subject:
            holding = [rule for rule in self.overrides.get(control.id, ()) if rule.selector.matches(subject)]
            holding.sort(key=lambda rule: rule.selector.specificity)
        with gathered() as mistakes:
            layers = [self._base(control, mistakes), *((rule.given, rule.where) for rule in holding)]
            return layered(control, layers, self.start_mode, variables, mistakes)

    def tell_mistakes(self, control: Control, variables: Mapping[str, str], mistakes: Mistakes) -> None:
        """Tell all that is wrong with what is given for a control, and in each of its overrides."""
        rules_given = [(rule.given, rule.where) for rule in self.overrides.get(control.id, ())]
        for layer in (self._base(control, mistakes), *rules_given):
            layered(control, [layer], self.start_mode, variables, mistakes)

    def without_effect(self, controls: Iterable[Control]) -> Iterator[tuple[str, str]]:
        """Yield the place of each mode that a control which only announces cannot have, and what to write."""
        for control in controls:
            if not control.only_announces:
                continue
            layers = [(self.controls.get(control.id, {}), f"controls.{control.id}")]
            layers += [(rule.given, rule.where) for rule in self.overrides.get(control.id, ())]
            for given, where in layers:
                if given.get("mode") in CHANGING:
                    told = f"{given['mode']!r} can have no effect: {control.id} only announces; write notify or off"
                    yield f"{where}.mode", told

    def _base(self, control: Control, mistakes: Mistakes) -> Layer:
        """Return what is given for all of a control's resources."""
        where = f"controls.{control.id}"
        return mistakes.fields(self.controls.get(control.id, {}), where, _OF_CONTROL), where

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


def check(  # noqa: PLR0913 - all that a document is held against
    document: str | bytes,
    controls: Iterable[Control],
    start_mode: str = "recommended",
    variables: Mapping[str, str] = os.environ,
    today: date | None = None,
    *,
    in_force: bool = False,
) -> Settings:
    """Check a settings document down to every parameter of every control; needs all controls that there are.

    One that is ``in_force`` is not held against rules that came later: they are for what is pushed now.

    ``variables`` are what the stack gives its functions as defaults of parameters. An exemption that expired before
    ``today`` (UTC) is a mistake; functions take it as absent, so that time alone makes no document wrong.

    Raises:
        SettingsError: names each thing that is wrong, where it is, and what to write.
    """
    with gathered() as mistakes:
        settings = _read(document, start_mode, mistakes)
        known = {control.id: control for control in controls}
        _tell_names(settings, known, mistakes)
        _tell_aimless(settings, known, mistakes)
        for control in known.values():
            settings.tell_mistakes(control, variables, mistakes)
        for where, told in () if in_force else settings.without_effect(known.values()):
            mistakes.tell(where, told)
        for each in settings.exemptions if today else ():
            if today and each.expires < today:
                told = f"{each.expires} has passed; write a later day, or remove the exemption"
                mistakes.tell(f"{each.where}.expires", told)
    return settings


def _tell_names(settings: Settings, known: Mapping[str, Control], mistakes: Mistakes) -> None:
    """Tell each control that is named and unknown, or that no freeze holds."""
    for name in sorted(settings.controls.keys() - known.keys()):
        mistakes.tell(f"controls.{name}", f"no such control; {suggestion(name, known)}")
    for place, name in settings.named():
        if name not in known and name != "*":
            mistakes.tell(place, f"no such control {name!r}; {suggestion(name, known)}")
    for each in settings.freezes:
        for name in each.controls:
            if name in known and not known[name].yields:
                mistakes.tell(f"{each.where}.controls", f"no freeze holds {name}; set its mode to notify for that time")


def _tell_aimless(settings: Settings, known: Mapping[str, Control], mistakes: Mistakes) -> None:
    """Tell each ARN pattern that fits no resource of the controls that its rule is for."""
    aims = [(each.selector, each.where, each.controls) for each in settings.exemptions]
    aims += [(each.selector, each.where, (name,)) for name, given in settings.overrides.items() for each in given]
    for selector, where, names in aims:
        templates = [known[name].arn if name in known else "" for name in names]
        if not all(templates):
            continue  # all controls, one over many types, or one that is unknown and named as such
        for pattern in selector.resources:
            if not any(arns.may_name(pattern, template) for template in templates):
                wanted = " or ".join(dict.fromkeys(templates))
                told = f"{pattern!r} fits no resource of {', '.join(names)}; write {wanted}"
                mistakes.tell(f"{where}.resources", told)


def parse(document: str | bytes, start_mode: str = "recommended") -> Settings:
    """Check a settings document as far as no control is needed.

    Raises:
        SettingsError: it is not JSON, of another schema version, or has a key or value that Evenkeel does not know.
    """
    with gathered() as mistakes:
        return _read(document, start_mode, mistakes)


def _read(document: str | bytes, start_mode: str, mistakes: Mistakes) -> Settings:
    """Read all parts of a document.

    Raises:
        SettingsError: nothing can be said about its parts.
    """
    try:
        document = document.decode() if isinstance(document, bytes) else document
        raw = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"settings: not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise SettingsError(f"settings: is {kind(raw)}; write keys and values")
    _tell_version(raw, mistakes)
    mistakes.fields(raw, "settings", _PARTS)
    settle = raw.get("settle_seconds", DEFAULT_SETTLE_SECONDS)
    if not isinstance(settle, int) or isinstance(settle, bool) or not 0 <= settle <= _MAX_SETTLE_SECONDS:
        mistakes.tell("settings.settle_seconds", f"{settle!r}; write whole seconds from 0 to {_MAX_SETTLE_SECONDS}")
        settle = DEFAULT_SETTLE_SECONDS
    exemptions = [rules.exemption(*each, mistakes) for each in mistakes.items(raw.get("exemptions", []), "exemptions")]
    freezes = [rules.freeze(*each, mistakes) for each in mistakes.items(raw.get("freezes", []), "freezes")]
    controls = {
        name: mistakes.mapping(given, f"controls.{name}")
        for name, given in mistakes.mapping(raw.get("controls", {}), "settings.controls").items()
    }
    return Settings(
        version=hashlib.sha256(document.encode()).hexdigest()[:12],
        document=document,
        settle_seconds=settle,
        controls=controls,
        overrides={name: _overrides(name, given, mistakes) for name, given in controls.items()},
        exemptions=tuple(exemptions),
        freezes=tuple(freezes),
        start_mode=start_mode,
    )


def _tell_version(raw: dict[str, Any], mistakes: Mistakes) -> None:
    """Tell a version that is missing.

    Raises:
        SettingsError: the document is of another version, so nothing can be said about its parts.
    """
    version = raw.get("schema_version")
    if version is None:
        mistakes.tell("settings.schema_version", f"None; write {SETTINGS.version}")
    elif not SETTINGS.reads(version):
        raise SettingsError(f"settings.schema_version: {version!r}; write {SETTINGS.version}")


def _overrides(control: str, given: dict[str, Any], mistakes: Mistakes) -> tuple[Override, ...]:
    """Read a control's overrides; those without a mistake of their own are compared with each other."""
    found: list[Override] = []
    sound: list[Override] = []
    for raw, where in mistakes.items(given.get("overrides", []), f"controls.{control}.overrides"):
        told = len(mistakes.told)
        found.append(rules.override(raw, where, mistakes))
        sound += found[-1:] if len(mistakes.told) == told else []
    rules.tell_overlaps(sound, mistakes)
    return tuple(found)
