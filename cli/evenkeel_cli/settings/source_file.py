"""Reads a settings file (YAML or JSON) with the line of every part, and checks it as the functions do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from evenkeel import clock
from evenkeel.control.registry import all_controls
from evenkeel.settings import parser
from evenkeel.settings.problems import InvalidSettingsError
from evenkeel_cli.settings import yaml_loader
from evenkeel_cli.settings.yaml_loader import DuplicateKeysError
from evenkeel_cli.ui.failure import CommandError, Exit

if TYPE_CHECKING:
    from datetime import date, datetime
    from pathlib import Path

    from evenkeel.settings.parser import Settings
    from evenkeel.settings.problems import DocumentPath, Problem

PROVIDED = {"EVENKEEL_LOG_KEY_ARN": "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"}
"""Placeholders for the defaults of parameters that the stack gives its functions."""
_LARGEST = 8_000_000
"""A larger document, in characters, is refused: aliases can make a short file arbitrarily large."""


@dataclass(frozen=True, slots=True)
class Located:
    """A problem in a file, with its line, counted from 1."""

    line: int
    message: str
    hint: str = ""
    place: str = ""
    """The path, e.g. ``exemptions[0].expires``; empty if only the line is known."""

    @property
    def text(self) -> str:
        """Return path, message and hint as one line of text."""
        return "".join((self.place and f"{self.place}: ", self.message, self.hint and f"; {self.hint}"))

    def described(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"line": self.line, "place": self.place, "message": self.message, "hint": self.hint}


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A settings file: the document as data, and as the YAML library loaded it, with line numbers."""

    path: Path
    document: Any
    lines: Any

    @property
    def text(self) -> str:
        """Return the document as it is deployed: JSON, in the file's order."""
        return json.dumps(self.document, ensure_ascii=False, indent=1)

    def line(self, place: DocumentPath) -> int:
        """Return the line of a path, or of its nearest parent that exists."""
        inner, line = self.lines, 1
        for part in place.parts:
            line = yaml_loader.line(inner, part) or line
            try:
                inner = inner[part]
            except (KeyError, IndexError, TypeError):
                break
        return line


def read(path: Path) -> SettingsFile:
    """Read a file.

    Raises:
        CommandError: it cannot be read, is not YAML, or has a key twice; the message says ``file:line:``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"{path}: cannot be read: {error.strerror}"
        raise CommandError(message, "Give the path of a YAML file.", Exit.USAGE) from error
    try:
        text = content.decode("utf-8-sig")
        lines = yaml_loader.load(text)
        return SettingsFile(path, _plain(lines), lines)
    except DuplicateKeysError as error:
        raise refused(path, [Located(line, message) for line, message in error.keys]) from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refused(path, [Located(line, "not UTF-8 text", "save the file as UTF-8")]) from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise refused(path, [Located(line, f"character U+{error.character:04X} is not allowed in YAML")]) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = "; ".join(filter(None, (error.context, error.problem)))
        raise refused(path, [Located(mark.line + 1 if mark else 1, f"not YAML: {message}")]) from error
    except (YAMLError, ValueError, TypeError, RecursionError) as error:
        first = str(error).partition("\n")[0]
        raise refused(path, [Located(1, f"not a plain document: {first}")]) from error


def _plain(loaded: Any) -> Any:
    """Return a document as the functions read it, from JSON.

    Raises:
        ValueError, TypeError: JSON cannot represent it, or it is too large.
    """
    size, pieces = 0, []
    for piece in json.JSONEncoder(ensure_ascii=False, allow_nan=False).iterencode(loaded):
        size += len(piece)
        if size > _LARGEST:
            raise ValueError(f"it has more than {_LARGEST:,} characters as JSON")
        pieces.append(piece)
    return json.loads("".join(pieces))


def check(found: SettingsFile, now: datetime | None = None, start_mode: str = "recommended") -> Settings:
    """Check a file with the code of the functions, and refuse exemptions that have expired already.

    Raises:
        CommandError: every problem as ``file:line: message``.
    """
    try:
        return engine_check(found.text, start_mode, (now or clock.now()).date())
    except InvalidSettingsError as error:
        raise refused(found.path, [_located(found, problem) for problem in error.problems]) from error


def engine_check(document: str, start_mode: str, today: date | None = None, *, in_force: bool = False) -> Settings:
    """Check a document with the engine, as a function of the stack would; ``in_force`` if it is already live.

    Raises:
        InvalidSettingsError: it has problems.
    """
    return parser.check(document, all_controls().values(), start_mode, PROVIDED, today, in_force=in_force)


def _located(found: SettingsFile, problem: Problem) -> Located:
    """Return one of the engine's problems with its line."""
    return Located(found.line(problem.place), problem.message, problem.hint, str(problem.place))


def refused(path: Path, problems: list[Located]) -> CommandError:
    """Return the error that names every problem of a file, in the order of its lines."""
    ordered = sorted(problems, key=lambda each: each.line)
    lines = [f"{path}:{each.line}: {each.text}" for each in ordered]
    described = [{"file": str(path), **each.described()} for each in ordered]
    return CommandError("\n".join(lines), "Fix the file, then run the command again.", Exit.USAGE, described)
