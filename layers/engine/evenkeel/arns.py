"""ARN patterns, in which only ``*`` and ``?`` are special: whether they match an ARN, or could match any."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

_PIECES = re.compile(r"\{\w+\}|.", re.DOTALL)


def like(pattern: str, arn: str) -> bool:
    """Return whether an ARN matches a pattern."""
    return fnmatchcase(arn, pattern.replace("[", "[[]"))


def may_name(pattern: str, template: str) -> bool:
    """Return whether a pattern can match an ARN made from a template, whose placeholders take anything but a colon.

    Both are read in parallel to their ends, in every combination that the pattern's stars and the placeholders allow.
    """
    pieces = _PIECES.findall(template)
    pending, seen = [(0, 0)], set()
    while pending:
        at = first, second = pending.pop()
        if at in seen:
            continue
        seen.add(at)
        here, there = pattern[first : first + 1], "".join(pieces[second : second + 1])
        is_placeholder = len(there) > 1
        if not here and not there:
            return True
        if here == "*":
            pending += [(first + 1, second), *([(first, second + 1)] if there else [])]
        if is_placeholder:
            pending += [(first, second + 1), *([(first + 1, second)] if here not in {"", ":"} else [])]
        elif here and there and here in {there, "?"}:
            pending.append((first + 1, second + 1))
    return False
