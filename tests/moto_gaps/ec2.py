"""Security group rules: moto names no owner, keeps blocks of addresses as written, and misnames an unknown rule's id.

AWS tells GroupOwnerId (EC2 API reference, SecurityGroupRule), writes 192.0.2.7/0 as 0.0.0.0/0 (there,
SecurityGroupRuleRequest: "canonicalizes"), and refuses to revoke an unknown rule's id with
InvalidSecurityGroupRuleId.NotFound, without revoking any (there, error codes).
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from moto.ec2.exceptions import InvalidSecurityGroupRuleIdNotFoundError
from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def install(patch: pytest.MonkeyPatch) -> None:
    """Fill the gaps until ``patch`` is undone."""
    patch.setattr(SecurityGroupRule, "group_owner_id", SecurityGroupRule.owner_id, raising=False)
    patch.setattr(SecurityGroupRule, "__init__", _canonical(SecurityGroupRule.__init__))
    revoke = SecurityGroupBackend.revoke_security_group_ingress
    patch.setattr(SecurityGroupBackend, "revoke_security_group_ingress", _known_only(revoke))


def _canonical(real: Callable[..., None]) -> Callable[..., None]:
    def make(self: SecurityGroupRule, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        for name in ("CidrIp", "CidrIpv6"):
            if name in self.ip_range:
                self.ip_range = self.ip_range | {name: str(ip_network(self.ip_range[name], strict=False))}

    return make


def _known_only(real: Callable[..., None]) -> Callable[..., None]:
    def revoke(self: Any, group_name_or_id: str, *arguments: Any, **named: Any) -> None:
        group = self.get_security_group_by_name_or_id(group_name_or_id, None)
        known = {rule.id for rule in group.ingress_rules} if group else set()
        unknown = [each for each in named.get("security_rule_ids") or () if group and each not in known]
        if unknown:
            raise InvalidSecurityGroupRuleIdNotFoundError(unknown[0])
        real(self, group_name_or_id, *arguments, **named)

    return revoke
