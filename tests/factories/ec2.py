"""Makes security groups, their rules and the EBS setting for tests."""

from __future__ import annotations

from typing import Any

from tests.world import ACCOUNT, REGION, client

PLACE = f"arn:aws:ec2:{REGION}:{ACCOUNT}"


def permission(source: str, first: int = 22, last: int | None = None, **more: Any) -> dict[str, Any]:
    """Return an IpPermission for one block of addresses; without a ``protocol`` it is TCP."""
    protocol = more.pop("protocol", "tcp")
    block = {"CidrIpv6": source} if ":" in source else {"CidrIp": source}
    ranges = {"Ipv6Ranges" if ":" in source else "IpRanges": [{**block, **more}]}
    return {"IpProtocol": protocol, "FromPort": first, "ToPort": first if last is None else last, **ranges}


def authorize(arn: str, *permissions: dict[str, Any], **tags: str) -> list[str]:
    """Add rules to a group; return the ids that the answer tells."""
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    specified = {"TagSpecifications": [{"ResourceType": "security-group-rule", "Tags": listed}]} if tags else {}
    answer = client("ec2").authorize_security_group_ingress(
        GroupId=arn.rpartition("/")[2], IpPermissions=list(permissions), **specified
    )
    return [rule["SecurityGroupRuleId"] for rule in answer["SecurityGroupRules"]]


def rules(arn: str) -> list[dict[str, Any]]:
    """Return a group's incoming rules as AWS tells them."""
    filters = [{"Name": "group-id", "Values": [arn.rpartition("/")[2]]}]
    found = client("ec2").describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    return [rule for rule in found if not rule["IsEgress"]]


def security_group(*permissions: dict[str, Any], name: str = "orders") -> str:
    """Make a security group of the default VPC; return its ARN."""
    vpc = client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    made = client("ec2").create_security_group(GroupName=name, Description=name, VpcId=vpc)
    arn = f"{PLACE}:security-group/{made['GroupId']}"
    if permissions:
        authorize(arn, *permissions)
    return arn


def rule(name: str = "orders") -> str:
    """Make a rule of a group of its own; return the rule's ARN."""
    (made,) = authorize(security_group(name=f"ruled-{name}"), permission("192.0.2.0/24"))
    return f"{PLACE}:security-group-rule/{made}"


def ebs_default_encryption(name: str = "") -> str:
    """Switch the one EBS setting off, as it is in an account that nobody has touched; return its ARN."""
    client("ec2").disable_ebs_encryption_by_default()
    return f"{PLACE}:ebs-encryption-by-default"


MAKERS = {
    "AWS::EC2::SecurityGroup": (security_group, f"{PLACE}:security-group/sg-1"),
    "AWS::EC2::SecurityGroupIngress": (rule, f"{PLACE}:security-group-rule/sgr-1"),
    "EBS encryption by default": (ebs_default_encryption, f"{PLACE}:ebs-encryption-by-default"),
}
