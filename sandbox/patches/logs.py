"""CloudWatch Logs' keys and classes: Associate/DisassociateKmsKey with the key check, lookup by identifier.

Source: the CloudWatch Logs API reference of AssociateKmsKey, DescribeLogGroups and PutRetentionPolicy, and "Encrypt log
data in CloudWatch Logs using AWS Key Management Service" for the key policy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.patches.hooks import Answer, add_operation, body_of, error, module, ok, succeeded, wrap

CONTEXT_KEY = "kms:encryptioncontext:aws:logs:arn"
NEEDED = ("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey")
"""Actions of Logs on a key, with the group as encryption context; a key's policy must allow them all."""

Handler = Callable[[dict[str, Any]], Answer]


def apply() -> None:
    """Patch the engine's CloudWatch Logs."""
    logs = module("services.cloudwatch_logs")
    add_operation(logs, "AssociateKmsKey", associate)
    add_operation(logs, "DisassociateKmsKey", disassociate)
    wrap(logs, "_create_log_group", _create)
    wrap(logs, "_describe_log_groups", _describe)
    wrap(logs, "_put_retention_policy", _put_retention)
    wrap(module("core.iam_evaluator"), "enforce", _enforce)


def _group(data: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    store = module("services.cloudwatch_logs")
    name = data.get("logGroupName") or ""
    identifier = str(data.get("resourceIdentifier") or "")
    if identifier:
        name = identifier.rsplit(":log-group:", maxsplit=1)[-1].removesuffix(":*")
    return name, store._log_groups.get(name)


def associate(data: dict[str, Any]) -> Answer:
    """Answer AssociateKmsKey: replace the group's key, or InvalidParameterException if Logs may not use the key."""
    name, group = _group(data)
    if group is None:
        return error("ResourceNotFoundException", "The specified log group does not exist.")
    arn = group["arn"].removesuffix(":*")
    refusal = key_refusal(str(data.get("kmsKeyId", "")), arn)
    if refusal:
        return error("InvalidParameterException", f"{refusal} (log group {name})")
    group["kmsKeyId"] = data["kmsKeyId"]
    return ok({})


def disassociate(data: dict[str, Any]) -> Answer:
    """Answer DisassociateKmsKey: the group has the service's own encryption again."""
    _, group = _group(data)
    if group is None:
        return error("ResourceNotFoundException", "The specified log group does not exist.")
    group["kmsKeyId"] = None
    return ok({})


def key_refusal(key_arn: str, group_arn: str) -> str:
    """Return the reason why Logs may not encrypt a group with a key; empty if it may."""
    kms = module("services.kms")
    region = group_arn.split(":")[3]
    record = kms._resolve_key(key_arn) if key_arn.startswith("arn:") else None
    if record is None or record["Arn"].split(":")[3] != region:
        return f"The specified KMS key does not exist or is not in {region}: {key_arn}"
    if record["KeySpec"] != "SYMMETRIC_DEFAULT":
        return f"The specified KMS key is not symmetric: {key_arn}"
    if record["KeyState"] != "Enabled":
        return f"The specified KMS key is not enabled: {key_arn}"
    missing = [action for action in NEEDED if not _service_may(record, region, action, group_arn)]
    return f"The policy of {key_arn} does not let logs.{region}.amazonaws.com do {missing}" if missing else ""


def _service_may(record: dict[str, Any], region: str, action: str, group_arn: str) -> bool:
    evaluator = module("core.iam_evaluator")
    account = record["Arn"].split(":")[4]
    service = f"logs.{region}.amazonaws.com"
    context = evaluator.EvalContext(
        principal_arn=service,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=record["Arn"],
        region=region,
        service_context={CONTEXT_KEY: group_arn, "aws:sourceaccount": account, "aws:sourcearn": group_arn},
        principal_keys={},
    )
    result = evaluator.evaluate_resource_policy(record.get("Policy"), context, service=service)
    return bool(result.decision == "Allow")


def _create(original: Handler, data: dict[str, Any]) -> Answer:
    key = data.get("kmsKeyId")
    if key:
        place = module("core.responses")
        arn = f"arn:aws:logs:{place.get_region()}:{place.get_account_id()}:log-group:{data.get('logGroupName')}"
        refusal = key_refusal(key, arn)
        if refusal:
            return error("InvalidParameterException", refusal)
    answer = original(data)
    if succeeded(answer) and data.get("logGroupClass") == "DELIVERY":
        module("services.cloudwatch_logs")._log_groups[data["logGroupName"]]["retentionInDays"] = 2
    return answer


def _put_retention(original: Handler, data: dict[str, Any]) -> Answer:
    _, group = _group(data)
    if group is not None and group.get("logGroupClass") == "DELIVERY":
        return error("InvalidParameterException", "The retention of a log group of class DELIVERY is fixed at two days")
    return original(data)


def _describe(original: Handler, data: dict[str, Any]) -> Answer:
    wanted, group_class = data.get("logGroupIdentifiers"), data.get("logGroupClass")
    if not wanted and not group_class:
        return original(data)
    names = {each.split(":log-group:")[-1].removesuffix(":*") for each in wanted or []}
    groups: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = original({"nextToken": token} | {key: data[key] for key in ("logGroupNamePrefix",) if key in data})
        if not succeeded(page):
            return page
        found = body_of(page)
        groups += found["logGroups"]
        token = found.get("nextToken")
        if token is None:
            break
    kept = [each for each in groups if not wanted or each["logGroupName"] in names]
    return ok({"logGroups": [each for each in kept if not group_class or each["logGroupClass"] == group_class]})


def _enforce(original: Callable[..., Any], key: str, action: str, service: str, region: str, **named: Any) -> Any:
    """Authorize a log group under both spellings of its ARN, as policies may name it with or without ``:*``."""
    denied = original(key, action, service, region, **named)
    arn = named.get("resource_arn", "")
    if service != "logs" or ":log-group:" not in arn or getattr(denied, "decision", "") != "ImplicitDeny":
        return denied
    other = arn.removesuffix(":*") if arn.endswith(":*") else f"{arn}:*"
    return original(key, action, service, region, **{**named, "resource_arn": other})
