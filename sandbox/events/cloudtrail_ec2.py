"""CloudTrail's two forms of EC2 calls: the classic one (XML names, sets of items) and the newer, wrapped one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sandbox.events import casing

WRAPPED = frozenset({
    "CreateFlowLogs", "DeleteFlowLogs", "ModifyInstanceMetadataOptions", "ModifySecurityGroupRules",
    "CreateDefaultVpc", "CreateNatGateway", "DeleteNatGateway", "CreateVpcEndpoint", "ModifyVpcEndpoint",
    "CreateLaunchTemplate", "CreateLaunchTemplateVersion", "ModifyLaunchTemplate", "DeleteLaunchTemplate",
    "CreateTransitGateway", "ModifyTransitGateway", "EnableEbsEncryptionByDefault", "DisableEbsEncryptionByDefault",
})  # fmt: skip
"""EC2 actions shown in the newer, PascalCase form."""

RULE_LISTS = ("groups", "ipRanges", "ipv6Ranges", "prefixListIds")
"""Lists that each entry of a security group's ``ipPermissions`` shows, even if empty."""

INSTANCE_DEFAULTS = {
    "blockDeviceMapping": {}, "monitoring": {"enabled": False}, "disableApiTermination": False, "disableApiStop": False,
}  # fmt: skip
"""Parameters that RunInstances shows although the caller did not send them."""

RETURNING = frozenset({"CreateSecurityGroup"})
"""EC2 actions whose answer has ``return`` although botocore's model has no such member."""

EC2_NAMESPACE = "http://ec2.amazonaws.com/doc/2016-11-15/"


def request_parameters(operation: str, found: dict[str, Any], shape: Any) -> dict[str, Any]:
    """Return ``requestParameters`` of a parsed EC2 request."""
    if operation in WRAPPED:
        return {f"{operation}Request": spell_wrapped(found, shape) or ""}
    spelled: dict[str, Any] = spell(found, shape)
    if operation == "RunInstances":
        return INSTANCE_DEFAULTS | _run_instances(spelled)
    if operation.endswith(("SecurityGroupIngress", "SecurityGroupEgress")):
        return _rules(spelled)
    if operation in ("ModifySnapshotAttribute", "ModifyImageAttribute"):
        return _permissions(spelled)
    return spelled


def _rules(spelled: dict[str, Any]) -> dict[str, Any]:
    """Return a security group's rules with their empty lists; ``ipPermissions`` is empty for a flat rule."""
    items = spelled.get("ipPermissions", {}).get("items", [])
    filled = [{name: {} for name in RULE_LISTS} | item for item in items]
    return spelled | {"ipPermissions": {"items": filled} if filled else {}}


def _run_instances(spelled: dict[str, Any]) -> dict[str, Any]:
    item = {name: spelled.pop(name) for name in ("imageId", "minCount", "maxCount", "keyName") if name in spelled}
    groups = spelled.pop("securityGroupId", {}).get("items", [])
    shown = {"groupSet": {"items": [{"groupId": each} for each in groups]}} if groups else {}
    return {"instancesSet": {"items": [item]}} | shown | spelled


def _permissions(spelled: dict[str, Any]) -> dict[str, Any]:
    """Return a permission change in its nested form, given the flat one (attribute, operation, users)."""
    name, operation = spelled.pop("attribute", ""), spelled.pop("operationType", "")
    if not name or not operation:
        return spelled
    users = [{"userId": each} for each in spelled.pop("userId", {}).get("items", [])]
    groups = [{"group": each} for each in spelled.pop("userGroup", {}).get("items", [])]
    kind = "CREATE_VOLUME_PERMISSION" if name == "createVolumePermission" else name
    return {"attributeType": kind, name: {operation: {"items": users + groups}}} | spelled


def response_elements(operation: str, parsed: dict[str, Any], shape: Any, request_id: str) -> dict[str, Any]:
    """Return ``responseElements`` of a parsed EC2 answer; ``shape`` is None where the model has no output."""
    spelled = spell(parsed, shape) if shape is not None else {}
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


def spell(value: Any, shape: Any) -> Any:
    """Return an EC2 value as CloudTrail shows classic actions: XML names, lists as ``{"items": [...]}``."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            _ec2_name(name, shape.members[name]): spell(each, shape.members[name])
            for name, each in value.items()
            if name in shape.members
        }
    if kind == "list" and isinstance(value, list):
        return {"items": [spell(each, shape.member) for each in value]} if value else {}
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    return value


def _ec2_name(name: str, shape: Any) -> str:
    plain = casing.lower_first(str(shape.serialization.get("name", name)))
    return "_return" if plain == "return" else plain


def spell_wrapped(value: Any, shape: Any) -> Any:
    """Return an EC2 value as CloudTrail shows newer actions: form names, numbered elements, one of them plain."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {
            _form_name(name, shape.members[name]): spell_wrapped(each, shape.members[name])
            for name, each in value.items()
            if name in shape.members
        }
    if kind == "list" and isinstance(value, list):
        elements = [_numbered(spell_wrapped(each, shape.member), tag) for tag, each in enumerate(value, 1)]
        return elements[0] if len(elements) == 1 else elements
    return value


def _numbered(value: Any, tag: int) -> dict[str, Any]:
    return {**value, "tag": tag} if isinstance(value, dict) else {"content": value, "tag": tag}


def _form_name(name: str, shape: Any) -> str:
    """Return a member's name in a form of the ec2 protocol."""
    if "queryName" in shape.serialization:
        return str(shape.serialization["queryName"])
    plain = str(shape.serialization.get("name", name))
    return plain[:1].upper() + plain[1:]
