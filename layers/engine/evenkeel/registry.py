"""Finds the controls: every module of a group's package beside its handler."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from functools import lru_cache
from pathlib import Path

from evenkeel.control import Control

_NOT_GROUPS = frozenset({"notifier", "clerk", "undo", "settings_validator"})


def controls_of(package: str) -> tuple[Control, ...]:
    """Return the controls of one group's package, by id. ``package`` is its import name, e.g. ``kms``."""
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
                    raise ImportError(f"{member.__name__} holds two controls; one module holds one")
                found[candidate.id] = candidate()
    return tuple(found[name] for name in sorted(found))


def groups_in(functions: Path) -> dict[str, tuple[Control, ...]]:
    """Return the controls by group that a folder of functions holds; the folder must be importable."""
    packages = sorted(folder.parent.name for folder in functions.glob("*/handler.py"))
    found = [controls_of(package) for package in packages if package not in _NOT_GROUPS]
    return {controls[0].group: controls for controls in found}


@lru_cache(maxsize=1)
def groups() -> dict[str, tuple[Control, ...]]:
    """Return all controls of the repository by group (for tools, tests and the command line, not for Lambda)."""
    functions = Path(__file__).resolve().parents[3] / "functions"
    if str(functions) not in sys.path:
        sys.path.insert(0, str(functions))  # Lambda has the groups' packages at its root; here they are a folder's
    return groups_in(functions)


def all_controls() -> dict[str, Control]:
    """Return every control of the repository by id."""
    return {control.id: control for controls in groups().values() for control in controls}
