"""EC2's security group rules, one a source, each with its own id and none twice; EBS encryption by default.

Source: the EC2 API reference of AuthorizeSecurityGroupIngress (two forms; "canonicalizes" blocks of addresses; a group
of a default VPC may be named by its name), RevokeSecurityGroupIngress, SecurityGroupRule, its error codes, and
GetEbsEncryptionByDefault; for ec2:CreateTags, the EC2 user guide, "Grant permission to tag Amazon EC2 resources during
creation".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from typing import Any

from sandbox.patches.hooks import Answer, module, wrap

RANGES = {"IpRanges": "CidrIp", "Ipv6Ranges": "CidrIpv6"}
SOURCES = (*RANGES, "PrefixListIds", "UserIdGroupPairs")
OLD_FORM = {"IpProtocol": "IpProtocol", "FromPort": "FromPort", "ToPort": "ToPort", "CidrIp": "IpRanges.1.CidrIp"}

Form = dict[str, Any]
Handler = Callable[[Form], Answer]

_encrypting: set[tuple[str, str]] = set()
"""The accounts and regions whose new volumes are encrypted by default."""
_caller_key = ""


def apply() -> None:
    """Patch the engine's EC2."""
    ec2 = module("services.ec2")
    wrap(ec2, "_parse_ip_permissions", _split)
    wrap(ec2, "handle_request", _remember_caller)
    actions = ec2._ACTION_MAP
    for name in ("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"):
        actions[name] = partial(_as_permissions, actions[name])
    actions["AuthorizeSecurityGroupIngress"] = partial(_authorize, actions["AuthorizeSecurityGroupIngress"])
    actions["GetEbsEncryptionByDefault"] = partial(_encryption, "Get", None)
    actions["EnableEbsEncryptionByDefault"] = partial(_encryption, "Enable", True)
    actions["DisableEbsEncryptionByDefault"] = partial(_encryption, "Disable", False)


async def _remember_caller(original: Callable[..., Any], *given: Any) -> Any:
    """Store the caller's key for the handler, which runs without awaiting anything."""
    global _caller_key  # noqa: PLW0603 - the engine passes handlers nothing but the request's form
    _, _, headers, _, query = given
    _caller_key = module("core.router").extract_access_key_id(headers, query)
    return await original(*given)


def _split(original: Callable[[Form, str], list[Form]], form: Form, prefix: str) -> list[Form]:
    """Return a rule for each source of each permission; the engine makes a single rule."""
    found = []
    for permission in original(form, prefix):
        bare = {**permission, **{kind: [] for kind in SOURCES}}
        for kind in SOURCES:
            found += [{**bare, kind: [_canonical(kind, each)]} for each in permission[kind]]
    return [{**rule, "SecurityGroupRuleId": f"sgr-{secrets.token_hex(9)[:17]}"} for rule in found]


def _canonical(kind: str, source: dict[str, str]) -> dict[str, str]:
    name = RANGES.get(kind)
    return {**source, name: str(ip_network(source[name], strict=False))} if name else source


def _as_permissions(original: Handler, form: Form) -> Answer:
    """Handle the call's old form and a group's name, which the engine does not accept."""
    ec2 = module("services.ec2")
    form = dict(form)
    if ec2._p(form, "IpProtocol"):
        form |= {f"IpPermissions.1.{new}": form[old] for old, new in OLD_FORM.items() if old in form}
    name = ec2._p(form, "GroupName")
    if name and not ec2._p(form, "GroupId"):
        form["GroupId"] = next((key for key, each in ec2._security_groups.items() if each["GroupName"] == name), name)
    return original(form)


def _authorize(original: Handler, form: Form) -> Answer:
    """Handle the call, or refuse all of it if one of its rules exists or the caller may not set its tags."""
    ec2 = module("services.ec2")
    if ec2._sg_rule_tag_specifications(form) and (denied := _denied("ec2:CreateTags", "security-group-rule/*")):
        return denied
    group = ec2._security_groups.get(ec2._p(form, "GroupId")) or {"IpPermissions": []}
    wanted = ec2._parse_ip_permissions(form, "IpPermissions")
    if any(ec2._rules_match(one, other) for one in wanted for other in group["IpPermissions"]):
        refusal: Answer = ec2._error("InvalidPermission.Duplicate", "the specified rule already exists", 400)
        return refusal
    return original(form)


def _denied(action: str, resource: str) -> Answer | None:
    """Return AWS's refusal if the caller may not act on a resource; None if they may."""
    place = module("core.responses")
    arn = f"arn:aws:ec2:{place.get_region()}:{place.get_account_id()}:{resource}"
    found = module("core.iam_evaluator").enforce(_caller_key, action, "ec2", place.get_region(), resource_arn=arn)
    if found is None:
        return None
    refused = f"User: {found.principal_arn} is not authorized to perform: {action} on resource: {arn}"
    message = f"{refused} because no identity-based policy allows the {action} action"
    refusal: Answer = module("services.ec2")._error("UnauthorizedOperation", message, 403)
    return refusal


def _encryption(verb: str, wanted: bool | None, _: Form) -> Answer:
    """Answer Get-, Enable- or DisableEbsEncryptionByDefault."""
    place = module("core.responses")
    here = (place.get_account_id(), place.get_region())
    if wanted is not None:
        (_encrypting.add if wanted else _encrypting.discard)(here)
    body = f"<ebsEncryptionByDefault>{'true' if here in _encrypting else 'false'}</ebsEncryptionByDefault>"
    answer: Answer = module("services.ec2")._xml(200, f"{verb}EbsEncryptionByDefaultResponse", body)
    return answer
