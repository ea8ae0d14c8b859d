"""From triggers to EventBridge patterns; the template's rules are generated from these.

A pattern needs every field it names to be present, so Evenkeel's own roles are excluded by an ``$or`` that also accepts
events without a session issuer (root's and IAM users').
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from evenkeel import security_hub
from evenkeel.events import API_CALL, CONFIG_ITEM, CONFIG_RULE, TAG_CHANGE
from evenkeel.identity import OWN_ROLE_PATH
from evenkeel.triggers import CloudTrail, Config, SecurityHub, TagChange

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from evenkeel.control import Control

MAX_PATTERN_CHARACTERS = 2048
"""EventBridge's limit on a rule's pattern (EventBridge user guide, "Quotas")."""
_RESERVE = 100  # what the placeholders of partition, account and region may add when they are filled in

OWN_ROLES = f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:{OWN_ROLE_PATH}"
"""Prefix of Evenkeel's role ARNs in CloudFormation's ``Fn::Sub`` form."""

_NOT_OURS = [
    {"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": [{"anything-but": {"prefix": OWN_ROLES}}]}}}},
    {"userIdentity": {"sessionContext": {"sessionIssuer": {"arn": [{"exists": False}]}}}},
]


def patterns(controls: Sequence[Control]) -> dict[str, dict[str, Any]]:
    """Return the patterns of a group's rules by the rule's suffix (``ApiCall``, ``ApiCall2``, ``ConfigRule``, …)."""
    triggers = [trigger for control in controls for trigger in control.all_triggers]
    found: dict[str, dict[str, Any]] = {}
    for number, pattern in enumerate(_api_calls(triggers), start=1):
        found["ApiCall" if number == 1 else f"ApiCall{number}"] = pattern
    types = sorted({trigger.resource_type for trigger in triggers if isinstance(trigger, Config)})
    if types:
        item = {"resourceType": types, "configurationItemStatus": ["OK", "ResourceDiscovered"]}
        found["ConfigRule"] = {
            "source": ["aws.config"],
            "detail-type": [CONFIG_RULE],
            "detail": {"resourceType": types, "newEvaluationResult": {"complianceType": ["NON_COMPLIANT"]}},
        }
        found["ConfigItem"] = {
            "source": ["aws.config"],
            "detail-type": [CONFIG_ITEM],
            "detail": {"$or": [{"configurationItem": item}, {"configurationItemSummary": item}]},
        }
    services = sorted({trigger.service for trigger in triggers if isinstance(trigger, TagChange)})
    if services:
        found["TagChange"] = {"source": ["aws.tag"], "detail-type": [TAG_CHANGE], "detail": {"service": services}}
    ids = {name for trigger in triggers if isinstance(trigger, SecurityHub) for name in trigger.ids}
    if ids:
        found["SecurityHub"] = {
            "source": ["aws.securityhub"],
            "detail-type": [security_hub.FINDINGS],
            "detail": {"findings": security_hub.wanted(sorted(ids), "${AWS::AccountId}", "${AWS::Region}")},
        }
    return found


def _api_calls(triggers: Iterable[Any]) -> Iterable[dict[str, Any]]:
    """Yield patterns of API calls, each within EventBridge's limit."""
    names: dict[str, set[str]] = defaultdict(set)
    for trigger in triggers:
        if isinstance(trigger, CloudTrail):
            names[trigger.source].update(trigger.names)
    batch: dict[str, set[str]] = {}
    for source, calls in sorted(names.items()):
        if batch and len(json.dumps(_api_call({**batch, source: calls}))) > MAX_PATTERN_CHARACTERS - _RESERVE:
            yield _api_call(batch)
            batch = {}
        batch[source] = calls
    if batch:
        yield _api_call(batch)


def _api_call(names: dict[str, set[str]]) -> dict[str, Any]:
    """Return one pattern over several sources.

    With several sources, a name of one may match in another; the trigger's own check drops such events with a count.
    """
    return {
        "source": sorted(f"aws.{source.partition('.')[0]}" for source in names),
        "detail-type": [API_CALL],
        "detail": {
            "eventSource": sorted(names),
            "eventName": sorted(set().union(*names.values())),
            "errorCode": [{"exists": False}],
            "$or": _NOT_OURS,
        },
    }
