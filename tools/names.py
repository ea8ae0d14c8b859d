"""Logical ids and conditions that the generated templates share."""

from __future__ import annotations

import re


def stem(group: str) -> str:
    """Return the start of a group's logical ids: ``kms`` → ``Kms``, ``api-gateway`` → ``ApiGateway``."""
    return "".join(part.capitalize() for part in re.split(r"[-_]", group))


def nested_stack(group: str) -> str:
    """Return the logical id of a group's nested stack in the root."""
    return f"{stem(group)}Group"


def condition(group: str) -> str:
    """Return the name of the condition that is true if the group is enabled."""
    return f"{stem(group)}IsEnabled"
