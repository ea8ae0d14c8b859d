"""The fields of a CloudTrail event that depend on its service: name, source, parameters, response elements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.events import casing, cloudtrail_ec2, cloudtrail_s3

if TYPE_CHECKING:
    from sandbox.protocol.calls import Call

EVENT_NAMES = {
    "lambda": {
        "CreateFunction": "CreateFunction20150331",
        "DeleteFunction": "DeleteFunction20150331",
        "UpdateFunctionCode": "UpdateFunctionCode20150331v2",
        "UpdateFunctionConfiguration": "UpdateFunctionConfiguration20150331v2",
        "AddPermission": "AddPermission20150331v2",
        "RemovePermission": "RemovePermission20150331v2",
        "PublishVersion": "PublishVersion20150331",
        "CreateAlias": "CreateAlias20150331",
        "UpdateAlias": "UpdateAlias20150331",
        "DeleteAlias": "DeleteAlias20150331",
        "CreateEventSourceMapping": "CreateEventSourceMapping20150331",
        "UpdateEventSourceMapping": "UpdateEventSourceMapping20150331",
        "DeleteEventSourceMapping": "DeleteEventSourceMapping20150331",
        "PublishLayerVersion": "PublishLayerVersion20181031",
        "DeleteLayerVersion": "DeleteLayerVersion20181031",
        "AddLayerVersionPermission": "AddLayerVersionPermission20181031",
        "RemoveLayerVersionPermission": "RemoveLayerVersionPermission20181031",
        "PutFunctionConcurrency": "PutFunctionConcurrency20171031",
        "DeleteFunctionConcurrency": "DeleteFunctionConcurrency20171031",
        "TagResource": "TagResource20170331v2",
        "UntagResource": "UntagResource20170331v2",
    },
    "s3": {
        "PutBucketLifecycleConfiguration": "PutBucketLifecycle",
        "PutBucketNotificationConfiguration": "PutBucketNotification",
        "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
        "DeletePublicAccessBlock": "DeleteBucketPublicAccessBlock",
        "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    },
}
"""CloudTrail's event names where they differ from the API's, by boto3 service name."""

SOURCES = {"s3control": "s3", "ecr": "ecr", "opensearch": "es", "apigatewayv2": "apigateway"}
"""The host part of ``eventSource`` where it is not the model's endpoint prefix."""

AS_SENT = frozenset({"securityhub"})
"""Services whose parameters keep the API's own spelling."""

FLATTENED = frozenset({"rds", "elasticache", "redshift", "docdb", "neptune"})
"""Services whose single response wrapper CloudTrail drops."""

KEY_DEFAULTS = {
    "bypassPolicyLockoutSafetyCheck": False, "customerMasterKeySpec": "SYMMETRIC_DEFAULT", "description": "",
    "keySpec": "SYMMETRIC_DEFAULT", "keyUsage": "ENCRYPT_DECRYPT", "multiRegion": False, "origin": "AWS_KMS",
}  # fmt: skip
"""Default parameters that CreateKey's events show."""


def event_name(call: Call) -> str:
    """Return the name CloudTrail gives this call."""
    return EVENT_NAMES.get(call.service, {}).get(call.operation, call.operation)


def source_of(call: Call) -> str:
    """Return the service part of ``eventSource`` and of the envelope's ``source``."""
    if call.service in SOURCES or call.model is None:
        return SOURCES.get(call.service, call.service)
    return str(call.model.service_model.endpoint_prefix)


def request_parameters(call: Call) -> dict[str, Any] | None:
    """Return ``requestParameters``; None if the call has none."""
    if call.model is None:
        return None
    found = call.parameters()
    shape = call.model.input_shape
    if call.service == "s3":
        return cloudtrail_s3.request_parameters(call, found)
    if call.service == "ec2":
        return cloudtrail_ec2.request_parameters(call.operation, found, shape)
    if call.service in AS_SENT:
        return found or None
    spelled = casing.spell(found, shape)
    if call.service == "lambda":
        _empty_secret_holders(found, spelled)
    if call.service == "kms" and call.operation == "CreateKey":
        spec = spelled.get("keySpec", spelled.get("customerMasterKeySpec", "SYMMETRIC_DEFAULT"))
        spelled = KEY_DEFAULTS | {"keySpec": spec, "customerMasterKeySpec": spec} | spelled
    return spelled or None


def response_elements(call: Call, parsed: dict[str, Any]) -> dict[str, Any] | None:
    """Return ``responseElements`` of a successful call, given botocore's parse; None if there are none."""
    model = call.model
    request_id = parsed.pop("ResponseMetadata", {}).get("RequestId", "")
    shape = model.output_shape if model else None
    if call.service == "ec2":
        return cloudtrail_ec2.response_elements(call.operation, parsed, shape, request_id)
    if shape is None or call.service == "s3":
        return None
    spelled = casing.spell(parsed, shape)
    if call.service == "secretsmanager":
        # Since February 2024 (Secrets Manager user guide, "Log entries for Secrets Manager operations").
        spelled = {"arn" if name == "aRN" else name: value for name, value in spelled.items()}
        return {"arn": spelled["arn"]} if call.operation == "CreateSecret" and "arn" in spelled else spelled
    if call.service == "lambda":
        _empty_secret_holders(parsed, spelled)
    if call.service in FLATTENED and len(shape.members) == 1:
        (only,) = shape.members
        inner = spelled.get(casing.lower_first(only))
        spelled = inner if isinstance(inner, dict) else spelled
    return spelled or None


def _empty_secret_holders(raw: dict[str, Any], spelled: dict[str, Any]) -> None:
    """Show Lambda's environment and code as empty objects, as CloudTrail does."""
    for name in ("Environment", "Code"):
        if name in raw and not spelled.get(casing.lower_first(name)):
            spelled[casing.lower_first(name)] = {}
    if "environment" in spelled:
        spelled["environment"] = {}
