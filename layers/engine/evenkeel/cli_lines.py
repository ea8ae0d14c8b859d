"""Calls and changes as text for people: command lines that can be pasted, and values before and after."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from botocore import xform_name

from evenkeel.outcome import Calls, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date

    from evenkeel.model import Call
    from evenkeel.outcome import Meaning

_MEANINGS: dict[str, Meaning] = {each: each.meaning for each in Outcome}
SET_BACK = "Evenkeel sets this back unless exempt"
"""The warning beside calls that weaken a resource again: if people make them, Evenkeel repairs the resource."""
_LONGEST_VALUE = 160
_CLI_NAMES = {"s3": "s3api"}  # the CLI's own ``s3`` is a set of high-level commands


def done(outcome: str) -> str:
    """Return the title above an outcome's calls, such as ``Changed`` or ``Would call``; ``Calls`` for a plan."""
    known = _MEANINGS.get(outcome)
    return str(known.calls if known else Calls.NONE)


def back(outcome: str) -> str:
    """Return the title above the calls that undo an outcome's calls."""
    known = _MEANINGS.get(outcome)
    return "Would undo" if known and known.only_planned else f"Undo by hand ({SET_BACK})"


def companions(record: Mapping[str, Any]) -> str:
    """Return the other controls' plans that shared the record's call; empty if there are none."""
    return ", ".join(f"{control} (plan {plan})" for control, plan in record.get("sent_with", {}).items())


def cli_line(call: Call, region: str = "") -> str:
    """Return e.g. ``aws kms enable-key-rotation --key-id 1234 --region eu-west-1``; values are quoted for a shell."""
    words = ["aws", _CLI_NAMES.get(call.service, call.service), call.operation.replace("_", "-")]
    for name, value in call.params.items():
        words += _option(name, value)
    if region:
        words += ["--region", region]
    return shlex.join(words)


def own_line(stack: str, region: str, *words: str, **options: str | bool | tuple[str, ...]) -> str:
    """Return e.g. ``evenkeel undo RECORD --stack prod --region eu-west-1 --force``, quoted for a shell.

    An option is omitted if its value is empty or False, has no value if it is True, and is repeated for each member of
    a tuple.
    """
    line = ["evenkeel", *words, "--stack", stack, "--region", region]
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            line.append(flag)
        elif value:
            line += [word for each in (value if isinstance(value, tuple) else (value,)) for word in (flag, each)]
    return shlex.join(line)


def exemption(control: str, arn: str, until: date) -> list[str]:
    """Return the lines of YAML that exempt one resource from one control, for the settings file."""
    return [
        "exemptions:",
        f"  - controls: [{control}]",
        f"    resources: [{json.dumps(arn)}]",
        '    reason: "say why"',
        '    approver: "say who approved it"',
        f"    expires: {until}",
    ]


def changes(before: Any, after: Any) -> list[str]:
    """Return the differences between two states of a resource, e.g. ``KeyRotationEnabled: false -> true``, one a line.

    For lists, only members that were added or removed are shown. A field that one of the states lacks is not compared:
    the read after a change may omit some.
    """
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return []
    both = [name for name in sorted(before) if name in after and before[name] != after[name]]
    return [line for name in both for line in _differences(name, before[name], after[name])]


def _differences(name: str, was: Any, now: Any) -> Iterator[str]:
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted({*was, *now}, key=str):
            if was.get(key) != now.get(key):
                yield from _differences(f"{name}.{key}", was.get(key), now.get(key))
    elif isinstance(was, list) and isinstance(now, list):
        moved = [f"removed {_shown(each)}" for each in was if each not in now]
        moved += [f"added {_shown(each)}" for each in now if each not in was]
        yield f"{name}: {', '.join(moved) or 'in another order'}"
    else:
        yield f"{name}: {_shown(was)} -> {_shown(now)}"


def _shown(value: Any) -> str:
    """Return a value as short JSON, or ``none``."""
    text = "none" if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}… (cut)"


def _option(name: str, value: Any) -> list[str]:
    flag = "--" + xform_name(name, "-")
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return [flag, *value]
    if isinstance(value, dict | list):
        return [flag, json.dumps(value, sort_keys=True)]
    return [flag, str(value)]
