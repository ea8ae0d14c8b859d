"""Calls that reach EventBridge: mutating management calls, without reads and data events.

CloudTrail marks Describe, Get and List calls (and KMS's cryptographic ones) as read-only, and a rule sees only write
management events by default; data events are delivered only where a trail selects them.
"""

from __future__ import annotations

READ_PREFIXES = (
    "Get", "List", "Describe", "Head", "Search", "Lookup", "BatchGet", "Query", "Scan", "Select", "Simulate", "Test",
    "Validate", "Estimate", "Preview", "Check", "Filter", "Discover", "View",
)  # fmt: skip

DATA = {
    "kms": frozenset({
        "Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext", "GenerateMac", "VerifyMac", "Sign", "Verify", "GenerateRandom",
        "DeriveSharedSecret",
    }),
    "dynamodb": frozenset({
        "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems", "ExecuteStatement",
        "BatchExecuteStatement", "ExecuteTransaction",
    }),
    "sqs": frozenset({
        "SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch",
        "ChangeMessageVisibility", "ChangeMessageVisibilityBatch",
    }),
    "sns": frozenset({"Publish", "PublishBatch"}),
    "lambda": frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"}),
    "logs": frozenset({"PutLogEvents", "StartQuery", "StopQuery", "StartLiveTail"}),
}  # fmt: skip
"""Calls on data, or (KMS) marked read-only, by boto3 service name."""


def emits(service: str, operation: str, labels: dict[str, str] | None) -> bool:
    """Return whether AWS delivers an event for a call; ``labels`` are those of a REST path."""
    if operation.startswith(READ_PREFIXES):
        return False
    if operation in DATA.get(service, ()):
        return False
    return not (service == "s3" and "Key" in (labels or {})) and operation != "DeleteObjects"
