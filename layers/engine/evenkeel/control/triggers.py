"""Triggers of controls: CloudTrail calls, AWS Config evaluations and items, tag changes, Security Hub findings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathTypeError


@lru_cache(maxsize=256)
def _compiled(expression: str) -> Any:
    return jmespath.compile(expression)


def find(expression: str, document: Any) -> list[str]:
    """Return the strings that a JMESPath expression finds, in order and without repeats.

    If a function in the expression meets a value of a type it does not accept, nothing is found.
    """
    try:
        found = _compiled(expression).search(document)
    except JMESPathTypeError:
        return []
    values = found if isinstance(found, list) else [found]
    return list(dict.fromkeys(value for value in values if isinstance(value, str) and value))


@dataclass(frozen=True, slots=True)
class CloudTrail:
    """Successful API calls that create or weaken a resource.

    ``at`` is a JMESPath expression into the event's ``detail`` that yields the ARN, id, name or URL of one or more
    resources. ``unless`` is an expression that finds something if the call is about another kind of resource. ``arn``
    overrides the control's ARN template, for controls of many types. ``creates`` means that the call creates the
    resource or gives it the name that ``at`` finds: no resource had that ARN before.
    """

    source: str
    names: tuple[str, ...]
    at: str
    creates: bool = False
    unless: str = ""
    arn: str = ""
    settles: bool = False
    """Wait for the settle time if infrastructure as code made the call, as after creations: other calls follow it."""
    weakens: bool = False
    """The calls can only weaken the resource, never strengthen it, so a finding that was announced is new after each.

    This is needed if no trigger covers the calls that strengthen the resource: nobody sees it compliant in between.
    """
    lower_case: bool = False
    """AWS stores the name in lower case; the event has it as the caller wrote it."""

    def matches(self, detail: dict[str, Any]) -> bool:
        """Return whether a CloudTrail ``detail`` is one of these calls."""
        if detail.get("eventSource") != self.source or detail.get("eventName") not in self.names:
            return False
        return not (self.unless and find(self.unless, detail))


@dataclass(frozen=True, slots=True)
class Config:
    """AWS Config's "Rules Compliance Change" (NON_COMPLIANT, any rule's name) and "Configuration Item Change"."""

    resource_type: str
    arn: str = ""


@dataclass(frozen=True, slots=True)
class TagChange:
    """EventBridge's own "Tag Change on Resource" of one service's resource type, e.g. ``("dynamodb", "table")``.

    If the control always settles, it waits for the settle time: tags set on creation arrive as such an event, too.
    """

    service: str
    resource_type: str = ""
    """Empty for services whose events name no type (S3's name ``bucket``; those of SQS and SNS name none)."""


@dataclass(frozen=True, slots=True)
class SecurityHub:
    """Open findings of Security Hub CSPM controls, by id, e.g. ``("KMS.4",)``.

    Controls do not declare it: :attr:`evenkeel.control.Control.all_triggers` derives it from their frameworks.
    """

    ids: tuple[str, ...]


Trigger: TypeAlias = CloudTrail | Config | TagChange | SecurityHub
