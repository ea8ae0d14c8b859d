"""The docs page of each control, and the index of all, generated from the controls."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import yaml

from evenkeel.control import SECTIONS, Env, Stage
from evenkeel.control.triggers import CloudTrail, Config, SecurityHub, TagChange
from evenkeel.remediation.decide import MAX_CHANGE_WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evenkeel.control import Control, Radius
    from evenkeel.control.triggers import Trigger

_PARAMETERS = re.compile(r"^Parameters:\n(?:(?: .*)?\n)+", re.MULTILINE)
_NOTICE = "<!-- Generated from the control's code by `make generate`; edit the code. -->"
_URGENT = "yes: changes by infrastructure as code do not wait either, unless the trigger below says so"
_HEADINGS = {"Blast radius": "Impact"}
"""Sections whose name means something else in the settings."""
_HOUR = 3600
_STAGES = {
    Stage.READ: "to read",
    Stage.DISCOVER: "to list",
    Stage.APPLY: "to change",
    Stage.UNDO: "to undo (not granted to the remediator)",
}


def sections(control: Control) -> dict[str, str]:
    """Return the docstring's sections as single lines of text.

    Raises:
        ValueError: a section is missing.
    """
    found = control.sections
    for name in SECTIONS:
        if not found.get(name):
            raise ValueError(f'{control.id}: its docstring has no section "{name}:"; write one')
    return {name: text[0].upper() + text[1:] for name, text in found.items()}


def index(controls: Sequence[Control]) -> str:
    """Return docs/controls/README.md: one table of all controls."""
    head = "| control | desired state | severity | mode | frameworks |\n| --- | --- | --- | --- | --- |\n"
    rows = (
        f"| [{control.id}]({control.id}.md) | {control.title} | {control.severity} | {control.default_mode} "
        f"| {'; '.join(frameworks(control)) or '-'} |\n"
        for control in sorted(controls, key=lambda control: control.id)
    )
    return f"{_NOTICE}\n\n# Controls\n\n{head}{''.join(rows)}"


def page(control: Control) -> str:
    """Return the page of one control."""
    text = sections(control)
    facts = {
        "Severity": str(control.severity),
        "Default mode": str(control.default_mode),
        "Resource": control.resource_type,
        "AWS documentation": f"<{control.reference}>",
        **({"Urgent": _URGENT} if control.urgent else {}),
        "Blast radius": _limit(control.blast_radius),
        "Frameworks": "; ".join(frameworks(control)) or "-",
    }
    return "\n".join(
        [
            _NOTICE,
            "",
            f"# {control.id}",
            "",
            f"{control.title}.",
            "",
            "| | |",
            "| --- | --- |",
            *(f"| {name} | {value} |" for name, value in facts.items()),
            "",
            *(line for name in SECTIONS for line in (f"## {_HEADINGS.get(name, name)}", "", text[name], "")),
            "## Triggers",
            "",
            *triggers(control),
            "",
            "## Permissions",
            "",
            *permissions(control),
            "",
            *parameters(control),
        ]
    )


def _limit(radius: Radius) -> str:
    """Return how many resources may be changed in which time."""
    time = "an hour" if radius.window_seconds == _HOUR else f"in {radius.window_seconds:,} s"
    return f"at most {radius.limit:,} resources {time}"


def frameworks(control: Control) -> list[str]:
    """Return the control's ids in the standards, each after the standard's name."""
    names = control.frameworks
    labelled = {
        "Security Hub": ", ".join(names.security_hub),
        "CIS AWS 3.0": names.cis_3_0,
        "NIST 800-53": ", ".join(names.nist_800_53),
        "Config": f"`{names.config_rule}`" if names.config_rule else "",
    }
    return [f"{label} {value}" for label, value in labelled.items() if value]


def listed(readme: str, controls: Sequence[Control]) -> str:
    """Return the README with its list of controls."""
    return between(
        readme, "controls", [f"- [`{each.id}`](docs/controls/{each.id}.md): {each.title}" for each in controls]
    )


def with_parameters(text: str, template: str) -> str:
    """Return docs/operations/deploy.md with a table of the template's parameters, in the template's own words."""
    found = _PARAMETERS.search(template)
    if not found:
        raise ValueError("template.yaml has no Parameters")
    parameters: dict[str, dict[str, object]] = yaml.safe_load(found.group())["Parameters"]
    rows = [
        f"| `{name}` | {each['Default'] if each['Default'] != '' else '(empty)'} | {each['Description']} |".replace(
            "\n", " "
        )
        for name, each in parameters.items()
    ]
    return between(text, "parameters", ["", "| parameter | default | description |", "| --- | --- | --- |", *rows, ""])


def between(text: str, name: str, lines: Sequence[str]) -> str:
    """Return a page with the lines between its markers of this name replaced.

    Raises:
        ValueError: the page has no such markers.
    """
    opens, closes = f"<!-- generated: {name} -->", "<!-- /generated -->"
    start, _, rest = text.partition(opens)
    _, closed, end = rest.partition(closes)
    if not closed:
        raise ValueError(f"restore the lines {opens} and {closes}")
    return "\n".join([start + opens, *lines, closes + end])


def triggers(control: Control) -> Iterator[str]:
    """Yield one line of Markdown for triggers of one kind, and a note on the settle time if any of them waits."""
    lines: dict[tuple[str, str], list[str]] = {}
    for trigger in control.all_triggers:
        kind, names, notes = _trigger(trigger)
        lines.setdefault((kind, "; ".join(filter(None, (*notes, waits(control, trigger))))), []).extend(names)
    for (kind, note), names in lines.items():
        yield f"- {kind}: {', '.join(dict.fromkeys(names))}{f' ({note})' if note else ''}"
    if any(waits(control, trigger) for trigger in control.all_triggers):
        yield ""
        yield (
            "The settle time is `settle_seconds` in the [settings](../settings.md), counted from the call; after a "
            f"change it is at most {MAX_CHANGE_WAIT_SECONDS} s. "
            "[Infrastructure as code](../infrastructure-as-code.md) explains why."
        )


def _trigger(trigger: Trigger) -> tuple[str, list[str], tuple[str, ...]]:
    """Return what a trigger's line begins with, what it names, and notes on it."""
    if isinstance(trigger, CloudTrail):
        marks = ("creates the resource" if trigger.creates else "", "can only weaken" if trigger.weakens else "")
        return f"CloudTrail, `{trigger.source}`", [f"`{name}`" for name in trigger.names], marks
    if isinstance(trigger, Config):
        return "AWS Config, compliance changes and configuration item changes", [f"`{trigger.resource_type}`"], ()
    if isinstance(trigger, SecurityHub):
        return "Security Hub CSPM, findings that are failed, active and new", list(trigger.ids), ()
    if isinstance(trigger, TagChange):
        return "Tag changes", [f"`{trigger.service}` {trigger.resource_type}".rstrip()], ()
    raise TypeError(f"unknown kind of trigger: {trigger!r}")


def waits(control: Control, trigger: Trigger) -> str:
    """Return when a trigger's call is handled only after the settle time, as ``decide`` does; empty for never."""
    call = isinstance(trigger, CloudTrail)
    step = isinstance(trigger, TagChange) or (isinstance(trigger, CloudTrail) and (trigger.creates or trigger.settles))
    if step and control.always_settles:
        return "after the settle time"
    by_tools = call and (step or not control.urgent)  # the event of a tag change does not say who made it
    return "after the settle time if infrastructure as code made it" if by_tools else ""


def permissions(control: Control) -> Iterator[str]:
    """Yield one line of Markdown per grant."""
    for grant in control.permissions:
        actions = ", ".join(f"`{action}`" for action in grant.actions)
        on = ", ".join(f"`{template}`" for template in grant.on or (control.arn,))
        yield f"- {_STAGES[grant.stage]}: {actions} on {on}{f' ({grant.why})' if grant.why else ''}"


def parameters(control: Control) -> Iterator[str]:
    """Yield the section on the control's parameters, if it has any."""
    if control.parameters:
        yield from ("## Parameters", "", "| parameter | default |", "| --- | --- |")
        for name, value in control.parameters.items():
            default = (
                f"provided by the stack (environment variable `{value}`)"
                if isinstance(value, Env)
                else f"`{json.dumps(value)}`"
            )
            yield f"| `{name}` | {default} |"
        yield ""
