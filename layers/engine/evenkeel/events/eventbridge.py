"""EventBridge patterns, computed from triggers; the template's rules are generated from them.

A pattern matches only if every field it names is present, so Evenkeel's own roles are excluded by an ``$or`` that also
accepts events without a session issuer (root's and IAM users').
"""

from __future__ import annotations

import json
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from evenkeel.control.triggers import CloudTrail, Config, SecurityHub, TagChange
from evenkeel.events import security_hub
from evenkeel.events.actor import OWN_ROLE_PATH
from evenkeel.events.parsing import API_CALL, CONFIG_ITEM, CONFIG_RULE, TAG_CHANGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from evenkeel.control import Control
    from evenkeel.control.triggers import Trigger

MAX_PATTERN_CHARACTERS = 2048
"""EventBridge's limit on a rule's pattern (EventBridge user guide, "Quotas")."""
_FULL = MAX_PATTERN_CHARACTERS * 95 // 100
"""A longer pattern is split. This counts white space and placeholders, whose values are shorter."""

T = TypeVar("T")

OWN_ROLES = f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:{OWN_ROLE_PATH}"
"""Prefix of Evenkeel's role ARNs in CloudFormation's ``Fn::Sub`` form."""

_NOT_OURS = [
    {"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": [{"anything-but": {"prefix": OWN_ROLES}}]}}}},
    {"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": [{"exists": False}]}}}},
]


def patterns(controls: Sequence[Control]) -> dict[str, dict[str, Any]]:
    """Return the patterns of a group's rules by the rule's suffix (``ApiCall``, ``ApiCall2``, ``Config``, …).

    A pattern that would exceed EventBridge's limit is split into several.
    """
    triggers = [trigger for control in controls for trigger in control.all_triggers]
    types = {trigger.resource_type for trigger in triggers if isinstance(trigger, Config)}
    services = {trigger.service for trigger in triggers if isinstance(trigger, TagChange)}
    ids = {name for trigger in triggers if isinstance(trigger, SecurityHub) for name in trigger.ids}
    kinds = {
        "ApiCall": _api_calls(triggers),
        "Config": _split(sorted(types), _config),
        "TagChange": _split(sorted(services), _tag_change),
        "SecurityHub": _split(sorted(ids), _security_hub),
    }
    return {
        suffix if number == 1 else f"{suffix}{number}": pattern
        for suffix, split in kinds.items()
        for number, pattern in enumerate(split, start=1)
    }


def _split(items: Iterable[T], pattern: Callable[[list[T]], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield patterns that together cover all items, each as many as EventBridge's limit allows."""
    batch: list[T] = []
    for item in items:
        if batch and len(json.dumps(pattern([*batch, item]))) > _FULL:
            yield pattern(batch)
            batch = []
        batch.append(item)
    if batch:
        yield pattern(batch)


def _api_calls(triggers: Iterable[Trigger]) -> Iterator[dict[str, Any]]:
    """Yield patterns of API calls. A source is in one pattern only, unless it has too many names."""
    names: dict[str, set[str]] = defaultdict(set)
    for trigger in triggers:
        if isinstance(trigger, CloudTrail):
            names[trigger.source].update(trigger.names)
    parts = [
        part["detail"]
        for source, calls in sorted(names.items())
        for part in _split(sorted(calls), partial(_api_call, [source]))
    ]

    def union(several: list[dict[str, Any]]) -> dict[str, Any]:
        sources, calls = ({each for part in several for each in part[field]} for field in ("eventSource", "eventName"))
        return _api_call(sorted(sources), sorted(calls))

    return _split(parts, union)


def _api_call(sources: list[str], names: list[str]) -> dict[str, Any]:
    """Return one pattern for several sources.

    A name of one source then also matches in the others; the triggers' own check drops and counts such events.
    """
    return {
        "source": [f"aws.{source.partition('.')[0]}" for source in sources],
        "detail-type": [API_CALL],
        "detail": {"eventSource": sources, "eventName": names, "errorCode": [{"exists": False}], "$or": _NOT_OURS},
    }


def _config(types: list[str]) -> dict[str, Any]:
    """Return one pattern for AWS Config's rule evaluations and configuration items, or summaries of large items."""
    item = {"resourceType": types, "configurationItemStatus": ["OK", "ResourceDiscovered"]}
    verdict = {"resourceType": types, "newEvaluationResult": {"complianceType": ["NON_COMPLIANT"]}}
    return {
        "source": ["aws.config"],
        "detail-type": [CONFIG_RULE, CONFIG_ITEM],
        "detail": {"$or": [verdict, {"configurationItem": item}, {"configurationItemSummary": item}]},
    }


def _tag_change(services: list[str]) -> dict[str, Any]:
    return {"source": ["aws.tag"], "detail-type": [TAG_CHANGE], "detail": {"service": services}}


def _security_hub(ids: list[str]) -> dict[str, Any]:
    findings = security_hub.wanted(ids, "${AWS::AccountId}", "${AWS::Region}")
    return {
        "source": ["aws.securityhub"],
        "detail-type": [security_hub.FINDINGS],
        "detail": {"findings": findings},
    }
