"""Stacks of other controls than the real ones: what the generator writes for them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from tools import enabled_groups, generate, group_template, rendering

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pytest

    from evenkeel.control import Control


def like(original: Control, module: str, **members: Any) -> Control:
    """Return a control like another in a module of another name, with members of its own."""
    kind = type(original)
    made: Control = type("Like", (kind,), {"__module__": module, "__doc__": kind.__doc__, **members})()
    return made


def repository(folder: Path, groups: Mapping[str, Sequence[Control]], monkeypatch: pytest.MonkeyPatch) -> str:
    """Write the templates for some groups into a folder and have rendering read them there; return the root's path.

    The path is absolute, since rendering remembers templates by it.
    """
    for group, controls in groups.items():
        path = folder / enabled_groups.path(controls)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(group_template.text(group_template.template(group, controls)), encoding="utf-8")
    (folder / "functions" / "system").mkdir(parents=True, exist_ok=True)
    for path in (rendering.ROOT / "functions" / "system").glob("*.yaml"):
        shutil.copy(path, folder / "functions" / "system")
    root = folder / generate.TEMPLATE
    root.write_text(generate.root_template(rendering.ROOT, groups), encoding="utf-8")
    monkeypatch.setattr(rendering, "ROOT", folder)
    return str(root)
