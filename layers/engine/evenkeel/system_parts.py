"""The stack's own parts, by their exact ARNs: Evenkeel never changes one, and announces a finding about one.

The template configures the parts. Names are derived from the stack's, and the ARNs of keys are passed in; a prefix or a
tag does not make a resource a part, since anybody can set those. Parts of other stacks are like any other resource.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from evenkeel import names
from evenkeel.group_names import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evenkeel.model import Place

KEYS = ("EVENKEEL_DATA_KEY_ARN", "EVENKEEL_LOG_KEY_ARN", "EVENKEEL_DIGEST_KEY_ARN")
"""The variables that hold the ARNs of the stack's keys, whose ids AWS chooses."""


def keys(variables: Mapping[str, str]) -> frozenset[str]:
    """Return the ARNs of the stack's keys from a function's environment."""
    return frozenset(filter(None, map(variables.get, KEYS)))


@lru_cache(maxsize=4)
def arns(stack: str, place: Place, key_arns: frozenset[str]) -> frozenset[str]:
    """Return the ARNs of a stack's keys and of all parts with a derived name, also of groups that are not deployed."""
    functions = (*names.SYSTEM, *RULES)
    rules = [names.rule(stack, group, suffix) for group, suffixes in RULES.items() for suffix in suffixes]
    named = {
        "lambda:{region}:{account}:function:{id}": [names.function(stack, each) for each in functions],
        "logs:{region}:{account}:log-group:{id}": [names.log_group(stack, each) for each in functions],
        "sqs:{region}:{account}:{id}": [names.dead_letters(stack), *(names.queue(stack, group) for group in RULES)],
        "sns:{region}:{account}:{id}": [names.topic(stack)],
        "dynamodb:{region}:{account}:table/{id}": [names.audit_table(stack), names.state_table(stack)],
        "events:{region}:{account}:event-bus/{id}": [names.bus(stack)],
        "events:{region}:{account}:rule/{id}": [*names.stack_rules(stack), *rules],
    }
    roles = [names.role(stack, place.region, each) for each in (*functions, names.MONITOR)]
    roles += [names.undo_role(stack, place.region, group) for group in RULES]
    return key_arns | {
        *(place.arn(f"arn:{{partition}}:{rest}", name) for rest, found in named.items() for name in found),
        *(names.role_arn(place, role) for role in roles),
    }
