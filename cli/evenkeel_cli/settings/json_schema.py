"""The JSON Schema of settings.yaml, made from the registry: editors complete control ids, parameters, modes with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel.control import Env
from evenkeel.control.registry import all_controls
from evenkeel.model import Mode
from evenkeel.settings.parser import DEFAULT_SETTLE_SECONDS
from evenkeel.settings.resolve import CHANGING
from evenkeel.versions import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenkeel.control import Control

_TYPES = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
    list: "array",
    tuple: "array",
    dict: "object",
}
_TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
_SELECTOR: dict[str, Any] = {
    "resources": {
        "type": "array", "items": {"type": "string", "pattern": r"^(\*|arn:)"}, "minItems": 1,
        "description": "ARN patterns; * and ? are special.",
    },
    "accounts": {
        "type": "array", "items": {"type": "string", "pattern": "^[0-9]{12}$"}, "minItems": 1,
        "description": "Account ids: 12 digits, in quotes.",
    },
    "regions": _TEXTS,
    "tags": {
        "type": "object",
        "description": "Tag keys with the value, or the list of values, that the resource must have.",
        "additionalProperties": {"anyOf": [{"type": "string"}, _TEXTS]},
    },
}  # fmt: skip


def schema(controls: Iterable[Control] | None = None) -> dict[str, Any]:
    """Return the schema (draft 7, which editors know best) for these controls, or for all that there are."""
    given = all_controls().values() if controls is None else controls
    known = {control.id: control for control in sorted(given, key=lambda control: control.id)}
    names = {"type": "array", "items": {"enum": ["*", *known]}, "minItems": 1}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Evenkeel settings",
        **_object(
            {
                "schema_version": {"const": SETTINGS.version},
                "settle_seconds": {
                    "type": "integer", "minimum": 0, "maximum": 900, "default": DEFAULT_SETTLE_SECONDS,
                    "description": "How long a resource made by infrastructure as code is left alone first.",
                },
                "controls": _object({name: _control(control) for name, control in known.items()}),
                "exemptions": {"type": "array", "items": _exemption(names)},
                "freezes": {"type": "array", "items": _freeze(names)},
            },
            required=["schema_version"],
        ),
    }  # fmt: skip


def text(controls: Iterable[Control] | None = None) -> str:
    """Return the schema as it is published in docs/settings.schema.json."""
    return json.dumps(schema(controls), indent=2, ensure_ascii=False) + "\n"


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, **more}


def _control(control: Control) -> dict[str, Any]:
    modes = [str(mode) for mode in Mode if not (control.only_announces and mode in CHANGING)]
    settings = {
        "mode": {"enum": modes, "default": str(control.default_mode)},
        "parameters": _object({name: _parameter(default) for name, default in control.parameters.items()}),
        "blast_radius": _object(
            {
                "limit": {"type": "integer", "minimum": 1, "default": control.blast_radius.limit,
                          "description": "Resources that may be changed in one account in one window."},
                "window_seconds": {"type": "integer", "minimum": 1, "default": control.blast_radius.window_seconds},
            }
        ),
    }  # fmt: skip
    override = _object({**_SELECTOR, **settings}, minProperties=2)
    overrides = {
        "type": "array", "items": override,
        "description": "Other settings for some resources; resources win over tags, tags over regions, then accounts.",
    }  # fmt: skip
    return _object({**settings, "overrides": overrides}, description=control.title)


def _parameter(default: Any) -> dict[str, Any]:
    if isinstance(default, Env):
        return {"type": "string", "description": f"Default: what the stack says ({default})."}
    found: dict[str, Any] = {"type": _TYPES[type(default)], "default": default}
    if isinstance(default, list | tuple) and all(isinstance(item, str) for item in default):
        found["items"] = {"type": "string"}
    return found


def _exemption(names: dict[str, Any]) -> dict[str, Any]:
    selector = {name: value for name, value in _SELECTOR.items() if name != "regions"}
    return _object(
        {
            "controls": names,
            **selector,
            "reason": {"type": "string", "minLength": 1},
            "approver": {"type": "string", "minLength": 1, "description": "Who approved it."},
            "expires": {"type": "string", "format": "date", "description": "The last day on which it holds (UTC)."},
        },
        required=["controls", "reason", "approver", "expires"],
        anyOf=[{"required": [name]} for name in selector],
    )


def _freeze(names: dict[str, Any]) -> dict[str, Any]:
    return _object(
        {
            "name": {"type": "string"},
            "cron": {"type": "string", "description": "When it begins: minute hour day month weekday."},
            "hours": {"type": "integer", "minimum": 1, "maximum": 744},
            "timezone": {"type": "string", "default": "UTC", "description": "E.g. Europe/Madrid."},
            "controls": {**names, "default": ["*"]},
        },
        required=["cron", "hours"],
    )
