"""The stored documents of the releases, and what their form is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
OPAQUE = frozenset({"before", "after", "parameters", "params", "tags", "seen", "position"})
"""Fields whose content is a control's, AWS's or people's: what is in them is not our form."""


def releases() -> list[str]:
    """Return the names of the releases that have samples, the newest last."""
    found = [path.name for path in FOLDER.iterdir() if path.is_dir() and path.name.startswith("v")]
    return sorted(found, key=lambda name: [int(part) for part in name.removeprefix("v").split(".")])


def load(release: str, name: str) -> Any:
    """Return a stored document."""
    return json.loads((FOLDER / release / f"{name}.json").read_text(encoding="utf-8"))


def form(document: Any) -> Any:
    """Return a document with the type of each value in the value's place."""
    if isinstance(document, dict):
        return {
            name: type(value).__name__ if name in OPAQUE else form(value) for name, value in sorted(document.items())
        }
    if isinstance(document, list):
        kinds = [form(each) for each in document]
        return [each for number, each in enumerate(kinds) if each not in kinds[:number]]
    return type(document).__name__


def forms(documents: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the forms of a story's documents: by kind of document, then by what tells several of a kind apart."""
    tables = documents["tables"]
    records: dict[str, list[Any]] = {}
    for each in tables["audit"]:
        records.setdefault(each.get("outcome") or each.get("step") or "part", []).append(each)
    parts = records.pop("part")
    state = {each["pk"].rpartition("/")[2]: form(each) for each in tables["state"] if "/run/" not in each["pk"]}
    return {
        "record": {outcome: form(found) for outcome, found in records.items()},
        "digest": {"part": form(parts)},
        "state": {name: each for name, each in state.items() if "head" in each},
        "request": {"one": form(documents["request"]), "several": form(documents["requests"])},
        "event": {"outcome": form(documents["event"])},
        "checkpoint": {"file": form(documents["checkpoint"])},
    }
