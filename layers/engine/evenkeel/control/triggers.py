"""What can wake a control: CloudTrail calls, AWS Config's verdicts and items, tag changes, Security Hub's findings."""

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
    """Return the strings that a JMESPath expression finds, one or many, without repeats and in order.

    Where a function of the expression meets a part of another kind than it takes, nothing is found.
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

    ``at`` is a JMESPath expression into the event's ``detail`` that yields the resource's ARN, id, name or URL, one or
    many. ``unless`` is one whose presence says that the call was about another kind of thing. ``arn`` overrides the
    control's ARN template, for controls over many types. ``creates`` says that the call makes the resource, or gives it
    the name that ``at`` finds: there was none of that ARN before.
    """

    source: str
    names: tuple[str, ...]
    at: str
    creates: bool = False
    unless: str = ""
    arn: str = ""
    settles: bool = False
    """Infrastructure-as-code's call waits for the settle time, as its creations do: it is one step of several."""
    weakens: bool = False
    """The calls can only weaken the resource, never strengthen it: each makes a finding that was announced a new one.

    It is needed where no trigger hears of the strengthening calls, so that nobody sees the resource compliant between.
    """
    lower_case: bool = False
    """AWS keeps in lower case what the event has as the caller spelled it."""

    def matches(self, detail: dict[str, Any]) -> bool:
        """Say whether a CloudTrail ``detail`` is of these calls."""
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

    It waits for the settle time where the control always settles: tags that a creation sets come as such an event, too.
    """

    service: str
    resource_type: str = ""
    """Empty for services whose events name no type (S3 says ``bucket``, SQS and SNS nothing)."""


@dataclass(frozen=True, slots=True)
class SecurityHub:
    """Security Hub CSPM's open findings of its own controls, by their ids, e.g. ``("KMS.4",)``.

    No control declares it: :attr:`evenkeel.control.Control.all_triggers` derives it from the control's frameworks.
    """

    ids: tuple[str, ...]


Trigger: TypeAlias = CloudTrail | Config | TagChange | SecurityHub
