"""Rule targets, which need the policies of queue and key; undelivered events go to the dead-letter queue.

The engine delivers to any queue. On AWS the queue's policy must let ``events.amazonaws.com`` send for this rule,
and the policy of a customer managed key must let it use the key; otherwise EventBridge puts the event into the target's
dead-letter queue with the reason in its message attributes, and counts a failed invocation.

Source: the EventBridge user guide, "Using dead-letter queues to process undelivered events".
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from sandbox.patches import cloudwatch, event_sources
from sandbox.patches.hooks import module, wrap

if TYPE_CHECKING:
    from collections.abc import Callable

SERVICE = "events.amazonaws.com"
KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")


def apply() -> None:
    """Patch the engine's EventBridge."""
    wrap(module("services.eventbridge"), "_invoke_target", _invoke)


def _invoke(original: Callable[..., Any], target: dict[str, Any], event: Any, rule: dict[str, Any], *rest: Any) -> Any:
    arn = target.get("Arn", "")
    dimensions = {"RuleName": rule.get("Name", "")}
    cloudwatch.record("AWS/Events", "Invocations", 1, dimensions)
    refusal = queue_refusal(arn, rule.get("Arn", "")) if ":sqs:" in arn else ""
    if not refusal:
        return original(target, event, rule, *rest)
    cloudwatch.record("AWS/Events", "FailedInvocations", 1, dimensions)
    dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn", "")
    if dead_letters and not queue_refusal(dead_letters, rule.get("Arn", "")):
        _to_dead_letters(dead_letters, target, event, rule, refusal)
        cloudwatch.record("AWS/Events", "InvocationsSentToDlq", 1, dimensions)
    elif dead_letters:
        cloudwatch.record("AWS/Events", "InvocationsFailedToBeSentToDlq", 1, dimensions)
    return None


def queue_refusal(queue_arn: str, rule_arn: str) -> str:
    """Return the reason why a rule may not send to a queue; empty if it may."""
    queue = module("services.sqs")._queue_by_arn(queue_arn)
    if not queue:
        return f"queue {queue_arn} does not exist"
    attributes = queue["attributes"]
    if not _allows(attributes.get("Policy"), "sqs:SendMessage", queue_arn, rule_arn):
        return f"the policy of {queue_arn} does not let {SERVICE} send for {rule_arn}"
    key = attributes.get("KmsMasterKeyId", "")
    if not key or key.startswith("alias/aws/"):
        return ""
    record = module("services.kms")._resolve_key(key)
    policy = record.get("Policy") if record else None
    missing = [each for each in KEY_ACTIONS if not _allows(policy, each, event_sources.key_arn(key), "")]
    return f"the policy of {key} does not let {SERVICE} do {', '.join(missing)}" if missing else ""


def _allows(policy: Any, action: str, resource: str, source: str) -> bool:
    """Return whether a resource's policy allows EventBridge, which sends a source ARN to queues, and none to KMS."""
    evaluator, responses = module("core.iam_evaluator"), module("core.responses")
    account = responses.get_account_id()
    given = {"aws:sourcearn": source, "aws:sourceaccount": account} if source else {}
    context = evaluator.EvalContext(
        principal_arn=SERVICE,
        principal_type="Service",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=responses.get_region(),
        secure_transport=True,
        service_context=given,
    )
    return bool(evaluator.evaluate_resource_policy(policy, context, service=SERVICE).decision == "Allow")


def _to_dead_letters(
    queue_arn: str, target: dict[str, Any], event: dict[str, Any], rule: dict[str, Any], refusal: str
) -> None:
    """Send an undelivered event to the dead-letter queue with EventBridge's attributes."""
    sqs = module("services.sqs")
    body = json.dumps(module("services.eventbridge")._pattern_event_view(event).event_with_detail())
    now = time.time()
    texts = {
        "RULE_ARN": rule.get("Arn", ""),
        "TARGET_ARN": target.get("Arn", ""),
        "ERROR_CODE": "NO_PERMISSIONS",
        "ERROR_MESSAGE": refusal,
    }
    message = {
        "id": str(uuid.uuid4()),
        "body": body,
        "md5_body": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "receipt_handle": None,
        "sent_at": now,
        "visible_at": now,
        "receive_count": 0,
        "attributes": {},
        "message_attributes": {
            name: {"DataType": "String", "StringValue": text} for name, text in texts.items() if text
        },
        "sys": {"SenderId": "AROAEXAMPLE", "SentTimestamp": str(int(now * 1000))},
    }
    with sqs._queues_lock:
        sqs._queue_by_arn(queue_arn)["messages"].append(message)
    module("services.lambda_svc")._esm_wake.set()
