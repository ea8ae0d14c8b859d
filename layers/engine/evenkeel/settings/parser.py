"""Reads and checks the settings document. If it is not valid, nothing may be changed.

The document is JSON; :mod:`evenkeel.settings.schema` has its form and docs/settings.md describes it. Every part may be
left out; defaults are the controls' own.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evenkeel import arns
from evenkeel.settings import schema
from evenkeel.settings.problems import ROOT, InvalidSettingsError, Problem, Problems, collected
from evenkeel.settings.resolve import check_parameters, resolve
from evenkeel.versions import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date, datetime

    from evenkeel.control import Control
    from evenkeel.settings.resolve import ControlSettings, Layer
    from evenkeel.settings.rules import Exemption, Freeze, Override, Subject
    from evenkeel.settings.schema_collections import Object

EMPTY_DOCUMENT = json.dumps({"schema_version": SETTINGS.version})
"""The settings until a first document is loaded: each control's own mode, or the one of ``StartMode``."""
_ANY_CONTROLS = schema.document()
"""The form as far as no control has to be known."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A valid settings document. ``version`` is the first 12 hex digits of its SHA-256."""

    version: str
    document: str = ""
    settle_seconds: int = schema.DEFAULT_SETTLE_SECONDS
    controls: dict[str, dict[str, Any]] = field(default_factory=dict)
    overrides: dict[str, tuple[Override, ...]] = field(default_factory=dict)
    exemptions: tuple[Exemption, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    start_mode: str = "recommended"

    def of(
        self, control: Control, subject: Subject | None = None, variables: Mapping[str, str] = os.environ
    ) -> ControlSettings:
        """Return the settings of a control for a resource, or without one: the settings before overrides.

        If several overrides match, the most specific wins: resources before tags before regions before accounts.

        Raises:
            TagsUnknownError: an override depends on tags that are not known.
            InvalidSettingsError: a mode, parameter or blast radius is not one that the control knows.
        """
        holding: list[Override] = []
        if subject:
            holding = [rule for rule in self.overrides.get(control.id, ()) if rule.selector.matches(subject)]
            holding.sort(key=lambda rule: rule.selector.specificity)
        with collected() as problems:
            layers = [self._base(control), *((rule.given, rule.where) for rule in holding)]
            return resolve(control, layers, self.start_mode, variables, problems)

    def without_effect(self, controls: Iterable[Control]) -> Iterator[Problem]:
        """Yield the modes in force that can have no effect, since their control only announces."""
        for control in controls:
            problems = Problems()
            for layer in self._layers(control) if control.only_announces else ():
                resolve(control, [layer], self.start_mode, {}, problems)
            yield from problems.tolerated

    def _base(self, control: Control) -> Layer:
        """Return what is given for all of a control's resources."""
        section = self.controls.get(control.id, {})
        return {name: value for name, value in section.items() if name != "overrides"}, ROOT / "controls" / control.id

    def _layers(self, control: Control) -> list[Layer]:
        """Return what is given for all of a control's resources, and in each override."""
        return [self._base(control), *((rule.given, rule.where) for rule in self.overrides.get(control.id, ()))]

    def check_parameters(self, control: Control, variables: Mapping[str, str], problems: Problems) -> None:
        """Report what a control itself says is wrong with its parameters, in each layer where they have their types."""
        for given, place in self._layers(control):
            if not problems.within(place / "parameters"):
                check_parameters(control, given.get("parameters", {}), place, variables, problems)

    def needs_tags(self, control: Control, now: datetime) -> bool:
        """Return whether a rule of a control in force depends on the resource's tags, so that they have to be read."""
        selectors = [rule.selector for rule in self.overrides.get(control.id, ())]
        selectors += [exemption.selector for exemption in self._exemptions(control, now)]
        return any(selector.tags for selector in selectors)

    def exemption(self, control: Control, subject: Subject, now: datetime) -> Exemption | None:
        """Return the exemption in force for a resource, or None.

        Raises:
            TagsUnknownError: it depends on tags that are not known.
        """
        return next((each for each in self._exemptions(control, now) if each.selector.matches(subject)), None)

    def _exemptions(self, control: Control, now: datetime) -> Iterator[Exemption]:
        return (each for each in self.exemptions if each.covers(control.id) and each.in_force(now))

    def frozen_until(self, control: Control, now: datetime) -> datetime | None:
        """Return the end of the last freeze in force for a control, or None; some controls cannot be frozen."""
        if not control.yields:
            return None
        ends = [end for each in self.freezes if (end := each.ends(control.id, now))]
        return max(ends, default=None)


def check(  # noqa: PLR0913 - all that a document is checked against
    document: str | bytes,
    controls: Iterable[Control],
    start_mode: str = "recommended",
    variables: Mapping[str, str] = os.environ,
    today: date | None = None,
    *,
    in_force: bool = False,
) -> Settings:
    """Check a settings document, with every parameter of every control; ``controls`` are all controls.

    A document that is ``in_force`` already is not refused for :attr:`Problems.tolerated`: that is for pushes.

    ``variables`` are what the stack gives its functions as defaults of parameters. An exemption that expired before
    ``today`` (UTC) is a problem. Functions ignore it, so that a document does not become invalid by time alone.

    Raises:
        InvalidSettingsError: with all problems.
    """
    with collected() as problems:
        known = {control.id: control for control in controls}
        settings = _read(document, start_mode, schema.document(known.values()), problems)
        _check_freezes(settings, known, problems)
        _check_patterns(settings, known, problems)
        for control in known.values():
            settings.check_parameters(control, variables, problems)
        for each in settings.exemptions if today else ():
            if today and each.expires < today:
                problems.add(
                    each.where / "expires", f"{each.expires} has passed", "write a later day, or remove the exemption"
                )
        problems.found += () if in_force else problems.tolerated
    return settings


def _check_freezes(settings: Settings, known: Mapping[str, Control], problems: Problems) -> None:
    """Report each control that a freeze names and cannot hold."""
    for each in settings.freezes:
        for name in each.controls:
            if name in known and not known[name].yields:
                problems.add(
                    each.where / "controls", f"{name} cannot be frozen", "set its mode to notify for that time"
                )


def _check_patterns(settings: Settings, known: Mapping[str, Control], problems: Problems) -> None:
    """Report each ARN pattern that matches no resource of the controls that its rule is for."""
    rules = [(each.selector, each.where, each.controls) for each in settings.exemptions]
    rules += [(each.selector, each.where, (name,)) for name, given in settings.overrides.items() for each in given]
    for selector, where, names in rules:
        templates = [known[name].arn if name in known else "" for name in names]
        if not all(templates) or problems.within(where / "controls"):
            continue  # all controls, one over many types, or one that is unknown and reported as such
        for pattern in selector.resources:
            if not any(arns.may_name(pattern, template) for template in templates):
                message = f"{pattern!r} matches no resource of {', '.join(names)}"
                problems.add(where / "resources", message, f"write {' or '.join(dict.fromkeys(templates))}")


def parse(document: str | bytes, start_mode: str = "recommended") -> Settings:
    """Return the settings in a document, after all checks that do not depend on the controls.

    Raises:
        InvalidSettingsError: it is not JSON, of another schema version, or has a key or value that Evenkeel does not
            know.
    """
    with collected() as problems:
        return _read(document, start_mode, _ANY_CONTROLS, problems)


def _read(document: str | bytes, start_mode: str, form: Object, problems: Problems) -> Settings:
    """Read all parts of a document.

    Raises:
        InvalidSettingsError: it is not JSON, not keys and values, or of another version: its parts mean nothing.
    """
    try:
        document = document.decode() if isinstance(document, bytes) else document
        raw = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise InvalidSettingsError(Problem(ROOT, f"not JSON: {error}")) from error
    fields = form.read(raw, ROOT, problems)
    unreadable = [each for each in problems.found if each.place == ROOT]
    if isinstance(raw, dict) and raw.get("schema_version") is not None:
        unreadable += [each for each in problems.found if each.place == ROOT / "schema_version"]
    if unreadable:
        raise InvalidSettingsError(*unreadable)
    return Settings(
        version=hashlib.sha256(document.encode()).hexdigest()[:12],
        document=document,
        settle_seconds=fields.get("settle_seconds", schema.DEFAULT_SETTLE_SECONDS),
        controls={name: raw["controls"][name] for name in fields.get("controls", {})},
        overrides={name: tuple(each.get("overrides", ())) for name, each in fields.get("controls", {}).items()},
        exemptions=tuple(fields.get("exemptions", ())),
        freezes=tuple(fields.get("freezes", ())),
        start_mode=start_mode,
    )
