"""Converts the controls' grants to the IAM statements of their group's role."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from evenkeel.control import Stage
from tools.cfn import Fn, Star

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from evenkeel.control import Control

EVENT_PATH = {Stage.READ: "Read", Stage.DISCOVER: "List", Stage.APPLY: "Change"}
"""Stages of the event path, with the statements' names.

Actions that only weaken belong to the undo path. If AWS has one action for both directions (PutBucketPolicy), only the
calls that the controls compute limit it.
"""
UNDO_PATH = {Stage.READ: "Read", Stage.UNDO: "TakeBack"}
"""Stages of the undo function, for all groups."""
_KNOWN = {"{partition}": "${AWS::Partition}", "{region}": "${AWS::Region}", "{account}": "${AWS::AccountId}"}

Statement = dict[str, Any]


def granted(controls: Sequence[Control], stages: Mapping[Stage, str] = EVENT_PATH) -> list[Statement]:
    """Return the statements for what controls need in some stages; by default what a group reads, lists and changes.

    Actions with the same stage and the same resources share a statement.

    Raises:
        ValueError: a grant on ``*`` gives no reason.
    """
    actions: dict[tuple[Stage, tuple[str, ...], str], set[str]] = defaultdict(set)
    for control in controls:
        for grant in control.permissions:
            templates = tuple(template.replace("{id}", "*") for template in grant.on or (control.arn,))
            on = ("*",) if "*" in templates else templates  # it includes any resources named with it
            if "*" in on and not grant.why:
                raise ValueError(f"{control.id}: a grant of {', '.join(grant.actions)} on * gives no reason; set why=")
            if grant.stage in stages:
                actions[grant.stage, on, grant.why if "*" in on else ""].update(grant.actions)
    numbers: dict[Stage, int] = defaultdict(int)
    statements = []
    for stage, name in stages.items():
        for (_, on, why), names in sorted((item for item in actions.items() if item[0][0] is stage), key=str):
            numbers[stage] += 1
            resource = Star(why) if "*" in on else [arn(template) for template in on]
            statements.append(allow(f"{name}{numbers[stage]}", names, resource))
    return statements


def allow(sid: str, actions: Iterable[str], resource: Any, **more: Any) -> Statement:
    """Return one statement; single actions and resources are written without a list."""
    names = sorted(set(actions))
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": names[0] if len(names) == 1 else names,
        "Resource": resource[0] if isinstance(resource, list) and len(resource) == 1 else resource,
        **more,
    }


def arn(template: str) -> Any:
    """Return an ARN template as ``!Sub``; what is neither partition, region nor account becomes ``*``."""
    for placeholder, pseudo in _KNOWN.items():
        template = template.replace(placeholder, pseudo)
    text = re.sub(r"(?<!\$)\{[^}]*\}", "*", template)
    return Fn("Sub", text) if "${" in text else text
