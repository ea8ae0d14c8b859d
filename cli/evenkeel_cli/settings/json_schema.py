"""The JSON Schema of settings.yaml, with which editors complete and check control ids, parameters and modes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from evenkeel.control.registry import all_controls
from evenkeel.settings.schema import document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenkeel.control import Control


def schema(controls: Iterable[Control] | None = None) -> dict[str, Any]:
    """Return the schema (draft 7, which editors support best) for these controls; by default for all."""
    known = tuple(all_controls().values() if controls is None else controls)
    about = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Evenkeel settings"}
    return {**about, **document(known).json_schema()}


def text(controls: Iterable[Control] | None = None) -> str:
    """Return the schema as it is published in docs/settings.schema.json."""
    return json.dumps(schema(controls), indent=2, ensure_ascii=False) + "\n"
