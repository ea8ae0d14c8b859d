"""What other settings would change: the document, and how the last month's findings would be decided."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import yaml

from evenkeel.control import Env
from evenkeel.errors import SettingsError
from evenkeel.registry import all_controls
from evenkeel.rules import Subject, TagsUnknownError
from evenkeel_cli import settings_file
from evenkeel_cli.audit_reader import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from evenkeel.control import Control
    from evenkeel.records import Record
    from evenkeel.settings import Settings
    from evenkeel_cli.audit_reader import Reader

MONTH = timedelta(days=30)
_TAGS = "depends on tags"


@dataclass(frozen=True, slots=True)
class Changed:
    """A finding that would be decided otherwise."""

    control: str
    resource: str
    before: str
    after: str

    def described(self) -> dict[str, str]:
        """Return it for machines."""
        return {"control": self.control, "resource": self.resource, "before": self.before, "after": self.after}


def as_yaml(document: Any) -> str:
    """Return a document as YAML; every YAML parser reads it back the same."""
    dumped: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return dumped


def lines(old: Any, new: Any, old_name: str, new_name: str) -> list[str]:
    """Return the unified diff of two documents, whose order does not matter; empty when they say the same."""
    one, two = (
        yaml.safe_dump(document, sort_keys=True, allow_unicode=True, width=110).splitlines() for document in (old, new)
    )
    return list(difflib.unified_diff(one, two, old_name, new_name, lineterm=""))


def decisions(reader: Reader, old: Settings, new: Settings, now: datetime) -> tuple[list[Changed], int]:
    """Return last month's findings that would be decided otherwise, and how many findings there were.

    A finding is a control and a resource. What depends on the resource's tags cannot be told: records do not hold them.
    """
    known = all_controls()
    seen: set[tuple[str, str]] = set()
    changed: list[Changed] = []
    for record in reader.newest(Wanted(now - MONTH), now):
        key = (str(record["control"]), str(record["resource"]))
        if key in seen or key[0] not in known:
            continue
        seen.add(key)
        before, after = (_decision(each, known[key[0]], _subject(record), now) for each in (old, new))
        if before != after:
            changed.append(Changed(*key, before, after))
    return changed, len(seen)


def _subject(record: Record) -> Subject:
    return Subject(str(record["resource"]), str(record.get("account", "")), str(record.get("region", "")))


def _decision(there: Settings, control: Control, subject: Subject, now: datetime) -> str:
    """Return what settings say of a resource: its mode and parameters, or that it is exempt."""
    try:
        exemption = there.exemption(control, subject, now)
        if exemption:
            return f"exempt until {exemption.expires}: {exemption.reason}"
        found = there.of(control, subject, settings_file.PROVIDED)
    except TagsUnknownError:
        return _TAGS
    except SettingsError as error:
        return f"not valid: {error}"
    given = ", ".join(f"{name} {value}" for name, value in _others(control, found.parameters))
    return f"{found.mode} ({given})" if given else str(found.mode)


def _others(control: Control, parameters: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return the parameters that are not the defaults; those that the stack provides are the same for both sides."""
    own = {name: value for name, value in control.parameters.items() if not isinstance(value, Env)}
    return ((name, parameters[name]) for name, default in own.items() if parameters[name] != default)


def loaded(content: str, start_mode: str) -> Settings | None:
    """Return deployed settings, or None where this version of Evenkeel cannot read them."""
    try:
        return settings_file.engine_check(content, start_mode)
    except SettingsError:
        return None
