"""Compares two versions of the settings: the documents, and their decisions on the last month's findings."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import yaml

from evenkeel.control import Env
from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError
from evenkeel.settings.rules import Subject, TagsUnknownError
from evenkeel_cli.audit.reader import Reader, Wanted
from evenkeel_cli.aws import resource_tags
from evenkeel_cli.settings import source_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from evenkeel.control import Control
    from evenkeel.settings.parser import Settings
    from evenkeel_cli.aws.resource_tags import Tags
    from evenkeel_cli.aws.stacks import Stack

MONTH = timedelta(days=30)
_HUNK = re.compile(r"@@ -(\d+)\S* \+(\d+)\S* @@")
_TAGS_UNREAD = "depends on tags that cannot be read: not changed"


@dataclass(frozen=True, slots=True)
class Changed:
    """A finding whose decision would change."""

    control: str
    resource: str
    before: str
    after: str

    def described(self) -> dict[str, str]:
        """Return it as JSON data."""
        return {"control": self.control, "resource": self.resource, "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class Compared:
    """The findings whose decision would change, the number of findings, and the tags that could not be read."""

    changed: Sequence[Changed]
    findings: int
    tags: Tags


def as_yaml(document: Any) -> str:
    """Return a document as YAML that every YAML parser reads back unchanged."""
    dumped: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    return dumped


def lines(old: Any, new: Any, old_name: str, new_name: str) -> list[str]:
    """Return the unified diff of two documents, ignoring the order of keys; empty if they are the same.

    Each ``@@ … @@`` is followed by the path of its first change, e.g. ``controls.kms-key-rotation``.
    """
    one, two = (
        yaml.safe_dump(document, sort_keys=True, allow_unicode=True, width=110).splitlines() for document in (old, new)
    )
    found = list(difflib.unified_diff(one, two, old_name, new_name, lineterm=""))
    for number, line in enumerate(found):
        hunk = _HUNK.fullmatch(line)
        if hunk:
            same = next(count for count, each in enumerate(found[number + 1 :]) if not each.startswith(" "))
            text, start = (one, hunk[1]) if found[number + 1 + same].startswith("-") else (two, hunk[2])
            found[number] = f"{line} {_within(text, int(start) - 1 + same)}".rstrip()
    return found


def _within(text: Sequence[str], number: int) -> str:
    """Return the path of a line of YAML: its enclosing keys from the outermost."""
    keys: list[str] = []
    depth = _depth(text[number])
    for line in reversed(text[:number]):
        if _depth(line) < depth:
            depth = _depth(line)
            keys.insert(0, line.strip(" -").partition(":")[0])
    return ".".join(keys)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" -"))


def decisions(stack: Stack, old: Settings, new: Settings, now: datetime) -> Compared:
    """Compare the decisions on last month's findings; a finding is a control and a resource.

    A resource's current tags are read only if either side has a rule for the control that depends on tags.
    """
    found = findings(Reader(stack), now)
    wanted = [
        subject
        for (control, _), subject in found.items()
        if old.needs_tags(all_controls()[control], now) or new.needs_tags(all_controls()[control], now)
    ]
    tags = resource_tags.read(stack, wanted)
    changed = []
    for (control, arn), subject in found.items():
        before, after = (_decision(each, all_controls()[control], tags.of(subject), now) for each in (old, new))
        if before != after:
            changed.append(Changed(control, arn, before, after))
    return Compared(changed, len(found), tags)


def findings(reader: Reader, now: datetime) -> dict[tuple[str, str], Subject]:
    """Return the last month's findings by (control, resource), the newest first."""
    known = all_controls()
    found: dict[tuple[str, str], Subject] = {}
    for record in reader.newest(Wanted(now - MONTH), now):
        control, arn = str(record["control"]), str(record["resource"])
        if control in known:
            subject = Subject(arn, str(record.get("account", "")), str(record.get("region", "")))
            found.setdefault((control, arn), subject)
    return found


def _decision(there: Settings, control: Control, subject: Subject, now: datetime) -> str:
    """Return the settings' decision on a resource in words: mode and parameters, or the exemption."""
    try:
        exemption = there.exemption(control, subject, now)
        if exemption:
            return f"exempt until {exemption.expires}: {exemption.reason}"
        found = there.of(control, subject, source_file.PROVIDED)
    except TagsUnknownError:
        return _TAGS_UNREAD
    except SettingsError as error:
        return f"not valid: {error}"
    given = ", ".join(f"{name} {value}" for name, value in _others(control, found.parameters))
    return f"{found.mode} ({given})" if given else str(found.mode)


def _others(control: Control, parameters: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return the parameters that differ from the defaults; the stack's own are the same for both sides."""
    own = {name: value for name, value in control.parameters.items() if not isinstance(value, Env)}
    return ((name, parameters[name]) for name, default in own.items() if parameters[name] != default)


def loaded(content: str, start_mode: str) -> Settings | None:
    """Return deployed settings; None if this version of Evenkeel cannot read them."""
    try:
        return source_file.engine_check(content, start_mode, in_force=True)
    except SettingsError:
        return None
