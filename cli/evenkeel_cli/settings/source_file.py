"""Reads a settings file (YAML or JSON) with the line of every part, and checks it as the functions do."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from evenkeel import clock
from evenkeel.control.registry import all_controls
from evenkeel.errors import SettingsError
from evenkeel.settings import parser
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from evenkeel.settings.parser import Settings

_QUOTED = re.compile(r"unknown (?:key|parameter) '([^']*)'")


PROVIDED = {"EVENKEEL_LOG_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"}
"""What the stack gives its functions as defaults of parameters; here stand-ins of the same form."""


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: ``off`` is a mode and no boolean, a date is text, 0123 is no octal number."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)", list("-+0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file, at a line that counts from 1."""

    line: int
    message: str
    """What is wrong, after its place."""
    place: str = ""
    """Such as ``exemptions[0].expires``; empty where only the line is known."""

    @property
    def text(self) -> str:
        """The place, if there is one, and what is wrong there."""
        return f"{self.place}: {self.message}" if self.place else self.message


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file that was read: its document, and the nodes that know their lines."""

    path: Path
    document: Any
    node: yaml.Node | None

    @property
    def text(self) -> str:
        """The document as it is deployed: JSON, in the file's own order."""
        return json.dumps(self.document, ensure_ascii=False, indent=1)

    def line(self, place: str) -> int:
        """Return the line of a place such as ``controls.kms-key-rotation.mode`` or ``exemptions[0].expires``."""
        node, rest = self.node, place.removeprefix("settings").removeprefix(".")
        line = 1
        while node is not None:
            line = node.start_mark.line + 1
            step = _step(node, rest)
            if step is None:
                return line
            line, node, rest = step
            if not rest:
                return line
        return line


def _step(node: yaml.Node, rest: str) -> tuple[int, yaml.Node, str] | None:
    """Go one part down: return the line of the part's key, its node, and what is left of the place."""
    if isinstance(node, yaml.MappingNode):
        keys = sorted(node.value, key=lambda pair: -len(str(pair[0].value)))  # a key may hold dots: the longest first
        for key, value in keys:
            name = str(key.value)
            if rest == name or rest.startswith((f"{name}.", f"{name}[")):
                return key.start_mark.line + 1, value, rest[len(name) :].removeprefix(".")
    if isinstance(node, yaml.SequenceNode):
        index = re.match(r"\[(\d+)\]\.?", rest)
        if index and int(index[1]) < len(node.value):
            item = node.value[int(index[1])]
            return item.start_mark.line + 1, item, rest[index.end() :]
    return None


def read(path: Path) -> SettingsFile:
    """Read a file.

    Raises:
        CommandError: it cannot be read, is not YAML, or has a key twice; the message says ``file:line:``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise CommandError(f"{path}: cannot be read: {reason}", "Give the path of a YAML file.", Exit.USAGE) from error
    try:
        return SettingsFile(path, *_loaded(path, text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = "; ".join(filter(None, (error.context, error.problem)))
        raise refused(path, [Problem(mark.line + 1 if mark else 1, f"not YAML: {said}")]) from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        first = str(error).partition("\n")[0]
        raise refused(path, [Problem(1, f"not a plain document: {first}")]) from error


def _loaded(path: Path, text: str) -> tuple[Any, yaml.Node | None]:
    """Return a text's document and node; errors of YAML's and of JSON's are the caller's."""
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        repeated = _repeated(node) if node else []
        if repeated:
            raise refused(path, repeated)
        document = loader.construct_document(node) if node else None
        json.dumps(document, allow_nan=False, ensure_ascii=False).encode()  # half of a UTF-16 pair is in no encoding
    finally:
        loader.dispose()
    return document, node


def _repeated(node: yaml.Node) -> list[Problem]:
    """Find the keys that stand twice in one mapping: YAML would silently take the last."""
    problems: list[Problem] = []
    waiting, seen_nodes = [node], set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen_nodes:
            continue  # an alias of what was looked at
        seen_nodes.add(id(each))
        if isinstance(each, yaml.SequenceNode):
            waiting += each.value
        if isinstance(each, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in each.value:
                line = key.start_mark.line + 1
                name = str(key.value)
                if name in lines:
                    told = f"{name} stands here a second time; the first is in line {lines[name]}"
                    problems.append(Problem(line, told))
                lines.setdefault(name, line)
                waiting.append(value)
    return problems


def check(found: SettingsFile, now: datetime | None = None, start_mode: str = "recommended") -> Settings:
    """Check a file with the code of the functions, and refuse exemptions that have expired already.

    Raises:
        CommandError: every problem as ``file:line: message``.
    """
    try:
        return engine_check(found.text, start_mode, (now or clock.now()).date())
    except SettingsError as error:
        raise refused(found.path, [_located(found, problem) for problem in error.problems]) from error


def engine_check(document: str, start_mode: str, today: date | None = None, *, in_force: bool = False) -> Settings:
    """Check a document with the engine, as if in a function of the stack; one ``in_force`` as what is live already.

    Raises:
        SettingsError: as the engine words it.
    """
    return parser.check(document, all_controls().values(), start_mode, PROVIDED, today, in_force=in_force)


def _located(found: SettingsFile, problem: str) -> Problem:
    """Return one of the engine's problems, ``place: what is wrong``, with its line."""
    (place, _, wrong), unknown = problem.partition(": "), _QUOTED.search(problem)
    line = found.line(f"{place}.{unknown[1]}" if unknown else place)
    return Problem(line, wrong, place) if wrong else Problem(line, problem)


def refused(path: Path, problems: list[Problem]) -> CommandError:
    """Return the error that names every problem of a file, in the order of its lines."""
    ordered = sorted(problems, key=lambda each: each.line)
    lines = [f"{path}:{each.line}: {each.text}" for each in ordered]
    mistakes = [
        {"file": str(path), "line": each.line, "place": each.place, "problem": each.message} for each in ordered
    ]
    return CommandError("\n".join(lines), "Fix the file, then run the command again.", Exit.USAGE, mistakes)
