"""Properties that the engine's provisioners drop: a table's recovery, expiry, encryption and policy, a topic's key.

Each patch runs after the engine's own create or update, with the resource's resolved properties.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandbox.patches import logs
from sandbox.patches.hooks import Answer, body_of, module, succeeded

if TYPE_CHECKING:
    from collections.abc import Callable

Properties = dict[str, Any]


class ProvisionError(ValueError):
    """A property of a resource is invalid; the stack fails."""


def apply() -> None:
    """Patch the provisioners."""
    handlers = module("services.cloudformation.provisioners")._RESOURCE_HANDLERS
    for kind, complete in COMPLETIONS.items():
        for name in ("create", "update"):
            if name in handlers[kind]:
                handlers[kind][name] = _completed(handlers[kind][name], complete, name)


def _completed(original: Callable[..., Any], complete: Callable[[str, Properties], None], name: str) -> Any:
    """Return a wrapped provisioner; an update's properties are its third argument, a create's the second."""
    position = 1 if name == "create" else 2

    def provision(*arguments: Any, **named: Any) -> Any:
        identifier, attributes = original(*arguments, **named)
        complete(identifier, arguments[position])
        return identifier, attributes

    return provision


def truth(value: Any) -> bool:
    """Return a boolean that CloudFormation may pass as text."""
    return str(value).lower() == "true"


def _must(answer: Answer) -> None:
    if not succeeded(answer):
        found = body_of(answer)
        raise ProvisionError(f"{found.get('__type')}: {found.get('message') or found.get('Message')}")


def _table(name: str, properties: Properties) -> None:
    store = module("services.dynamodb")
    table = store._tables[name]
    table["DeletionProtectionEnabled"] = truth(properties.get("DeletionProtectionEnabled", False))
    for index in table.get("GlobalSecondaryIndexes") or []:
        index.setdefault("IndexStatus", "ACTIVE")
    recovery = properties.get("PointInTimeRecoverySpecification", {})
    spec: Properties = {"PointInTimeRecoveryEnabled": truth(recovery.get("PointInTimeRecoveryEnabled", False))}
    if "RecoveryPeriodInDays" in recovery:
        spec["RecoveryPeriodInDays"] = int(recovery["RecoveryPeriodInDays"])
    _must(store._update_continuous_backups({"TableName": name, "PointInTimeRecoverySpecification": spec}))
    expiry = properties.get("TimeToLiveSpecification")
    if expiry:
        store._ttl_settings[name] = {
            "TimeToLiveStatus": "ENABLED" if truth(expiry.get("Enabled", True)) else "DISABLED",
            "AttributeName": expiry.get("AttributeName", ""),
        }
    encryption = properties.get("SSESpecification", {})
    if encryption:
        table["SSEDescription"] = store._sse_description_from_spec(
            {**encryption, "Enabled": truth(encryption.get("SSEEnabled", False))}
        )
    _table_policy(store, table["TableArn"], properties.get("ResourcePolicy"))


def _table_policy(store: Any, arn: str, policy: Properties | None) -> None:
    if policy:
        document = json.dumps(policy["PolicyDocument"])
        _must(store._put_resource_policy({"ResourceArn": arn, "Policy": document}))
    elif arn in store._resource_policies:
        _must(store._delete_resource_policy({"ResourceArn": arn}))


def _topic(arn: str, properties: Properties) -> None:
    attributes = module("services.sns")._topics[arn]["attributes"]
    if properties.get("KmsMasterKeyId"):
        attributes["KmsMasterKeyId"] = properties["KmsMasterKeyId"]
    else:
        attributes.pop("KmsMasterKeyId", None)


def _function(name: str, properties: Properties) -> None:
    function = module("services.lambda_svc")._functions[name]
    config = function["config"]
    config["LoggingConfig"] = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"} | properties.get(
        "LoggingConfig", {}
    )
    for claimed in ("DeadLetterConfig", "Architectures", "TracingConfig"):
        if claimed in properties:
            config[claimed] = properties[claimed]
    if "KmsKeyArn" in properties:
        config["KMSKeyArn"] = properties["KmsKeyArn"]
    if "ReservedConcurrentExecutions" in properties:
        function["concurrency"] = int(properties["ReservedConcurrentExecutions"])


def _log_group(name: str, properties: Properties) -> None:
    """Raise ProvisionError for a key that Logs may not use, as the API does."""
    key = properties.get("KmsKeyId")
    group = module("services.cloudwatch_logs")._log_groups[name]
    refusal = logs.key_refusal(str(key), group["arn"].removesuffix(":*")) if key else ""
    if refusal:
        raise ProvisionError(refusal)


def _source(identifier: str, properties: Properties) -> None:
    mapping = module("services.lambda_svc")._esms[identifier]
    mapping["Tags"] = {each["Key"]: each["Value"] for each in properties.get("Tags", [])}
    mapping["Enabled"] = truth(properties.get("Enabled", True))
    mapping["State"] = "Enabled" if mapping["Enabled"] else "Disabled"
    scaling = mapping.get("ScalingConfig") or {}
    if "MaximumConcurrency" in scaling:
        mapping["ScalingConfig"] = {"MaximumConcurrency": int(scaling["MaximumConcurrency"])}


COMPLETIONS: dict[str, Callable[[str, Properties], None]] = {
    "AWS::DynamoDB::Table": _table,
    "AWS::SNS::Topic": _topic,
    "AWS::Lambda::Function": _function,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::Lambda::EventSourceMapping": _source,
}
