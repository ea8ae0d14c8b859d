"""What is peculiar to the EC2 controls: rules that are one of many, and a setting that is one of a kind."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evenkeel.control import Context
from evenkeel.control.registry import all_controls
from evenkeel.errors import UndoRefusedError
from evenkeel.model import NonCompliant, Resource
from evenkeel.remediation.undo import Undoer
from evenkeel.runtime.aws import Aws
from tests.cases.ec2_security_group_open_ingress import ANY, ANY_6, make
from tests.examples import examples
from tests.factories.ec2 import authorize, ebs_default_encryption, permission, rules, security_group
from tests.world import ACCOUNT, PLACE, REGION, client, request

if TYPE_CHECKING:
    from tests.world import World

INGRESS, EBS = "ec2-security-group-open-ingress", "ec2-ebs-default-encryption"
INGRESS_CONTROL = all_controls()[INGRESS]
SSH, WEB, OFFICE = permission(ANY), permission(ANY, 443), permission("10.0.0.0/8")
REVOKE = "ec2:RevokeSecurityGroupIngress"
PERSON = "arn:aws:iam::123456789012:user/carol"


def _enforce(control: str, **given: Any) -> dict[str, Any]:
    return {"schema_version": 1, "controls": {control: {"mode": "enforce", **given}}}


def _sources(arn: str) -> list[tuple[Any, ...]]:
    return sorted((rule["FromPort"], rule.get("CidrIpv4") or rule.get("CidrIpv6")) for rule in rules(arn))


def _undoer(world: World) -> Undoer:
    return Undoer(Aws(client), world.ledger("undo-1"), PERSON, 400, world.clock, world.sleep)


@pytest.mark.parametrize("control", [INGRESS, EBS])
def test_change_that_may_interrupt_is_announced_by_default(world: World, control: str) -> None:
    """If this fails, an empty settings document lets Evenkeel cut people off or have launches fail."""
    arn = make() if control == INGRESS else ebs_default_encryption()
    result = world.run(control, request(control, arn))
    assert (result.outcome, bool(result.calls)) == ("ANNOUNCED", True)
    assert not [name for name in world.wire.changes() if name.startswith("ec2:")]


def test_open_rules_are_revoked_in_one_call_and_no_other(world: World) -> None:
    """If this fails, a group stays open, loses a rule of somebody's, or costs more calls than it must."""
    arn = security_group(SSH, WEB, OFFICE, permission(ANY_6, 3389))
    result = world.run(INGRESS, request(INGRESS, arn), document=_enforce(INGRESS))
    assert result.outcome == "REMEDIATED"
    assert _sources(arn) == [(22, "10.0.0.0/8"), (443, ANY)]
    read = "ec2:DescribeSecurityGroupRules"
    assert [name for name in world.wire.names() if name.startswith("ec2:")][:3] == [read, REVOKE, read]
    (sent,) = world.wire.params("RevokeSecurityGroupIngress")
    assert (set(sent), len(sent["SecurityGroupRuleIds"])) == ({"GroupId", "SecurityGroupRuleIds"}, 2)


def test_closed_group_costs_one_call(world: World) -> None:
    """If this fails, every change of any group costs more than the one look that ends the matter."""
    arn = security_group(WEB, OFFICE)
    assert world.run(INGRESS, request(INGRESS, arn)).outcome == "COMPLIANT"
    # The second read is the engine's own: is there an announcement to forget?
    assert world.wire.names() == ["ec2:DescribeSecurityGroupRules", "dynamodb:GetItem"]


def test_rule_that_goes_away_meanwhile_is_read_again(world: World) -> None:
    """If this fails, the other open rules stay because one of them was revoked by its owner in the same second."""
    arn = security_group(SSH, permission(ANY_6))
    gone = rules(arn)[0]["SecurityGroupRuleId"]

    def faster(_: dict[str, Any]) -> None:
        client("ec2").revoke_security_group_ingress(GroupId=arn.rpartition("/")[2], SecurityGroupRuleIds=[gone])

    world.wire.when("ec2", "RevokeSecurityGroupIngress", faster)
    result = world.run(INGRESS, request(INGRESS, arn), document=_enforce(INGRESS))
    assert (result.outcome, gone in result.reason) == ("RETURNED", True)
    assert len(rules(arn)) == 1
    again = world.run(INGRESS, request(INGRESS, arn, attempt=1), document=_enforce(INGRESS))
    assert (again.outcome, rules(arn)) == ("REMEDIATED", [])
    assert world.chains() == 1


def test_group_that_goes_away_meanwhile_is_no_fault(world: World) -> None:
    """If this fails, deleting an open group is announced as a failed repair, or raises an alarm about the stack."""
    arn = security_group(SSH)
    world.wire.fail("ec2", "RevokeSecurityGroupIngress", "InvalidGroup.NotFound")
    result = world.run(INGRESS, request(INGRESS, arn), document=_enforce(INGRESS))
    ended = world.records()[-1]
    assert (result.outcome, ended["outcome"], ended["announce"]) == ("FAILED", "FAILED", False)
    assert "the resource was deleted" in ended["detail"]
    client("ec2").delete_security_group(GroupId=arn.rpartition("/")[2])
    assert world.run(INGRESS, request(INGRESS, arn, attempt=1)).outcome == "COMPLIANT"


def test_rules_on_a_later_page_count(world: World) -> None:
    """If this fails, the thousand and first rule may be open to anybody."""
    arn = security_group(SSH)
    page = {"SecurityGroupRules": [{"IsEgress": True, "IpProtocol": "-1", "CidrIpv4": ANY, "GroupOwnerId": ACCOUNT}]}
    world.wire.answer("ec2", "DescribeSecurityGroupRules", {**page, "NextToken": "more"})
    assert world.run(INGRESS, request(INGRESS, arn)).outcome == "ANNOUNCED"
    assert world.wire.params("DescribeSecurityGroupRules")[1]["NextToken"] == "more"


def test_group_that_another_account_shares_is_left_to_it(world: World) -> None:
    """If this fails, a group of somebody else is listed, or changed under an ARN that is not its own."""
    arn = security_group(SSH, name="theirs")
    theirs = [{**rule, "GroupOwnerId": "999999999999"} for rule in rules(arn)]
    world.wire.answer("ec2", "DescribeSecurityGroupRules", {"SecurityGroupRules": theirs})
    result = world.run(INGRESS, request(INGRESS, arn), document=_enforce(INGRESS))
    assert (result.outcome, "999999999999" in result.reason) == ("NOT_APPLICABLE", True)
    shared = {"GroupId": "sg-1", "OwnerId": "999999999999"}, {"GroupId": "sg-2", "OwnerId": ACCOUNT}
    world.wire.answer("ec2", "DescribeSecurityGroups", {"SecurityGroups": list(shared)})
    assert [each.rpartition("/")[2] for each in INGRESS_CONTROL.discover(Aws(client), PLACE)] == ["sg-2"]


def test_allowed_network_of_one_group_is_allowed_there_only(world: World) -> None:
    """If this fails, a bastion cannot be let be without opening every other group."""
    bastion, other = security_group(SSH, name="bastion"), security_group(SSH)
    override = {"resources": [bastion], "parameters": {"allowed": {"22": [ANY]}}}
    document = _enforce(INGRESS, overrides=[override])
    assert world.run(INGRESS, request(INGRESS, bastion), document=document).outcome == "COMPLIANT"
    assert world.run(INGRESS, request(INGRESS, other), document=document).outcome == "REMEDIATED"


def test_undo_brings_rules_back_with_description_and_tags(world: World) -> None:
    """If this fails, who takes a change back gets other rules than there were."""
    arn = make()
    before = _without_ids(arn)
    done = world.run(INGRESS, request(INGRESS, arn), document=_enforce(INGRESS))
    assert _undoer(world).run(INGRESS_CONTROL, arn, done.record_id).outcome == "UNDONE"
    assert _without_ids(arn) == before
    assert len(world.wire.params("AuthorizeSecurityGroupIngress")[-2:]) == 2


def test_tags_beyond_measure_are_not_kept_and_it_says_so(world: World) -> None:
    """If this fails, a group keeps Evenkeel off by its rules' tags, or an undo promises tags that it does not bring."""
    arn = security_group(OFFICE)
    tags = {f"é{number:02d}" * 40: "é" * 256 for number in range(49)}
    for number in range(12):
        authorize(arn, permission(ANY, 10 + number, 40, Description="d" * 255), **({} if number == 3 else tags))
    authorize(arn, permission(ANY_6), team="shop")
    context = Context(Resource(arn, ACCOUNT, REGION), INGRESS_CONTROL.parameters, datetime.now(UTC))
    before = INGRESS_CONTROL.read(Aws(client), context)
    done = world.run(INGRESS, request(INGRESS, arn), document=_enforce(INGRESS))
    assert (done.outcome, _sources(arn)) == ("REMEDIATED", [(22, "10.0.0.0/8")])
    record = world.records()[-1]
    assert "and 11 of them lose their tags, which are too large to record" in record["residue"]
    assert [rule["Tags"] for rule in record["before"]["OpenRules"]] == [*[{}] * 12, {"team": "shop"}]
    assert _undoer(world).run(INGRESS_CONTROL, arn, done.record_id).outcome == "UNDONE"
    after = INGRESS_CONTROL.read(Aws(client), context)
    assert INGRESS_CONTROL.essence(after) == INGRESS_CONTROL.essence(before)


def test_undo_minds_open_rules_only(world: World) -> None:
    """If this fails, any new rule of a group forbids taking a change back, or an open one that came since does not."""
    arn = security_group(SSH)
    done = world.run(INGRESS, request(INGRESS, arn), document=_enforce(INGRESS))
    authorize(arn, WEB)
    assert not _undoer(world).preview(INGRESS_CONTROL, arn, done.record_id).drifted
    authorize(arn, permission(ANY_6))
    with pytest.raises(UndoRefusedError, match="changed since"):
        _undoer(world).run(INGRESS_CONTROL, arn, done.record_id)


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"ports": [22, True]}, "ports"),
        ({"ports": [65536]}, "ports"),
        ({"ports": ["22"]}, "ports"),
        ({"allowed": {"23": [ANY]}}, "allowed.23: is not one of ports"),
        ({"allowed": {"22": ANY}}, "allowed.22"),
        ({"allowed": {"22": ["anywhere"]}}, "allowed.22"),
        ({"allowed": {"22": ["10.0.0.1/8"]}}, "allowed.22"),
        ({"allowed": {"all": [22]}}, "allowed.all"),
        ({"allowed": {"all": [ANY, ANY_6], "22": []}}, ""),
        ({"ports": [], "allowed": {"all": [ANY]}}, ""),
    ],
)
def test_parameters_that_mean_nothing_are_refused(parameters: dict[str, Any], problem: str) -> None:
    """If this fails, a mistyped allow-list lets everybody in, or nobody to what was allowed."""
    said = INGRESS_CONTROL.check_parameters({**INGRESS_CONTROL.parameters, **parameters})
    assert str(said or "").startswith(problem)
    assert bool(said) is bool(problem)


def _without_ids(arn: str) -> list[str]:
    return sorted(str({name: rule[name] for name in rule if name != "SecurityGroupRuleId"}) for rule in rules(arn))


NARROW = ("10.0.0.0/8", "192.0.2.7/32", "fd00::/8")
SOURCES = st.sampled_from([ANY, ANY_6, "0.0.0.0/1", "128.0.0.0/1", "2000::/3", *NARROW])
PORTS = st.sampled_from([0, 1, 21, 22, 23, 443, 3388, 3389, 3390, 65535])
WORDS = st.text("abc XYZ-_./#,!", max_size=12)


@st.composite
def some_rules(draw: st.DrawFn) -> list[tuple[dict[str, Any], str]]:
    """Return rules as people make them, each with a team's tag or none, and none of them twice."""
    found: dict[tuple[Any, ...], tuple[dict[str, Any], str]] = {}
    for _ in range(draw(st.integers(1, 8))):
        protocol, source = draw(st.sampled_from(["tcp", "udp", "-1", "icmp"])), draw(SOURCES)
        first, last = (-1, -1) if protocol in {"-1", "icmp"} else sorted((draw(PORTS), draw(PORTS)))
        told = draw(WORDS).strip()
        made = permission(source, first, last, protocol=protocol, **({"Description": told} if told else {}))
        found[protocol, first, last, source] = made, draw(st.sampled_from(["", "shop", "search"]))
    return list(found.values())


@examples(12)
@given(some_rules())
def test_other_peoples_rules_survive(world: World, given_rules: list[tuple[dict[str, Any], str]]) -> None:
    """If this fails, some mix of rules makes a repair or its undo touch a rule that was not open, or change one."""
    arn = security_group(name=f"group-{world.clock().timestamp()}")
    for made, team in given_rules:
        authorize(arn, made, **({"team": team} if team else {}))
    before, ids = _without_ids(arn), {rule["SecurityGroupRuleId"]: rule for rule in rules(arn)}
    context = Context(Resource(arn, ACCOUNT, REGION), INGRESS_CONTROL.parameters, datetime.now(UTC))
    state = INGRESS_CONTROL.read(Aws(client), context)
    found = INGRESS_CONTROL.judge(state, context)
    if not isinstance(found, NonCompliant):
        assert not any(_plainly_open(rule) for rule in ids.values())
        return
    assert found.change
    for call in found.change.calls:
        Aws(client).run(call)
    left = rules(arn)
    assert all(rule == ids[rule["SecurityGroupRuleId"]] for rule in left)
    assert not any(_plainly_open(rule) for rule in left)
    closed = set(ids) - {rule["SecurityGroupRuleId"] for rule in left}
    assert all(_from_outside(ids[each]) for each in closed)
    for call in found.change.undo:
        Aws(client).run(call)
    assert _without_ids(arn) == before
    assert all(rule in rules(arn) for rule in left)


def _from_outside(rule: dict[str, Any]) -> bool:
    return (rule.get("CidrIpv4") or rule.get("CidrIpv6")) not in NARROW


def _plainly_open(rule: dict[str, Any]) -> bool:
    """Say by the words of the control's title whether a rule is open, without its way of finding out."""
    everything = rule["IpProtocol"] == "-1"
    reaches = rule["IpProtocol"] in {"tcp", "udp"} and any(
        rule["FromPort"] <= port <= rule["ToPort"] for port in (22, 3389)
    )
    return _from_outside(rule) and (everything or reaches)


def test_setting_is_switched_on_and_back(world: World) -> None:
    """If this fails, the one setting of an account is not restored, or cannot be taken back."""
    control, arn = all_controls()[EBS], ebs_default_encryption()
    done = world.run(EBS, request(EBS, arn), document=_enforce(EBS))
    assert done.outcome == "REMEDIATED"
    assert [name for name in world.wire.names() if name.startswith("ec2:")] == [
        "ec2:GetEbsEncryptionByDefault", "ec2:EnableEbsEncryptionByDefault", "ec2:GetEbsEncryptionByDefault",
    ]  # fmt: skip
    assert world.run(EBS, request(EBS, arn)).outcome == "COMPLIANT"
    assert _undoer(world).run(control, arn, done.record_id).outcome == "UNDONE"
    assert client("ec2").get_ebs_encryption_by_default()["EbsEncryptionByDefault"] is False


TAGGED = {"tags": {"env": "dev"}, "mode": "notify"}


def test_rule_by_tags_never_weakens_what_has_none(world: World) -> None:
    """If this fails, a rule about tags has a say about a setting that nobody can tag, or AWS is asked for its tags."""
    arn, document = ebs_default_encryption(), _enforce(EBS, overrides=[TAGGED])
    # What AWS answers to an ARN that it knows no tags of (Resource Groups Tagging API reference, GetResources).
    world.wire.fail("resourcegroupstaggingapi", "GetResources", "InvalidParameterException", "no such type")
    assert world.run(EBS, request(EBS, arn), document=document).outcome == "REMEDIATED"
    assert "resourcegroupstaggingapi:GetResources" not in world.wire.names()
