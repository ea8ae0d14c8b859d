"""The EC2 controls on the real stack in a sandbox, with IAM enforced on every role."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.cli_stack import Place, eventually, on, strict

if TYPE_CHECKING:
    from tests.sandbox.shared import Shared

INGRESS, EBS = "ec2-security-group-open-ingress", "ec2-ebs-default-encryption"
ANY = "0.0.0.0/0"


@pytest.fixture(scope="module")
def place(shared: Shared) -> Place:
    """The real stack, its EC2 controls enforced."""
    return on(shared, strict())


@pytest.fixture
def ec2(place: Place) -> Any:
    """The EC2 client of an IAM user who may do everything."""
    return place.sandbox.client("ec2", place.sandbox.admin())


def _group(place: Place, ec2: Any, name: str) -> tuple[str, str]:
    """Make a security group; return its id and ARN."""
    made = str(ec2.create_security_group(GroupName=name, Description=name)["GroupId"])
    return made, f"arn:aws:ec2:{place.sandbox.region}:{place.sandbox.account}:security-group/{made}"


def _permission(port: int, *sources: str) -> dict[str, Any]:
    ranges = [{"CidrIp": each, "Description": f"{port} from {each}"} for each in sources]
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}


def _rules(ec2: Any, group: str) -> list[tuple[int, str, str, str]]:
    """Return a group's incoming rules: port, source, description, tags."""
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    return sorted(
        (rule["FromPort"], rule["CidrIpv4"], rule.get("Description", ""), str(rule.get("Tags", "")))
        for rule in found
        if not rule["IsEgress"]
    )


def test_open_rule_is_revoked_alone_and_comes_back_by_undo(place: Place, ec2: Any) -> None:
    """If this fails, a group stays open, loses another rule, or a person cannot have a rule back as it was."""
    group, arn = _group(place, ec2, "orders")
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_permission(443, ANY)])
    before = _rules(ec2, group)
    tags = [{"ResourceType": "security-group-rule", "Tags": [{"Key": "team", "Value": "shop"}]}]
    opened = [_permission(22, ANY, "10.0.0.0/8")]
    answer = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=opened, TagSpecifications=tags)
    assert len({rule["SecurityGroupRuleId"] for rule in answer["SecurityGroupRules"]}) == 2
    record = place.outcome(arn, control=INGRESS)
    assert [rule[:2] for rule in _rules(ec2, group)] == [(22, "10.0.0.0/8"), (443, ANY)]
    assert set(before) <= set(_rules(ec2, group))
    assert place.run("undo", record["record_id"], "--yes").exit_code == 0
    (back,) = [rule for rule in _rules(ec2, group) if rule[:2] == (22, ANY)]
    assert (back[2], "shop" in back[3]) == ("22 from 0.0.0.0/0", True)
    assert place.ask("audit", "verify", "--resource", arn)["ok"]


def test_rule_that_is_widened_in_place_is_revoked(place: Place, ec2: Any) -> None:
    """If this fails, the newer call, whose event has another form, opens groups unseen."""
    group, arn = _group(place, ec2, "widened")
    answer = ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_permission(3389, "10.0.0.0/8")])
    (rule,) = answer["SecurityGroupRules"]
    eventually(
        lambda: [line for line in place.sandbox.logs("evenkeel-ec2") if '"COMPLIANT"' in line and arn in line],
        "the look at the narrow rule",
    )
    wide = {"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "CidrIpv4": ANY}
    update = {"SecurityGroupRuleId": rule["SecurityGroupRuleId"], "SecurityGroupRule": wide}
    ec2.modify_security_group_rules(GroupId=group, SecurityGroupRules=[update])
    record = place.outcome(arn, control=INGRESS)
    assert (record["cause"]["event_name"], _rules(ec2, group)) == ("ModifySecurityGroupRules", [])


def test_group_named_by_its_name_is_found(place: Place, ec2: Any) -> None:
    """If this fails, the old form of the call opens groups unseen."""
    group, arn = _group(place, ec2, "by-name")
    ec2.authorize_security_group_ingress(
        GroupName="by-name", IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="198.51.100.7/0"
    )
    place.outcome(arn, control=INGRESS)
    assert _rules(ec2, group) == []


def test_setting_of_the_account_is_switched_on_and_back(place: Place, ec2: Any) -> None:
    """If this fails, a setting without an id of its own is not recognised, not restored, or not taken back."""
    arn = f"arn:aws:ec2:{place.sandbox.region}:{place.sandbox.account}:ebs-encryption-by-default"
    ec2.disable_ebs_encryption_by_default()
    record = place.outcome(arn, control=EBS)

    def on() -> bool:
        return bool(ec2.get_ebs_encryption_by_default()["EbsEncryptionByDefault"])

    assert on()
    assert place.run("undo", record["record_id"], "--yes").exit_code == 0
    assert not on()


def test_events_are_of_cloudtrails_form(place: Place, ec2: Any) -> None:
    """If this fails, the sandbox proves a pattern and a path that AWS's events do not have."""
    group, _ = _group(place, ec2, "seen")
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_permission(8443, "192.0.2.0/24")])

    def seen() -> list[dict[str, Any]]:
        told = place.sandbox.events(eventName="AuthorizeSecurityGroupIngress")
        return [each["detail"] for each in told if each["detail"]["requestParameters"].get("groupId") == group]

    detail = eventually(seen, "the event")[0]
    (asked,) = detail["requestParameters"]["ipPermissions"]["items"]
    assert asked["ipRanges"]["items"][0]["cidrIp"] == "192.0.2.0/24"
    (told,) = detail["responseElements"]["securityGroupRuleSet"]["items"]
    assert re.fullmatch(r"sgr-[0-9a-f]{17}", told["securityGroupRuleId"])
    assert (told["groupId"], told["cidrIpv4"], told["isEgress"]) == (group, "192.0.2.0/24", False)
    ec2.disable_ebs_encryption_by_default()
    (newer, *_) = eventually(lambda: place.sandbox.events(eventName="DisableEbsEncryptionByDefault"), "the newer form")
    assert list(newer["detail"]["requestParameters"]) == ["DisableEbsEncryptionByDefaultRequest"]


def test_rule_that_is_there_is_refused(place: Place, ec2: Any) -> None:
    """If this fails, the sandbox makes a rule twice, or half of a call, where AWS refuses the whole."""
    group, _ = _group(place, ec2, "twice")
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_permission(8443, "192.0.2.0/24")])
    with pytest.raises(ClientError, match="Duplicate"):
        ec2.authorize_security_group_ingress(
            GroupId=group, IpPermissions=[_permission(8443, "198.51.100.0/24", "192.0.2.9/24")]
        )
    assert [rule[:2] for rule in _rules(ec2, group)] == [(8443, "192.0.2.0/24")]
