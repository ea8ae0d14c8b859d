"""Finds the controls: every module of a group's package except its handler."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
from functools import lru_cache
from pathlib import Path

from evenkeel.control import Control


def controls_of(package: str) -> tuple[Control, ...]:
    """Return the controls of one group's package, sorted by id. ``package`` is its import name, e.g. ``kms``.

    Raises:
        ImportError: a module holds two controls.
    """
    module = importlib.import_module(package)
    found: dict[str, Control] = {}
    for entry in pkgutil.iter_modules(module.__path__):
        if entry.name == "handler":
            continue
        member = importlib.import_module(f"{package}.{entry.name}")
        for candidate in vars(member).values():
            is_control = inspect.isclass(candidate) and issubclass(candidate, Control)
            if is_control and candidate.__module__ == member.__name__ and not inspect.isabstract(candidate):
                if candidate.id in found:
                    raise ImportError(f"{member.__name__} holds two controls; give each control a module of its own")
                found[candidate.id] = candidate()
    return tuple(found[name] for name in sorted(found))


def groups_in(functions: Path) -> dict[str, tuple[Control, ...]]:
    """Return the controls in a folder of group packages, by group; the folder must be on the import path."""
    packages = sorted(folder.parent.name for folder in functions.glob("*/handler.py"))
    found = [controls for controls in map(controls_of, packages) if controls]
    return {controls[0].group: controls for controls in found}


@lru_cache(maxsize=1)
def groups() -> dict[str, tuple[Control, ...]]:
    """Return the controls by group: in Lambda those of the function's own code, elsewhere those of the repository."""
    root = os.environ.get("LAMBDA_TASK_ROOT")  # where Lambda unpacks a function's code, with its group packages on top
    folder = Path(root) if root else Path(__file__).resolve().parents[4] / "functions" / "controls"
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return groups_in(folder)


def all_controls() -> dict[str, Control]:
    """Return all controls of :func:`groups` by id."""
    return {control.id: control for controls in groups().values() for control in controls}
