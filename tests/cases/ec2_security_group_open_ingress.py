"""What a security group's rules mean."""

from __future__ import annotations

from typing import Any

from evenkeel.model import Call
from tests.cases.case import Case
from tests.factories.ec2 import authorize, permission, security_group
from tests.world import ACCOUNT, PLACE

GROUP = "sg-0123456789abcdef0"
ARN = PLACE.arn("arn:{partition}:ec2:{region}:{account}:security-group/{id}", GROUP)
ANY, ANY_6 = "0.0.0.0/0", "::/0"


def rule(source: str = ANY, first: int = 22, last: int | None = None, **differs: Any) -> dict[str, Any]:
    """Return a TCP rule of one port as it is read, but for what differs."""
    cidr = {"CidrIpv6" if ":" in source else "CidrIpv4": source} if source else {}
    ports = {"FromPort": first, "ToPort": first if last is None else last}
    return {"SecurityGroupRuleId": "sgr-1", "IpProtocol": "tcp", **ports, **cidr, "Tags": {}, **differs}


def state(*rules: dict[str, Any], owner: str = ACCOUNT) -> dict[str, Any]:
    """Return the state of a group with these rules."""
    return {"GroupOwnerId": owner, "OpenRules": list(rules)}


def revoke(*ids: str) -> tuple[Call, ...]:
    """Return the call that revokes rules by their ids."""
    return (Call("ec2", "revoke_security_group_ingress", {"GroupId": GROUP, "SecurityGroupRuleIds": list(ids)}),)


def back(*permissions: dict[str, Any], **tags: str) -> tuple[Call, ...]:
    """Return the call that makes rules again."""
    params: dict[str, Any] = {"GroupId": GROUP, "IpPermissions": list(permissions)}
    if tags:
        listed = [{"Key": key, "Value": value} for key, value in tags.items()]
        params["TagSpecifications"] = [{"ResourceType": "security-group-rule", "Tags": listed}]
    return (Call("ec2", "authorize_security_group_ingress", params),)


def leave(why: str, *rules: dict[str, Any], **fields: Any) -> Case:
    """Return the row of rules that are nobody's harm."""
    return Case(why, state(*rules), "Compliant", arn=ARN, **fields)


def close(why: str, one: dict[str, Any], says: str, again: dict[str, Any], **fields: Any) -> Case:
    """Return the row of one rule that is revoked, and made again by undo."""
    return Case(why, state(one), "NonCompliant", says, revoke("sgr-1"), back(again), residue=True, arn=ARN, **fields)


ALL = {"IpProtocol": "-1", "FromPort": -1, "ToPort": -1}
EVERYTHING = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": ANY}]}
SSH = permission(ANY)

CASES = (
    leave("a group without open rules"),
    leave("the web is meant for anybody", rule(first=443)),
    leave("a range without the ports", rule(first=1024, last=3388)),
    leave("an own network", rule("10.0.0.0/8")),
    leave("an organization's whole block", rule("203.0.0.0/8")),
    leave("a registry's whole block", rule("2600::/12")),
    leave("unique local addresses are not the internet", rule("fc00::/7")),
    leave("link-local addresses are not, either", rule("fe80::/10")),
    leave("ICMP has no ports", rule(first=-1, IpProtocol="icmp")),
    leave("a type of ICMP is no port", rule(first=22, IpProtocol="icmpv6")),
    leave("another protocol has no ports", rule(first=0, last=65535, IpProtocol="50")),
    leave("the settings' ports count", rule(), parameters={"ports": [23]}),
    leave("a network that is allowed to a port", rule(), parameters={"allowed": {"22": [ANY]}}),
    leave("a part of a network that is allowed", rule("128.0.0.0/1"), parameters={"allowed": {"22": [ANY]}}),
    leave("a network that is allowed to everything", rule(), parameters={"allowed": {"all": [ANY]}}),
    leave("all ports that are allowed", rule(**ALL), parameters={"allowed": {"all": [ANY]}}),
    close("SSH from anywhere is closed", rule(), "tcp 22 from 0.0.0.0/0", SSH),
    close("RDP is, too", rule(first=3389), "tcp 3389", permission(ANY, 3389)),
    close("IPv6 is, too", rule(ANY_6), "tcp 22 from ::/0", permission(ANY_6)),
    close("half of the world is anywhere", rule("128.0.0.0/1"), "from 128.0.0.0/1", permission("128.0.0.0/1")),
    close("wider than any organization's block is", rule("8.0.0.0/7"), "8.0.0.0/7", permission("8.0.0.0/7")),
    close("all of IPv6 that is in use is", rule("2000::/3"), "2000::/3", permission("2000::/3")),
    close("a block that is not written as AWS does is read", rule("1.2.3.4/0"), "1.2.3.4/0", permission("1.2.3.4/0")),
    close("UDP counts", rule(IpProtocol="udp"), "udp 22", permission(ANY, protocol="udp")),
    close("a protocol may be a number", rule(IpProtocol="6"), "tcp 22", permission(ANY, protocol="6")),
    close("a range that covers a port is closed whole", rule(first=20, last=443), "tcp 20-443",
          permission(ANY, 20, 443)),
    close("all ports are", rule(first=0, last=65535), "tcp 0-65535", permission(ANY, 0, 65535)),
    close("all ports but 0 are", rule(first=1, last=65535), "tcp 1-65535", permission(ANY, 1, 65535),
          parameters={"ports": []}),
    close("all protocols are", rule(**ALL), "all protocols and ports from 0.0.0.0/0", EVERYTHING),
    close("all protocols are where no port is named", rule(**ALL), "all protocols", EVERYTHING,
          parameters={"ports": []}),
    close("all ports are more than the one that is allowed", rule(**ALL), "all protocols", EVERYTHING,
          parameters={"allowed": {"22": [ANY], "3389": [ANY]}}),
    close("one port of two is allowed", rule(first=22, last=3389), "tcp 22-3389", permission(ANY, 22, 3389),
          parameters={"allowed": {"22": [ANY]}}),
    close("another network is allowed", rule(), "tcp 22", SSH, parameters={"allowed": {"22": ["128.0.0.0/1", ANY_6]}}),
    close("a description comes back", rule(Description="until Friday"), "tcp 22",
          permission(ANY, Description="until Friday")),
    Case("only what is open is revoked, in one call", state(rule(), rule(first=443, SecurityGroupRuleId="sgr-2"),
         rule(ANY_6, SecurityGroupRuleId="sgr-3")), "NonCompliant", "tcp 22 from 0.0.0.0/0, tcp 22 from ::/0",
         revoke("sgr-1", "sgr-3"), back(SSH, permission(ANY_6)), residue=True, arn=ARN),
    Case("rules with other tags come back by calls of their own", state(rule(Tags={"team": "a"}),
         rule(ANY_6, SecurityGroupRuleId="sgr-3")), "NonCompliant", "tcp 22", revoke("sgr-1", "sgr-3"),
         (*back(SSH, team="a"), *back(permission(ANY_6))), residue=True, arn=ARN),
    Case("many rules are counted, not named", state(*(rule(SecurityGroupRuleId=f"sgr-{each}") for each in range(7))),
         "NonCompliant", "and 2 more", revoke(*(f"sgr-{each}" for each in range(7))), back(*[SSH] * 7), residue=True,
         arn=ARN),
    Case("a group of another account is only shared", state(rule(), owner="999999999999"), "NotApplicable",
         "belongs to account 999999999999", arn=ARN),
    Case("a group that is only shared and not open", state(owner="999999999999"), "Compliant", arn=ARN),
)  # fmt: skip


def make(name: str = "orders") -> str:
    """Make a group with each kind of open rule between others; return its ARN."""
    arn = security_group(
        permission(ANY, Description="to be mended"),
        permission(ANY, 443),
        permission("10.0.0.0/8"),
        permission(ANY_6, 3389),
        {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "128.0.0.0/1"}]},
        name=name,
    )
    authorize(arn, permission(ANY, 0, 1023, protocol="udp"), permission(ANY, 80), team="shop")
    return arn


MAKE = {"AWS::EC2::SecurityGroup": make}
