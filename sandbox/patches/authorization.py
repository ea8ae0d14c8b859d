"""Authorization that the engine leaves out: table policies, PartiQL, batches, Deny for root, TLS, a role's ARN.

Source: the DynamoDB developer guide ("Using resource-based policies", "IAM security policies with PartiQL"); the SQS
API reference, AddPermission (a grant of an action is one of its batch version, too); the Service Authorization
Reference (ecr:DescribeRepositories, ecs:DescribeClusters and elasticfilesystem:DescribeFileSystems are granted on
resources, lambda:GetEventSourceMapping is an action of its own).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

PARTIQL = {"SELECT": "PartiQLSelect", "INSERT": "PartiQLInsert", "UPDATE": "PartiQLUpdate", "DELETE": "PartiQLDelete"}
STATEMENTS = {"ExecuteStatement": "", "BatchExecuteStatement": "Statements", "ExecuteTransaction": "TransactStatements"}
"""The PartiQL operations and the parameter that lists their statements; empty where there is a single one."""
TABLE_OF = re.compile(r"""(?:\bFROM|\bINTO|\bUPDATE)\s+["']?([A-Za-z0-9_.-]{3,255})""", re.IGNORECASE)

MAPPING = re.compile(r"/event-source-mappings/[^/]+/?$")

LISTED = {
    "ecr:DescribeRepositories": ("ecr", "repository/*"),
    "ecs:DescribeClusters": ("ecs", "cluster/*"),
    "elasticfilesystem:DescribeFileSystems": ("elasticfilesystem", "file-system/*"),
}
"""Actions that AWS authorizes on the service's resources, and the engine on ``*``."""


def apply() -> None:
    """Patch the engine's authorization."""
    evaluator, actions = module("core.iam_evaluator"), module("core.iam_actions")
    dynamodb = module("services.dynamodb")
    dynamodb.table_policy_for_arn = table_policy_for_arn
    evaluator._RESOURCE_POLICY_LOOKUPS["dynamodb"] = ("dynamodb", "table_policy_for_arn")
    wrap(evaluator, "enforce", _enforce)
    wrap(evaluator, "_resolve_condition_key", _condition_key)
    wrap(actions, "extract_iam_action", _action)
    wrap(actions, "extract_resource_arn", _resource)
    wrap(module("app"), "pin_request_origin", _origin)


def table_policy_for_arn(arn: str) -> tuple[str, str] | None:
    """Return a table's own policy and its owner's account; None when it has none."""
    table = arn.partition("/index/")[0].partition("/stream/")[0]
    found = module("services.dynamodb")._resource_policies.get(table)
    return (found["Policy"], table.split(":")[4]) if found else None


def _enforce(original: Callable[..., Any], key: str, action: str, service: str, region: str, **named: Any) -> Any:
    """Authorize a call, and apply a table's Deny to root, too, for which the engine reads no policies."""
    refused = original(key, action, service, region, **named)
    evaluator = module("core.iam_evaluator")
    arn = named.get("resource_arn", "")
    if refused is not None or service != "dynamodb" or not evaluator.is_root_access_key(key):
        return refused
    found = table_policy_for_arn(arn)
    if found is None:
        return None
    account = module("core.responses").get_account_id()
    principal = f"arn:aws:iam::{account}:root"
    context = evaluator.EvalContext(principal, "Root", account, action, arn, region)
    result = evaluator.evaluate_resource_policy(found[0], context)
    if result.decision != "Deny":
        return None
    result.principal_arn, result.resource_policy_arn = principal, arn
    return result


def _condition_key(original: Callable[..., Any], key: str, context: Any) -> Any:
    """Resolve ``aws:PrincipalArn`` of an assumed role to the role's ARN with its path (IAM user guide)."""
    found = original(key, context)
    if key.lower() != "aws:principalarn" or ":assumed-role/" not in str(found):
        return found
    name = str(found).partition(":assumed-role/")[2].partition("/")[0]
    role = module("services.iam")._roles.get_scoped(context.principal_account, None, name) or {}
    return role.get("Arn", found)


def _statement(given: tuple[Any, ...]) -> str:
    """Return the statement of a PartiQL call (of several, the first that writes); empty for other calls."""
    service, _, _, headers, body = given[:5]
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    if service != "dynamodb" or operation not in STATEMENTS:
        return ""
    asked = json.loads(body or b"{}")
    listed = asked.get(STATEMENTS[operation], []) if STATEMENTS[operation] else [asked]
    statements = [str(each.get("Statement", "")) for each in listed]
    return next(
        (each for each in statements if not each.lstrip().upper().startswith("SELECT")), "".join(statements[:1])
    )


def _action(original: Callable[..., Any], *given: Any) -> Any:
    """Return the action of a PartiQL statement, a batch, or GetEventSourceMapping.

    ``given`` is service, method, path, headers, body, query.
    """
    verb = _statement(given).lstrip().partition(" ")[0].upper()
    if verb in PARTIQL:
        return f"dynamodb:{PARTIQL[verb]}"
    if given[:2] == ("lambda", "GET") and MAPPING.search(given[2]):
        return "lambda:GetEventSourceMapping"
    found = original(*given)
    return found.removesuffix("Batch") if found and found.startswith("sqs:") else found


def _resource(original: Callable[..., Any], *given: Any) -> Any:
    """Return the ARN of a PartiQL statement's table, or of all that is listed; ``given`` ends with region, account."""
    *_, region, account = given
    found = TABLE_OF.search(_statement(given))
    if found:
        return f"arn:aws:dynamodb:{region}:{account}:table/{found[1]}"
    named = original(*given)
    listed = LISTED.get(module("core.iam_actions").extract_iam_action(*given[:6])) if named == "*" else None
    return f"arn:aws:{listed[0]}:{region}:{account}:{listed[1]}" if listed else named


def _origin(original: Callable[..., Any], source_ip: str, _secure: bool) -> Any:
    """Treat the loopback as a secure transport, so that policies which require TLS behave as on AWS."""
    return original(source_ip, True)
