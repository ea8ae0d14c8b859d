"""Where one service's CloudTrail events differ from the rest: event names, wrappers, defaults."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import xmltodict

from sandbox.protocol import casing

if TYPE_CHECKING:
    from botocore.model import OperationModel

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
"""CloudTrail's event names that are not the API's, by boto3 service name."""

SOURCES = {"s3control": "s3", "ecr": "ecr", "opensearch": "es", "apigatewayv2": "apigateway"}
"""The host part of ``eventSource`` where it is not the model's endpoint prefix."""

AS_SENT = frozenset({"securityhub"})
"""Services whose parameters keep the API's own spelling."""

FLATTENED = frozenset({"rds", "elasticache", "redshift", "docdb", "neptune"})
"""Services whose single response wrapper CloudTrail drops."""

WRAPPED = frozenset({
    "CreateFlowLogs", "DeleteFlowLogs", "ModifyInstanceMetadataOptions", "ModifySecurityGroupRules",
    "CreateDefaultVpc", "CreateNatGateway", "DeleteNatGateway", "CreateVpcEndpoint", "ModifyVpcEndpoint",
    "CreateLaunchTemplate", "CreateLaunchTemplateVersion", "ModifyLaunchTemplate", "DeleteLaunchTemplate",
    "CreateTransitGateway", "ModifyTransitGateway", "EnableEbsEncryptionByDefault", "DisableEbsEncryptionByDefault",
})  # fmt: skip
"""EC2 actions shown in the newer, PascalCase form."""

KEY_DEFAULTS = {
    "bypassPolicyLockoutSafetyCheck": False, "customerMasterKeySpec": "SYMMETRIC_DEFAULT", "description": "",
    "keySpec": "SYMMETRIC_DEFAULT", "keyUsage": "ENCRYPT_DECRYPT", "multiRegion": False, "origin": "AWS_KMS",
}  # fmt: skip
"""What KMS fills into CreateKey's parameters before it records them."""

RULE_LISTS = ("groups", "ipRanges", "ipv6Ranges", "prefixListIds")
"""What each entry of a security group's ``ipPermissions`` shows, empty or not."""

INSTANCE_DEFAULTS = {
    "blockDeviceMapping": {}, "monitoring": {"enabled": False}, "disableApiTermination": False, "disableApiStop": False,
}  # fmt: skip
"""What RunInstances shows of what its caller did not say."""

RETURNING = frozenset({"CreateSecurityGroup"})
"""EC2 actions whose answer says ``return`` although botocore's model has no such member."""

EC2_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def event_name(call: Call) -> str:
    """Return the name CloudTrail gives this call."""
    return EVENT_NAMES.get(call.service, {}).get(call.operation, call.operation)


def source_of(call: Call) -> str:
    """Return the service part of ``eventSource`` and of the envelope's ``source``."""
    if call.service in SOURCES or call.model is None:
        return SOURCES.get(call.service, call.service)
    return str(call.model.service_model.endpoint_prefix)


def request_parameters(call: Call) -> dict[str, Any] | None:
    """Return ``requestParameters``; None when the call has none."""
    if call.model is None:
        return None
    found = call.parameters()
    shape = call.model.input_shape
    if call.service == "s3":
        return _s3(call, found)
    if call.service == "ec2":
        return _ec2(call.operation, found, shape)
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
    """Return ``responseElements`` of a successful call, given botocore's parse; None when there are none."""
    model = call.model
    request_id = parsed.pop("ResponseMetadata", {}).get("RequestId", "")
    shape = model.output_shape if model else None
    if shape is None:
        return _ec2_response(call.operation, {}, request_id) if call.service == "ec2" else None
    if call.service == "ec2":
        return _ec2_response(call.operation, casing.spell_ec2(parsed, shape), request_id)
    if call.service == "s3":
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


def _ec2(operation: str, found: dict[str, Any], shape: Any) -> dict[str, Any]:
    if operation in WRAPPED:
        return {f"{operation}Request": casing.spell_wrapped(found, shape) or ""}
    spelled: dict[str, Any] = casing.spell_ec2(found, shape)
    if operation == "RunInstances":
        return INSTANCE_DEFAULTS | _run_instances(spelled)
    if operation.endswith(("SecurityGroupIngress", "SecurityGroupEgress")):
        return _rules(spelled)
    if operation in ("ModifySnapshotAttribute", "ModifyImageAttribute"):
        return _permissions(spelled)
    return spelled


def _rules(spelled: dict[str, Any]) -> dict[str, Any]:
    """Return a security group's rules with their empty lists; a rule given flat leaves ``ipPermissions`` empty."""
    items = spelled.get("ipPermissions", {}).get("items", [])
    filled = [{name: {} for name in RULE_LISTS} | item for item in items]
    return spelled | {"ipPermissions": {"items": filled} if filled else {}}


def _run_instances(spelled: dict[str, Any]) -> dict[str, Any]:
    item = {name: spelled.pop(name) for name in ("imageId", "minCount", "maxCount", "keyName") if name in spelled}
    groups = spelled.pop("securityGroupId", {}).get("items", [])
    shown = {"groupSet": {"items": [{"groupId": each} for each in groups]}} if groups else {}
    return {"instancesSet": {"items": [item]}} | shown | spelled


def _permissions(spelled: dict[str, Any]) -> dict[str, Any]:
    """Return the flat form of a permission change (attribute, operation, users) as the nested one that is recorded."""
    name, operation = spelled.pop("attribute", ""), spelled.pop("operationType", "")
    if not name or not operation:
        return spelled
    users = [{"userId": each} for each in spelled.pop("userId", {}).get("items", [])]
    groups = [{"group": each} for each in spelled.pop("userGroup", {}).get("items", [])]
    kind = "CREATE_VOLUME_PERMISSION" if name == "createVolumePermission" else name
    return {"attributeType": kind, name: {operation: {"items": users + groups}}} | spelled


def _ec2_response(operation: str, spelled: dict[str, Any], request_id: str) -> dict[str, Any]:
    found = {"requestId": request_id, **(spelled or {"_return": True})}
    if operation not in WRAPPED:
        return found | {"_return": True} if operation in RETURNING else found
    found.pop("_return", None)
    plain = {name: _plain(value) for name, value in found.items()}
    return {f"{operation}Response": {**plain, "xmlns": EC2_NAMESPACE}}


def _plain(value: Any) -> Any:
    """Return a list as the newer form shows it: its element, its elements, or an empty text."""
    if value == {}:
        return ""
    if isinstance(value, dict) and set(value) == {"items"}:
        items = value["items"]
        return {"item": items[0] if len(items) == 1 else items}
    return value


def _s3(call: Call, found: dict[str, Any]) -> dict[str, Any]:
    """Return S3's form: bucketName, Host, the sub-resource, x-amz-* headers, and the body with its XML names."""
    model: OperationModel | None = call.model
    shape = model.input_shape if model else None
    payload = shape.serialization.get("payload") if shape else None
    bucket = found.get("Bucket", "")
    spelled: dict[str, Any] = {"bucketName": bucket, "Host": f"{bucket}.s3.{call.region}.amazonaws.com"}
    spelled |= dict(parse_qsl(call.request.query_string, keep_blank_values=True))
    body = found.get(payload or "")
    if call.operation == "PutBucketPolicy" and isinstance(body, str):
        spelled["bucketPolicy"] = _loads(body)
    elif payload and body is not None:
        spelled |= _document(call.request.body) or {payload: body}
    for name in ("x-amz-acl", "x-amz-bucket-object-lock-enabled", "x-amz-object-ownership"):
        if name in call.request.headers:
            spelled[name] = call.request.headers[name]
    return spelled


def _document(body: bytes) -> dict[str, Any]:
    """Return an XML body with its own names, one child plain and several a list, as CloudTrail shows it."""
    if not body:
        return {}  # CloudFormation's calls have no body
    return dict(xmltodict.parse(body, attr_prefix="", postprocessor=lambda _, name, value: (name, value or "")))


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}
