"""Patterns of ARNs, in which only ``*`` and ``?`` are special: what they match, and whether they can match at all."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

_PIECES = re.compile(r"\{\w+\}|.", re.DOTALL)


def like(pattern: str, arn: str) -> bool:
    """Return whether an ARN matches a pattern."""
    return fnmatchcase(arn, pattern.replace("[", "[[]"))


def may_name(pattern: str, template: str) -> bool:
    """Return whether a pattern matches an ARN of a control's template, whose words in braces hold anything but a colon.

    Both are read side by side to their ends, in every way that the pattern's stars and the template's words allow.
    """
    pieces = _PIECES.findall(template)
    waiting, seen = [(0, 0)], set()
    while waiting:
        at = first, second = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        here, there = pattern[first : first + 1], "".join(pieces[second : second + 1])
        is_word = len(there) > 1
        if not here and not there:
            return True
        if here == "*":
            waiting += [(first + 1, second), *([(first, second + 1)] if there else [])]
        if is_word:
            waiting += [(first, second + 1), *([(first + 1, second)] if here not in {"", ":"} else [])]
        elif here and there and here in {there, "?"}:
            waiting.append((first + 1, second + 1))
    return False
