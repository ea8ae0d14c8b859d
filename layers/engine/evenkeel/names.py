"""The physical names of a stack's parts, all derived from the stack's name, so that no list of them is needed.

Roles are global in an account, so their names contain the region. The longest is a group's undo role; IAM allows 64
characters (IAM user guide, "IAM and STS quotas"), a region has up to 14 and a group up to 15, which leaves 28 for the
stack's name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evenkeel.model import Place

STACK_CHARACTERS = 28
"""Maximum length of a stack's name."""
GROUP_CHARACTERS = 15
"""Maximum length of a group's name."""
ROLE_PATH = "/evenkeel/"
"""The IAM path of all roles of all stacks."""
NOTIFIER, CLERK, UNDO, VALIDATOR = "notifier", "clerk", "undo", "settings-validator"
SYSTEM = (NOTIFIER, CLERK, UNDO, VALIDATOR)
"""The functions besides the groups'."""
MONITOR = "settings-monitor"
"""The role with which AppConfig reads the alarm on refused settings."""
RESERVED = (*SYSTEM, MONITOR, "audit", "state", "dead-letters", "alerts", "engine", "settings")
"""Names of the stack's other parts, which no group may have."""


def check_group(group: str) -> None:
    """Refuse a group's name that cannot be used in the names of its parts.

    Raises:
        ValueError: the name is too long, reserved, or has characters that are not allowed; says what to do.
    """
    if group in RESERVED:
        raise ValueError(f"group {group}: another part of the stack has that name; rename the folder")
    if not re.fullmatch("[a-z][a-z0-9]*", group):
        raise ValueError(f"group {group}: its name may have lowercase letters and digits only; rename the folder")
    if len(group) > GROUP_CHARACTERS:
        raise ValueError(
            f"group {group}: its name has {len(group)} characters; shorten it to {GROUP_CHARACTERS}, since IAM allows "
            "64 for a role, which is named after stack, region and group"
        )


def function(stack: str, name: str) -> str:
    """Return the name of the function of a group, or of one of :data:`SYSTEM`."""
    return f"{stack}-{name}"


def queue(stack: str, group: str) -> str:
    """Return the name of a group's queue."""
    return f"{stack}-{group}"


def queue_urls(stack: str, groups: Iterable[str], dead_letters_url: str) -> dict[str, str]:
    """Return the URL of each group's queue, derived from that of the dead-letter queue."""
    before = dead_letters_url.rpartition("/")[0]
    return {group: f"{before}/{queue(stack, group)}" for group in groups}


def rule(stack: str, group: str, suffix: str) -> str:
    """Return the name of one of a group's EventBridge rules."""
    return f"{stack}-{group}-{suffix}"


def log_group(stack: str, name: str) -> str:
    """Return the name of a function's log group."""
    return f"/aws/lambda/{function(stack, name)}"


def role(stack: str, region: str, name: str) -> str:
    """Return the name of a function's role, without the path."""
    return f"{stack}-{region}-{name}"


def undo_role(stack: str, region: str, group: str) -> str:
    """Return the name of the role with which undo changes a group's resources, without the path."""
    return role(stack, region, f"{group}-undo")


def role_arn(place: Place, name: str) -> str:
    """Return the ARN of a role of ours in an account."""
    return f"arn:{place.partition}:iam::{place.account}:role{ROLE_PATH}{name}"


def audit_table(stack: str) -> str:
    """Return the name of the audit table."""
    return f"{stack}-audit"


def state_table(stack: str) -> str:
    """Return the name of the state table."""
    return f"{stack}-state"


def dead_letters(stack: str) -> str:
    """Return the name of the dead-letter queue."""
    return f"{stack}-dead-letters"


def topic(stack: str) -> str:
    """Return the name of the topic that alerts go to."""
    return f"{stack}-alerts"


def bus(stack: str) -> str:
    """Return the name of the event bus that gets the stack's outcomes."""
    return stack


def stack_rules(stack: str) -> tuple[str, str]:
    """Return the names of the rules that belong to no group: the clerk's schedule, and calls about the stack itself."""
    return f"{stack}-clerk", f"{stack}-stack-calls"
