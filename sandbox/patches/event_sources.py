"""Event source mappings, which poll without an idle gap and need their role's permissions.

Source: the Lambda developer guide, "Execution role permissions" of Amazon SQS and DynamoDB event sources.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandbox.patches.hooks import module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

QUEUE_ACTIONS = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
STREAM_ACTIONS = ("dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream")
CHECK_SECONDS = 5.0
ARN_COLONS = 5

_checked: dict[tuple[str, str], tuple[float, list[str]]] = {}
"""The permissions that each role lacks for each source, with the monotonic second when the entry expires."""


def apply() -> None:
    """Patch the engine's event sources."""
    module("services.lambda_svc")._ESM_IDLE_WAKE_GAP_SECONDS = 0
    wrap(module("services.sqs"), "_receive_messages_for_esm", _receive)


def _receive(original: Callable[..., Any], queue_url: str, number: int) -> Any:
    """Receive messages, but none for a mapping whose role lacks a permission; its last result has the reason."""
    service = module("services.lambda_svc")
    arn = module("services.sqs")._get_q(queue_url)["attributes"]["QueueArn"]
    for mapping in list(service._esms.values()):
        if mapping.get("EventSourceArn") == arn and not permitted(mapping):
            return []
    return original(queue_url, number)


def permitted(mapping: dict[str, Any]) -> bool:
    """Return whether a mapping's function may read its source; put what is missing into the mapping's last result."""
    service = module("services.lambda_svc")
    function, _ = service._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
    if function is None:
        return True
    config = function.get("config") or function
    missing = missing_permissions(config.get("Role", ""), mapping["EventSourceArn"])
    if missing:
        mapping["LastProcessingResult"] = f"PROBLEM: the function's role lacks {', '.join(missing)}"
    return not missing


def missing_permissions(role: str, source: str) -> list[str]:
    """Return the permissions that a role lacks to read a source, cached for ``CHECK_SECONDS``."""
    known = _checked.get((role, source))
    if known and known[0] > time.monotonic():
        return known[1]
    missing = [f"{action} on {arn}" for action, arn in _needed(source) if not role_allows(role, action, arn)]
    _checked[role, source] = (time.monotonic() + CHECK_SECONDS, missing)
    return missing


def _needed(source: str) -> list[tuple[str, str]]:
    if ":sqs:" in source:
        queue = module("services.sqs")._queue_by_arn(source) or {}
        key = queue.get("attributes", {}).get("KmsMasterKeyId", "")
        needed = [(action, source) for action in QUEUE_ACTIONS]
        return needed + ([("kms:Decrypt", key_arn(key))] if key and not key.startswith("alias/aws/") else [])
    if ":dynamodb:" in source:
        return [(action, source) for action in STREAM_ACTIONS]
    return []


def key_arn(key: str) -> str:
    """Return the ARN of a key, given its id, alias or ARN."""
    record = module("services.kms")._resolve_key(key)
    return str(record["Arn"]) if record else key


def role_allows(role_arn: str, action: str, resource: str) -> bool:
    """Return whether a role's own policies allow an action; a KMS action comes through SQS."""
    evaluator, responses = module("core.iam_evaluator"), module("core.responses")
    parts = role_arn.split(":", ARN_COLONS)
    account = parts[4] if len(parts) > ARN_COLONS else responses.get_account_id()
    name, region = role_arn.rpartition("/")[2], responses.get_region()
    context = evaluator.EvalContext(
        principal_arn=f"arn:aws:sts::{account}:assumed-role/{name}/sandbox",
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=region,
        service_context={"kms:viaservice": f"sqs.{region}.amazonaws.com", "kms:calleraccount": account},
    )
    policies = evaluator._gather_role_policies(name, account)
    return bool(evaluator.evaluate(context, policies).decision == "Allow")
