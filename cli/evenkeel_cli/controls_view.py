"""``evenkeel controls``: all controls as a table, one control in full, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.text import Text

from evenkeel.control import Env, Stage
from evenkeel.control.registry import all_controls
from evenkeel.control.triggers import CloudTrail, Config, SecurityHub, TagChange
from evenkeel.suggestions import suggested
from evenkeel_cli.ui import console
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from rich.console import Console

    from evenkeel.control import Control
    from evenkeel.control.triggers import Trigger

_KEYS = {
    "why": "Why",
    "impact": "Blast radius",
    "cost": "Cost",
    "undo": "Undo",
    "mode_why": "Mode",
    "runbook": "Runbook",
}
"""Keys in JSON of the sections of a control's docstring."""
_STAGES = {
    Stage.READ: "to read",
    Stage.DISCOVER: "to list",
    Stage.APPLY: "to change",
    Stage.UNDO: "to undo",
}


def show(wanted: str | None, *, as_json: bool) -> None:
    """Print all controls, or one in full.

    Raises:
        CommandError: there is no control of that id.
    """
    known = all_controls()
    if wanted is not None and wanted not in known:
        raise CommandError(f"there is no control {wanted!r}", suggested(wanted, known), Exit.USAGE)
    if wanted:
        one = described(known[wanted])
        console.show(one, lambda out: _one(out, one), as_json=as_json)
    else:
        every = [known[name] for name in sorted(known)]
        console.show([described(each) for each in every], lambda out: _all(out, every), as_json=as_json)


def described(control: Control) -> dict[str, Any]:
    """Return everything that the registry has about a control, as JSON data."""
    frameworks = control.frameworks
    return {
        "id": control.id,
        "title": control.title,
        "group": control.group,
        "severity": str(control.severity),
        "mode": str(control.default_mode),
        "resource_type": control.resource_type,
        "reference": control.reference,
        **{key: control.sections.get(name, "") for key, name in _KEYS.items()},
        "triggers": [_trigger(each) for each in control.all_triggers],
        "frameworks": {
            "security_hub": list(frameworks.security_hub),
            "cis_3_0": frameworks.cis_3_0,
            "nist_800_53": list(frameworks.nist_800_53),
            "config_rule": frameworks.config_rule,
        },
        "permissions": [
            {"stage": str(grant.stage), "actions": list(grant.actions), "on": list(grant.on or (control.arn,)),
             "why": grant.why}
            for grant in control.permissions
        ],
        "parameters": {
            name: f"${{{value}}}" if isinstance(value, Env) else value for name, value in control.parameters.items()
        },
        "blast_radius": {
            "limit": control.blast_radius.limit,
            "window_seconds": control.blast_radius.window_seconds,
        },
    }  # fmt: skip


def _trigger(trigger: Trigger) -> dict[str, Any]:
    if isinstance(trigger, CloudTrail):
        names = list(trigger.names)
        return {"kind": "cloudtrail", "source": trigger.source, "events": names, "creates": trigger.creates}
    if isinstance(trigger, Config):
        return {"kind": "config", "resource_type": trigger.resource_type}
    if isinstance(trigger, TagChange):
        return {"kind": "tag-change", "service": trigger.service, "resource_type": trigger.resource_type}
    if isinstance(trigger, SecurityHub):
        return {"kind": "security-hub", "ids": list(trigger.ids)}
    raise TypeError(f"unknown kind of trigger: {trigger!r}")


def _all(out: Console, controls: list[Control]) -> None:
    rows = []
    for control in controls:
        names = control.frameworks
        standards = [*names.security_hub, f"CIS {names.cis_3_0}" if names.cis_3_0 else ""]
        called = ", ".join(filter(None, standards)) or "NIST" * bool(names.nist_800_53)
        title = Text.assemble(control.title, (f" ({called})", "dim") if called else "")
        rows.append(
            (Text(control.id, style="bold"), _severity(str(control.severity)), str(control.default_mode), title)
        )
    console.table(out, ("control", "severity", "mode", "desired state"), rows)
    out.print(
        f"\n{len(controls)} controls. evenkeel controls ID shows one in full, with triggers, permissions and cost.",
        style="dim",
    )


def _severity(severity: str) -> Text:
    styles = {"LOW": "cyan", "MEDIUM": "yellow", "HIGH": "red", "CRITICAL": "bold red"}
    return Text(severity, style=styles.get(severity, ""))


def _one(out: Console, control: dict[str, Any]) -> None:
    """Print one control in full."""
    out.print(Text(control["id"], style="bold"))
    out.print(f"{control['title']}.\n")
    radius = control["blast_radius"]
    facts = {
        "group": control["group"],
        "severity": _severity(control["severity"]),
        "mode": control["mode_why"],
        "resource": control["resource_type"],
        "why": control["why"],
        "impact": control["impact"],
        "cost": control["cost"],
        "undo": control["undo"],
        "runbook": control["runbook"],
        "reference": control["reference"],
        "at most": f"{radius['limit']:,} resources in {radius['window_seconds']:,} s",
        "triggers": _lines(_triggers(control["triggers"])),
        "frameworks": _lines(_frameworks(control["frameworks"])),
        "permissions": _lines(_permissions(control["permissions"])),
        "parameters": _lines(f"{name} = {json.dumps(value)}" for name, value in control["parameters"].items()),
    }
    console.table(out, (), [(Text(f"  {name}", style="dim"), value) for name, value in facts.items() if value])


def _lines(lines: Any) -> str:
    return "\n".join(dict.fromkeys(lines))


def _triggers(triggers: list[dict[str, Any]]) -> list[str]:
    """Return one line per source of events."""
    lines: dict[str, list[str]] = {}
    for trigger in triggers:
        if trigger["kind"] == "cloudtrail":
            lines.setdefault(trigger["source"], []).extend(trigger["events"])
        elif trigger["kind"] == "config":
            lines.setdefault("AWS Config", []).append(trigger["resource_type"])
        elif trigger["kind"] == "security-hub":
            lines.setdefault("Security Hub finding", []).extend(trigger["ids"])
        else:
            kind = f"{trigger['service']} {trigger['resource_type']}".strip()
            lines.setdefault("Tag change", []).append(kind)
    return [f"{source}: {', '.join(names)}" for source, names in lines.items()]


def _frameworks(names: dict[str, Any]) -> list[str]:
    labelled = {
        "Security Hub": ", ".join(names["security_hub"]),
        "CIS AWS 3.0": names["cis_3_0"],
        "NIST 800-53": ", ".join(names["nist_800_53"]),
        "AWS Config": names["config_rule"],
    }
    return [f"{label} {value}" for label, value in labelled.items() if value]


def _permissions(grants: list[dict[str, Any]]) -> list[str]:
    """Return one line per stage, with all its actions."""
    lines: dict[str, dict[str, None]] = {}
    for grant in grants:
        lines.setdefault(_STAGES[Stage(grant["stage"])], {}).update(dict.fromkeys(grant["actions"]))
    return [f"{stage}: {', '.join(actions)}" for stage, actions in lines.items()]
